/** Libraries of CUDA 13 and later, whose distributions have no release in their names. */
const libraries =
  /^nvidia-(?:cublas|cuda-(?:cccl|crt|cupti|nvcc|nvrtc|runtime)|cudnn|cufft|cufile|curand|cusolver|cusparse|cusparselt|nccl|nvjitlink|nvshmem|nvtx|nvvm)$/;

const others =
  /^(?:nvidia-.+-cu\d+|(?:pytorch-)?triton|cuda-(?:bindings|core|pathfinder|python|toolkit)|cupy-cuda\d+x|jax-cuda\d+-(?:pjrt|plugin)|tensorrt-cu\d+(?:-bindings|-libs)?)$/;

/** Whether a distribution is part of CUDA or of no use without it, by its normalised name: `nvidia-cublas-cu12`, `triton`. */
export function isCudaDistribution(name: string): boolean {
  return libraries.test(name) || others.test(name);
}

/** Whether a version says that it was built for CUDA: `2.3.1+cu121`. */
export function isCudaBuild(version: string): boolean {
  return /\+cu\d{2,3}(?:$|[.+])/.test(version);
}
