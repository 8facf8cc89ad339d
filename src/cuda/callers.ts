/** Python names that call a part of CUDA. */
export interface Caller {
  /** Names in code, `torch.fft` with everything below it; `.backward` is a method of that name. */
  names: readonly string[];
  /** Names below those that do without. */
  except?: readonly string[];
  parts: readonly string[];
}

/** Top-level modules that the names below stand in. */
export const callingModules: ReadonlySet<string> = new Set(["cupy", "torch", "torchaudio", "triton"]);

function below(module: string, names: string): string[] {
  return names.split(" ").map((name) => `${module}.${name}`);
}

/** From torch's sources: what dispatches to which library. */
export const callers: readonly Caller[] = [
  { names: ["torch.fft", "torch.stft", "torch.istft", ".stft", ".istft", "torchaudio"], parts: ["cufft"] },
  {
    names: [
      "torch.linalg",
      "torch.distributions.MultivariateNormal",
      "torch.distributions.LowRankMultivariateNormal",
      "torch.distributions.Wishart",
      ...below("torch", "cholesky cholesky_inverse cholesky_solve inverse pinverse svd svd_lowrank pca_lowrank qr"),
      ...below("torch", "lu lu_solve triangular_solve geqrf orgqr ormqr lobpcg det logdet slogdet"),
      ...below("", "cholesky cholesky_inverse cholesky_solve inverse pinverse svd slogdet logdet triangular_solve"),
    ],
    except: below("torch.linalg", "norm vector_norm cross multi_dot vecdot diagonal matmul vander LinAlgError"),
    parts: ["cusolver"],
  },
  {
    names: [
      "torch.sparse",
      ...below("torch", "sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor"),
      ...below("torch", "sparse_compressed_tensor smm sspmm hspmm sparse_coo sparse_csr"),
      ...below("", "to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr"),
    ],
    parts: ["cusparse"],
  },
  {
    names: ["torch.sparse.to_sparse_semi_structured", "torch.sparse.SparseSemiStructuredTensor"],
    parts: ["cusparselt"],
  },
  {
    names: [
      "torch.distributed",
      "torch.nn.DataParallel",
      "torch.nn.parallel",
      "torch.cuda.nccl",
      "torch.multiprocessing.spawn",
    ],
    except: below("torch.distributed", "is_available is_initialized is_nccl_available get_rank get_world_size"),
    parts: ["nccl"],
  },
  { names: ["torch.distributed._symmetric_memory"], parts: ["nvshmem"] },
  {
    names: [
      "torch.jit",
      "torch.special",
      "torch.cuda.jiterator",
      ...below("torch", "gcd lcm sinc digamma lgamma polygamma"),
    ],
    except: below("torch.jit", "is_scripting is_tracing TracerWarning ignore unused export Final annotate isinstance"),
    parts: ["nvrtc"],
  },
  {
    names: ["torch.compile", "torch._dynamo", "torch._inductor", "torch.nn.attention.flex_attention", "triton"],
    except: below("torch._dynamo", "disable is_compiling"),
    parts: ["triton"],
  },
  {
    names: [
      ...below("torch.nn", "LSTM GRU RNN CTCLoss"),
      ...below("torch.nn.modules.rnn", "LSTM GRU RNN"),
      "torch.nn.functional.ctc_loss",
    ],
    parts: ["cudnn-adv"],
  },
  { names: ["torch.optim", "torch.autograd.grad", "torch.autograd.backward", ".backward"], parts: ["cudnn-train"] },
  { names: ["torch.profiler", "torch.autograd.profiler", "torch.cuda.profiler"], parts: ["cupti"] },
  { names: ["torch.utils.cpp_extension"], parts: ["headers"] },
  { names: ["cupy"], parts: ["cufft", "curand", "cusolver", "cusparse", "headers", "nvjitlink", "nvrtc"] },
];

/** Distributions that are known to call parts of CUDA in what they are for, from a major version on. */
const callingDistributions: readonly { pattern: RegExp; parts: readonly string[]; from?: number }[] = [
  // torch prefers its attention on GPUs from Hopper on.
  { pattern: /^nvidia-cudnn-cu\d+$/, parts: ["nvrtc"], from: 9 },
  {
    pattern: /^cupy(?:-cuda\d+x)?$/,
    parts: ["cufft", "curand", "cusolver", "cusparse", "headers", "nvjitlink", "nvrtc"],
  },
  {
    pattern: /^jax-cuda\d+-plugin$|^tensorflow$/,
    parts: ["cufft", "curand", "cusolver", "cusparse", "nccl", "nvjitlink", "nvrtc"],
  },
  // Its models say which operators they have: recurrent layers, DFT, random numbers.
  { pattern: /^onnxruntime-gpu$/, parts: ["cudnn-adv", "cufft", "curand"] },
  { pattern: /^numba-cuda$/, parts: ["headers", "nvjitlink", "nvrtc"] },
  { pattern: /^(?:vllm|sglang)$/, parts: ["nccl", "nvrtc", "triton"] },
  { pattern: /^deepspeed$/, parts: ["nccl", "triton"] },
  { pattern: /^(?:torchaudio|openai-whisper|demucs|nemo-toolkit|speechbrain|pyannote-audio)$/, parts: ["cufft"] },
  { pattern: /^(?:easyocr|demucs|nemo-toolkit|speechbrain|pyannote-audio)$/, parts: ["cudnn-adv"] },
  { pattern: /^(?:gpytorch|botorch|linear-operator|kornia)$/, parts: ["cusolver"] },
];

/** Parts that a distribution is known to call, by its normalised name and its version. */
export function partsCalledBy(distribution: string, version: string): string[] {
  const major = Number(version.split(".", 1)[0]);
  return callingDistributions.flatMap(({ pattern, parts, from = 0 }) =>
    pattern.test(distribution) && major >= from ? parts : [],
  );
}

/** Parts that a name in code calls: `torch.fft.rfft`, `.backward`. */
export function partsCalledAs(name: string): string[] {
  return callers.flatMap(({ names, except = [], parts }) =>
    names.some((each) => isBelow(name, each)) && !except.some((each) => isBelow(name, each)) ? parts : [],
  );
}

/** Names without which a part's module itself is no call: `torch.linalg`, of which norms need nothing. */
export function isHarmless(name: string): boolean {
  return callers.some(({ except = [] }) => except.some((each) => isBelow(name, each)));
}

function isBelow(name: string, top: string): boolean {
  return name === top || name.startsWith(`${top}.`);
}
