import type { SegmentRef } from "../oci/compose-layer.ts";
import type { ReasonedDeb } from "./gather-request.ts";

/** What Debian packages bring to one layer. */
export interface DebianFiles {
  segments: SegmentRef[];
  directories: { path: string; mode: number }[];
  paths: () => string[];
  contents: { name: string; version: string; compressed: number; unpacked: number }[];
}

export function debianFiles(debs: readonly ReasonedDeb[]): DebianFiles {
  const directories = new Map<string, number>();
  for (const { facts } of debs) {
    for (const entry of facts.entries) if (entry.type === "directory") directories.set(entry.path, entry.mode);
  }
  return {
    segments: debs.map(({ facts }) => facts.segment),
    directories: [...directories].map(([path, mode]) => ({ path, mode })),
    paths: () =>
      debs.flatMap(({ facts }) =>
        facts.entries.filter((entry) => entry.type !== "directory").map((entry) => entry.path),
      ),
    contents: debs.map(({ package: pkg, facts }) => ({
      name: pkg.name,
      version: pkg.version,
      compressed: facts.segment.compressed,
      unpacked: facts.segment.unpacked,
    })),
  };
}
