/** CPython minors that Sheaf knows to lay out. */
export const oldestMinor = 9;

/**
 * Which minor is taken when a repository leaves the choice open: 3.13 and 3.12 first, because nearly every package has
 * wheels for them, then 3.11, then newer ones (wheels lag behind a release), then what is past its end of life.
 */
export function comparePreference(a: string, b: string): number {
  return preference(minorNumber(a)) - preference(minorNumber(b));
}

/** The minors that may be downloaded, best first. */
export const downloadableMinors: readonly string[] = ["3.13", "3.12", "3.11", "3.14", "3.15", "3.10", "3.9"];

/** `3.12` of `3.12.4` or `3.12`. */
export function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/** 4 of `3.12.4` and of `3.12.4rc1`, undefined of `3.12`. */
export function patchOf(version: string): number | undefined {
  const patch = /^\d+\.\d+\.(\d+)/.exec(version)?.[1];
  return patch === undefined ? undefined : Number(patch);
}

export function minorNumber(version: string): number {
  return Number(version.split(".")[1]);
}

/** Final releases in order; a pre-release (`3.14.0rc1`) comes before its release. */
export function compareVersions(a: string, b: string): number {
  const byMinor = minorNumber(a) - minorNumber(b);
  if (byMinor !== 0) return byMinor;
  const byPatch = (patchOf(a) ?? 0) - (patchOf(b) ?? 0);
  if (byPatch !== 0) return byPatch;
  return Number(isPrerelease(b)) - Number(isPrerelease(a));
}

export function isPrerelease(version: string): boolean {
  return /[a-z+]/.test(version);
}

function preference(minor: number): number {
  if (minor === 13) return 0;
  if (minor === 12) return 1;
  if (minor === 11) return 2;
  if (minor > 13) return minor;
  return 1000 - minor;
}
