import { machineOf } from "../platform.ts";
import type { Target } from "./resolution.ts";

/**
 * Every wheel tag that CPython of the target can install, best first, in the order of `packaging.tags.sys_tags`
 * (PEP 425, PEP 600). Free-threaded builds and musl never fit.
 */
export function compatibleTags(target: Target): string[] {
  const [major = 3, minor = 0] = target.python.split(".").map(Number);
  const platforms = platformTags(target);
  const interpreter = `cp${major}${minor}`;
  const tags: string[] = [];
  for (const abi of [interpreter, "abi3", "none"]) {
    for (const platform of platforms) tags.push(`${interpreter}-${abi}-${platform}`);
  }
  for (let older = minor - 1; older > 1; older--) {
    for (const platform of platforms) tags.push(`cp${major}${older}-abi3-${platform}`);
  }
  const generic = genericTags(major, minor);
  for (const python of generic) {
    for (const platform of platforms) tags.push(`${python}-none-${platform}`);
  }
  tags.push(`${interpreter}-none-any`);
  for (const python of generic) tags.push(`${python}-none-any`);
  return tags;
}

/** `py312, py3, py311, … py30`. */
function genericTags(major: number, minor: number): string[] {
  const older = Array.from({ length: minor }, (_, index) => `py${major}${minor - 1 - index}`);
  return [`py${major}${minor}`, `py${major}`, ...older];
}

const legacyNames: Record<string, string | undefined> = {
  "2.17": "manylinux2014",
  "2.12": "manylinux2010",
  "2.5": "manylinux1",
};

function platformTags(target: Target): string[] {
  const machine = machineOf(target.platform);
  const [major, newest] = target.glibc;
  // PEP 600: glibc 2.5 is the oldest for x86_64, 2.17 for the architectures that came later.
  const oldest = machine === "x86_64" ? 5 : 17;
  const tags: string[] = [];
  for (let minor = major === 2 ? newest : -1; minor >= oldest; minor--) {
    tags.push(`manylinux_2_${minor}_${machine}`);
    const legacy = legacyNames[`2.${minor}`];
    if (legacy) tags.push(`${legacy}_${machine}`);
  }
  tags.push(`linux_${machine}`);
  return tags;
}

const ranks = new Map<string, Map<string, number>>();

/** Position of each tag in `compatibleTags`: lower is better. */
export function tagRanks(target: Target): Map<string, number> {
  const minor = target.python.split(".").slice(0, 2).join(".");
  const key = `${minor} ${target.platform.architecture} ${target.glibc.join(".")}`;
  const known = ranks.get(key);
  if (known) return known;
  const made = new Map(compatibleTags(target).map((tag, index) => [tag, index]));
  ranks.set(key, made);
  return made;
}
