import { fileName } from "../role.ts";
import { installedDistributions } from "./distributions.ts";
import type { FileFact } from "./file-fact.ts";
import type { ImageFacts } from "./image-facts.ts";
import { installedPackages } from "./packages.ts";

export interface CudaTrace {
  /** `libcudart.so.12`, `nvidia-cublas-cu12 12.1.3.1`. */
  what: string;
  /** Where it is, without a leading slash; empty for packages. */
  path: string;
  bytes: number;
}

const libraries =
  /^lib(?:cudart|cublas|cublasLt|cudnn\w*|cufft\w*|curand|cusolver\w*|cusparse\w*|nccl|nvrtc(?:-builtins)?|nvJitLink|cupti|nvToolsExt|npp\w+|nvjpeg|torch_cuda\w*|onnxruntime_providers_cuda)\.so(?:\.|$)|^lib(?:cudart|cublas|cublasLt|cudnn|nvrtc)-[0-9a-f]{8}\.so/;

/** Everything by which an image has CUDA: libraries by their names, distributions, packages. Pure Python that only asks for it is none. */
export function cudaTraces(facts: ImageFacts): CudaTrace[] {
  const files = cudaLibraries(facts).map(({ path, size }) => ({ what: fileName(path), path, bytes: size }));
  const distributions = facts
    .derived(installedDistributions)
    .filter(
      ({ name, version }) => /^nvidia-.+-cu\d\d$/.test(name) || name === "triton" || /\+cu\d{2,3}\b/.test(version),
    )
    .map(({ name, version, info }) => ({ what: `${name} ${version}`, path: info, bytes: 0 }));
  const packages = facts
    .derived(installedPackages)
    .filter(({ name }) => /^(?:cuda-|libcudnn\d|libnccl\d|libcublas-)/.test(name))
    .map(({ name, version }) => ({ what: `${name} ${version}`, path: "", bytes: 0 }));
  return [...files, ...distributions, ...packages];
}

export function cudaLibraries({ files }: ImageFacts): FileFact[] {
  return [...files.values()].filter(
    ({ path, type, linkTo }) => type === "file" && linkTo === undefined && libraries.test(fileName(path)),
  );
}

/** Releases of the runtime that are there, `12.1` or `12`, each with what says so. */
export function cudaReleases(facts: ImageFacts): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (release: string, what: string): void => void found.set(release, [...(found.get(release) ?? []), what]);
  for (const { path, elf } of cudaLibraries(facts)) {
    const name = /^libcudart(?:-[0-9a-f]{8})?\.so\.(\d+(?:\.\d+)?)/.exec(fileName(path))?.[1];
    const soname = /^libcudart(?:-[0-9a-f]{8})?\.so\.(\d+(?:\.\d+)?)/.exec(elf?.soname ?? "")?.[1];
    const release = [name, soname].find((each) => each?.includes(".")) ?? name ?? soname;
    if (release !== undefined) add(release, `/${path}`);
  }
  for (const { name, version } of facts.derived(installedDistributions)) {
    const runtime = name.startsWith("nvidia-cuda-runtime") ? /^(\d+\.\d+)/.exec(version)?.[1] : undefined;
    const local = /\+cu(\d{2})(\d)\b/.exec(version);
    if (runtime !== undefined) add(runtime, `${name} ${version}`);
    if (local) add(`${local[1]}.${local[2]}`, `${name} ${version}`);
  }
  return found;
}
