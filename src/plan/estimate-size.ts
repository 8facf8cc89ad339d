import type { PlannedImage } from "./planned-image.ts";

/** Bytes of the image: exact for everything but the project's own files, which count as they lie on disk. */
export function estimateSize({ plan, environment }: PlannedImage): { compressed: number; unpacked: number } {
  const own = plan.files.reduce((sum, file) => sum + file.size, 0);
  return {
    compressed: environment.layers.reduce((sum, { record }) => sum + record.size, 0) + Math.round(own / 3),
    unpacked: environment.layers.reduce((sum, { record }) => sum + record.unpackedSize, 0) + own,
  };
}
