import { filesLeftOut, isAmong } from "../../cuda/profiles.ts";
import type { DeviceOptions } from "../../ingest/device.ts";
import type { Distribution } from "../../resolve/resolution.ts";

/** What is to be done to the CUDA libraries of an image. Part of its environment's key. */
export interface DeviceRequest {
  /** Compute capabilities as 86, ascending; empty: all device code stays. */
  targets: number[];
  /** NVIDIA's own libraries lose device code too. */
  pruneNvidia: boolean;
  /** Names of parts, sorted. */
  leaveOut: string[];
}

/** What is done to one distribution; undefined: nothing. NVIDIA's libraries are not changed unless that was asked for. */
export function deviceOptionsOf(
  { name, filename }: Pick<Distribution, "name" | "filename">,
  { targets, pruneNvidia, leaveOut }: DeviceRequest,
): DeviceOptions | undefined {
  const left = filesLeftOut(name, leaveOut).map(({ path, how, part }) => ({
    path,
    how,
    library: part,
    setting: `keep = ["${part}"]`,
  }));
  const isSpared = filename.endsWith("-none-any.whl") || (name.startsWith("nvidia-") && !pruneNvidia);
  const kept = isSpared ? [] : targets;
  if (kept.length === 0 && left.length === 0) return undefined;
  return { targets: kept, leaveOut: left, ...(pruneNvidia ? { pruneNvidia } : {}) };
}

/** The part that a file of a wheel belongs to, of those that are left out. @param path below the library folder */
export function partOfFile(distribution: string, path: string, leaveOut: readonly string[]): string | undefined {
  return filesLeftOut(distribution, leaveOut).find((file) => isAmong(file.path, path))?.part;
}
