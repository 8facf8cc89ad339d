/** Labels by which an image with CUDA says what it was made for. The plan writes them. */
export const cudaLabels = {
  /** `12.1`. */
  version: "sheaf.cuda.version",
  /** The oldest driver that it runs on, `525.60.13`. */
  minDriver: "sheaf.cuda.min-driver",
  /** Compute capabilities, ascending: `7.5,8.6,9.0`; absent when all code is kept. */
  targets: "sheaf.cuda.targets",
  /** `inference`. */
  profile: "sheaf.cuda.profile",
  /** Names of libraries that were left out: `cufft,nccl`. */
  leftOut: "sheaf.cuda.left-out",
  /** `true` when NVIDIA's own libraries were changed. */
  nvidiaModified: "sheaf.cuda.nvidia-modified",
} as const;

/** Compute capabilities, as 86, that an image promises code for by its label; none when it promises nothing that can be read. */
export function targetsOfLabel(labels: Readonly<Record<string, string>> | undefined): number[] {
  const texts = (labels?.[cudaLabels.targets] ?? "").split(",").map((text) => text.trim());
  return texts.flatMap((text) => {
    const [, major, minor] = /^(\d{1,2})\.(\d)$/.exec(text) ?? [];
    return major === undefined ? [] : [Number(major) * 10 + Number(minor)];
  });
}
