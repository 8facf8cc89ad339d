import { byPath } from "../order.ts";

/** `full` leaves nothing out; the others leave out what such a process does not call. */
export type CudaProfile = "full" | "training" | "inference";

/** A part of CUDA that an image may do without. */
export interface CudaPart {
  /** As settings name it: `keep = ["cufft"]`. */
  name: string;
  /** What it is called in sentences. */
  title: string;
  /** What it is for, and so what does not work without it. */
  does: string;
  /** Profiles that leave it out. */
  leftOutOf: readonly CudaProfile[];
  /** Parts without which it does not work. */
  needs?: readonly string[];
  files: readonly PartFiles[];
}

/** Files of a part in the wheels of some distributions. */
export interface PartFiles {
  /** Names without NVIDIA's prefix and the release: `cufft` is nvidia-cufft-cu12 and nvidia-cufft. */
  distributions: readonly string[];
  /** Paths in the wheel; a trailing `*` stands for all that begin so, `LIB/` for every folder that has libraries. */
  drop?: readonly string[];
  /** Libraries that others are linked to: a stub takes their place. */
  stub?: readonly string[];
}

const unused: readonly CudaProfile[] = ["training", "inference"];
const inference: readonly CudaProfile[] = ["inference"];

/** Old wheels of torch bring CUDA's libraries themselves, beside their own. */
function library(distribution: string, files: Omit<PartFiles, "distributions">): PartFiles {
  return { distributions: [distribution, "torch"], ...files };
}

/**
 * What profiles leave out. Paths are those of NVIDIA's wheels for CUDA 11 to 13 and of torch since 1.13; what a wheel does not
 * have matches nothing. cuBLAS, the runtime and the rest of cuDNN are in no profile: nearly every kernel of a model calls them. Nor is cuFile itself, whose
 * functions have no common way to say no, and which is small.
 */
export const cudaParts: readonly CudaPart[] = [
  {
    name: "cudnn-adv",
    title: "cuDNN for sequences",
    does: "recurrent layers (LSTM, GRU), cuDNN's own attention and CTC loss",
    leftOutOf: inference,
    files: [library("cudnn", { stub: ["LIB/libcudnn_adv.so*", "LIB/libcudnn_adv_*"] })],
  },
  {
    name: "cudnn-train",
    title: "cuDNN for training",
    does: "backward passes of convolutions and normalisation, with cuDNN 8; cuDNN 9 has them in what stays",
    leftOutOf: inference,
    files: [library("cudnn", { stub: ["LIB/libcudnn_cnn_train.so*", "LIB/libcudnn_ops_train.so*"] })],
  },
  {
    name: "cufft",
    title: "cuFFT",
    does: "Fourier transforms on the GPU: torch.fft, torch.stft, spectrograms",
    leftOutOf: inference,
    files: [library("cufft", { stub: ["LIB/libcufft.so*"] })],
  },
  {
    name: "cufftw",
    title: "cuFFT under FFTW's names",
    does: "programs that were written for FFTW",
    leftOutOf: unused,
    files: [library("cufft", { drop: ["LIB/libcufftw.so*"] })],
  },
  {
    name: "cufile-rdma",
    title: "RDMA for cuFile",
    does: "reading files from other machines straight into the GPU's memory",
    leftOutOf: inference,
    // Loaded by name; it needs libraries for InfiniBand.
    files: [{ distributions: ["cufile"], drop: ["LIB/libcufile_rdma.so*"] }],
  },
  {
    name: "cupti",
    title: "CUPTI",
    does: "profiling of kernels: torch.profiler",
    leftOutOf: unused,
    files: [
      {
        distributions: ["cuda-cupti"],
        stub: ["LIB/libcupti.so*"],
        drop: ["LIB/libcheckpoint.so*", "LIB/libnvperf_*", "LIB/libpcsamplingutil.so*"],
      },
    ],
  },
  {
    name: "curand",
    title: "cuRAND",
    does: "random numbers for programs that call it; torch has its own",
    leftOutOf: inference,
    files: [library("curand", { stub: ["LIB/libcurand.so*"] })],
  },
  {
    name: "cusolver",
    title: "cuSOLVER",
    does: "decompositions and solvers on the GPU: torch.linalg beyond norms, torch.inverse",
    leftOutOf: inference,
    needs: ["cusparse", "nvjitlink"],
    files: [
      library("cusolver", { stub: ["LIB/libcusolver.so*"] }),
      // Loaded with the first decomposition, and by nothing else.
      { distributions: ["torch"], drop: ["torch/lib/libtorch_cuda_linalg.so"] },
    ],
  },
  {
    name: "cusolvermg",
    title: "cuSOLVER for several GPUs",
    does: "decompositions that are spread over GPUs; torch does not call it",
    leftOutOf: unused,
    files: [library("cusolver", { drop: ["LIB/libcusolverMg.so*"] })],
  },
  {
    name: "cusparse",
    title: "cuSPARSE",
    does: "sparse matrices on the GPU: torch.sparse",
    leftOutOf: inference,
    needs: ["nvjitlink"],
    files: [library("cusparse", { stub: ["LIB/libcusparse.so*"] })],
  },
  {
    name: "cusparselt",
    title: "cuSPARSELt",
    does: "matrices with two of four values zero: torch.sparse.to_sparse_semi_structured",
    leftOutOf: inference,
    files: [library("cusparselt", { stub: ["LIB/libcusparseLt.so*", "LIB/libcusparseLt-*"] })],
  },
  {
    name: "headers",
    title: "headers and build files",
    does: "compiling C++ and CUDA in the image: torch.utils.cpp_extension",
    leftOutOf: unused,
    files: [
      { distributions: ["*"], drop: ["INCLUDE/*"] },
      { distributions: ["torch"], drop: ["torch/bin/protoc*", "torch/include/*", "torch/share/cmake/*"] },
    ],
  },
  {
    name: "nccl",
    title: "NCCL",
    does: "several GPUs at one task: torch.distributed, DataParallel",
    leftOutOf: inference,
    files: [library("nccl", { stub: ["LIB/libnccl.so*"] })],
  },
  {
    name: "nvjitlink",
    title: "nvJitLink",
    does: "linking device code while it runs, for cuSPARSE and cuSOLVER",
    leftOutOf: inference,
    files: [library("nvjitlink", { stub: ["LIB/libnvJitLink.so*"] })],
  },
  {
    name: "nvrtc",
    title: "NVRTC",
    does: "kernels that are compiled as they are called for: torch.jit's fusion, torch.special, cuDNN's fused engines",
    leftOutOf: inference,
    files: [
      library("cuda-nvrtc", { stub: ["LIB/libnvrtc.so*"], drop: ["LIB/libnvrtc-builtins*", "LIB/libnvrtc.alt.so*"] }),
    ],
  },
  {
    name: "nvshmem",
    title: "NVSHMEM",
    does: "memory that GPUs of several machines share: torch.distributed._symmetric_memory",
    leftOutOf: inference,
    files: [
      {
        distributions: ["nvshmem"],
        stub: ["LIB/libnvshmem_host.so*"],
        drop: ["LIB/libnvshmem_device*", "LIB/nvshmem_bootstrap_*", "LIB/nvshmem_transport_*"],
      },
    ],
  },
  {
    name: "static-libraries",
    title: "static libraries",
    does: "linking programs in the image",
    leftOutOf: unused,
    files: [
      { distributions: ["nvshmem"], drop: ["LIB/libnvshmem_device.a"] },
      { distributions: ["cuda-runtime"], drop: ["LIB/libcudadevrt.a", "LIB/libcudart_static.a"] },
      {
        distributions: ["triton", "pytorch-triton"],
        drop: [
          "triton/backends/nvidia/lib/cupti/libcupti_static.a",
          "triton/backends/nvidia/lib/cupti/libnvperf_host_static.a",
        ],
      },
    ],
  },
  {
    name: "triton",
    title: "triton",
    does: "kernels written in Python: torch.compile",
    leftOutOf: inference,
    files: [{ distributions: ["triton", "pytorch-triton"], drop: ["triton/*"] }],
  },
];

/** Names of parts that are no library: labels do not list them. */
export const filesOnly: ReadonlySet<string> = new Set(["headers", "static-libraries"]);

/** A name that settings may have, of a part or of several: `cudnn` is all of cuDNN that can go. */
export function partsNamed(name: string): string[] {
  if (cudaParts.some((part) => part.name === name)) return [name];
  return name === group ? cudaParts.filter((part) => part.name.startsWith(`${group}-`)).map((part) => part.name) : [];
}

/** The one library that is several parts. */
const group = "cudnn";

/** All names that `partsNamed` knows. */
export function partNames(): string[] {
  return [group, ...cudaParts.map(({ name }) => name)];
}

/** The part of a name. @throws Error for names that are none */
export function cudaPart(name: string): CudaPart {
  const part = cudaParts.find((each) => each.name === name);
  if (!part) throw new Error(`${name} is no part of CUDA`);
  return part;
}

/** A name with all that it does not work without. */
export function withNeeds(names: Iterable<string>): Set<string> {
  const all = new Set(names);
  // The set grows while it is read.
  for (const name of all) for (const needed of cudaPart(name).needs ?? []) all.add(needed);
  return all;
}

/** Files of one wheel that a part stands for. */
export interface LeftOutFile {
  path: string;
  how: "drop" | "stub";
  part: string;
}

/**
 * The files that a distribution's wheel loses with some parts, sorted by path.
 *
 * @param distribution normalised name: `nvidia-cufft-cu12`, `nvidia-cufft`, `torch`
 */
export function filesLeftOut(distribution: string, parts: Iterable<string>): LeftOutFile[] {
  const { plain, isNvidia } = plainName(distribution);
  const found: LeftOutFile[] = [];
  for (const name of parts) {
    for (const { distributions, drop = [], stub = [] } of cudaPart(name).files) {
      if (!distributions.includes(plain) && !(isNvidia && distributions.includes("*"))) continue;
      const add = (how: "drop" | "stub") => (path: string) => void found.push({ path, how, part: name });
      for (const path of drop.flatMap((each) => placesOf(each, plain, isNvidia))) add("drop")(path);
      for (const path of stub.flatMap((each) => placesOf(each, plain, isNvidia))) add("stub")(path);
    }
  }
  const isCovered = ({ path }: LeftOutFile) => found.some((other) => other.path !== path && isAmong(other.path, path));
  return found.filter((each) => !isCovered(each)).sort(byPath);
}

/** `cufft` of nvidia-cufft-cu12. */
function plainName(distribution: string): { plain: string; isNvidia: boolean } {
  const [, plain] = /^nvidia-(.+?)(?:-cu\d+)?$/.exec(distribution) ?? [];
  return { plain: plain ?? distribution, isNvidia: plain !== undefined };
}

/** The folders that a pattern stands for: each library's own until CUDA 12, one of the release from 13 on. */
function placesOf(pattern: string, plain: string, isNvidia: boolean): string[] {
  const [, folder, rest] = /^(LIB|INCLUDE)\/(.*)$/.exec(pattern) ?? [];
  if (folder === undefined || rest === undefined) return [pattern];
  const name = folder === "LIB" ? "lib" : "include";
  if (!isNvidia) return [`${plain}/${name}/${rest}`];
  return [plain.replaceAll("-", "_"), ...releaseFolders].map((each) => `nvidia/${each}/${name}/${rest}`);
}

const releaseFolders = ["cu13", "cu14"];

/** Whether a path is one that a pattern of a part's files stands for: a trailing `*` stands for all that begin so. */
export function isAmong(pattern: string, path: string): boolean {
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
