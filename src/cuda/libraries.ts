/** A library of CUDA's that can be left out, and how its functions say that something is not supported. */
export interface CudaLibrary {
  /** As settings name it: `cufft`. */
  name: string;
  soname: RegExp;
  /** What a function of it returns for something that it does not support. */
  status: (soname: string) => number;
  returnsText?: RegExp;
  returnsZero?: RegExp;
  /** The functions that are meant for others, where a library exports tens of thousands of names beside them. */
  functions?: RegExp;
}

/** Statuses from the libraries' headers. */
export const cudaLibraries: readonly CudaLibrary[] = [
  {
    name: "cublas",
    soname: /^libcublas\.so\./,
    status: () => 15,
    returnsText: /^cublasGetStatus(?:Name|String)$/,
    returnsZero: /^cublasGetCudartVersion$/,
  },
  {
    name: "cublaslt",
    soname: /^libcublasLt\.so\./,
    status: () => 15,
    returnsText: /^cublasLtGetStatus(?:Name|String)$/,
    returnsZero: /^cublasLtGet(?:Cudart)?Version$/,
  },
  {
    name: "cudnn",
    soname: /^libcudnn(?:_\w+)?\.so\./,
    // Version 9 has its statuses in thousands.
    status: (soname) => (/\.so\.[1-8]\b/.test(soname) ? 9 : 3000),
    returnsText: /^cudnnGetErrorString$/,
    // Its libraries ask one another whether they fit together; that alone is no call for what is left out.
    returnsZero: /^cudnn(?:Get(?:Cudart|MaxDevice)?Version|\w+VersionCheck)$/,
  },
  { name: "cufft", soname: /^libcufft\.so\./, status: () => 16 },
  { name: "cufftw", soname: /^libcufftw\.so\./, status: () => 0 },
  // Without a status for it, that of a library which could not be initialised.
  { name: "curand", soname: /^libcurand\.so\./, status: () => 203 },
  { name: "cusolver", soname: /^libcusolver\.so\./, status: () => 9 },
  { name: "cusolvermg", soname: /^libcusolverMg\.so\./, status: () => 9 },
  {
    name: "cusparse",
    soname: /^libcusparse\.so\./,
    status: () => 10,
    returnsText: /^cusparseGetError(?:Name|String)$/,
  },
  {
    name: "cusparselt",
    soname: /^libcusparseLt\.so\./,
    status: () => 10,
    returnsText: /^cusparseLtGetError/,
    functions: /^cusparseLt/,
  },
  { name: "cupti", soname: /^libcupti\.so\./, status: () => 27 },
  // An invalid usage, which is what a call of something absent is.
  { name: "nccl", soname: /^libnccl\.so\./, status: () => 5, returnsText: /^p?ncclGet(?:ErrorString|LastError)$/ },
  { name: "nvjitlink", soname: /^libnvJitLink\.so\./, status: () => 6 },
  { name: "nvshmem", soname: /^libnvshmem_host\.so\./, status: () => 3 },
  { name: "nvrtc", soname: /^libnvrtc\.so\./, status: () => 11, returnsText: /^nvrtcGetErrorString$/ },
];

/** The library that a soname stands for, wheels' own copies (`libcufft-1a2b3c4d.so.11`) too. */
export function cudaLibraryOf(soname: string): CudaLibrary | undefined {
  const plain = soname.replace(/-[0-9a-f]{8}(?=\.so)/, "");
  return cudaLibraries.find((library) => library.soname.test(plain));
}

/**
 * Whether a library is NVIDIA's own, by its path: those of the nvidia-* distributions, and copies that other wheels
 * carry. Their licence does not give leave to change them; torch's and others' do.
 */
export function isNvidiaLibrary(path: string): boolean {
  const segments = path.split("/");
  const name = segments.pop() ?? "";
  return segments.includes("nvidia") || nvidiaNames.test(name);
}

const nvidiaNames =
  /^lib(?:cu(?:blas|blasLt|da|dart|dnn|fft|fftw|file|pti|rand|solver|solverMg|sparse|sparseLt|tensor|tensorNet|stateVec)|nv\w+|nccl|npp\w+|accinj64|cuinj64|checkpoint|pcsamplingutil)(?:_\w+)?(?:-[0-9a-f]{8}|\.[0-9a-f]{8})?\.so(?:\.|$)/;

/** What is said when somebody has NVIDIA's libraries changed. */
export const nvidiaLicenceNote =
  "NVIDIA's licence for CUDA (section 1.2) forbids to modify its libraries, except as it expressly provides: whether you may is for you to settle";
