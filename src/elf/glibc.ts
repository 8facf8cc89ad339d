import type { ElfFacts } from "./facts.ts";

/** A version of glibc's symbols and a file that needs it. */
export interface VersionNeed {
  /** `2.28` */
  version: string;
  path: string;
}

/**
 * The newest `GLIBC_x.y` that any of the objects needs: the oldest glibc on which all of them load. Parts of glibc itself,
 * known by their private symbols, don't count.
 */
export function newestGlibc(objects: { path: string; facts: ElfFacts }[]): VersionNeed | undefined {
  let newest: VersionNeed | undefined;
  // Thousands of files ask for a few dozen versions.
  const seen = new Set<string>();
  for (const { path, facts } of objects) {
    const versions = facts.versionsNeeded.flatMap((need) => need.versions);
    if (versions.includes("GLIBC_PRIVATE")) continue;
    for (const name of versions) {
      if (seen.has(name)) continue;
      seen.add(name);
      const version = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(name)?.[1];
      if (version !== undefined && (!newest || isNewer(version, newest.version))) newest = { version, path };
    }
  }
  return newest;
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version.split(".").map(Number), than.split(".").map(Number)];
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
