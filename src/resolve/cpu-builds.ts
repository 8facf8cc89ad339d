import { isCudaBuild, isCudaDistribution } from "../cuda/distributions.ts";
import { chooseWheel } from "./choose-file.ts";
import { hashesOf, type Lookup, type Release } from "./lookup.ts";
import type { Pin } from "./pins.ts";
import type { CpuBuilds, Target } from "./resolution.ts";

/** torch, and what is built against its libraries: of one build, or they don't load. */
const family: ReadonlySet<string> = new Set(["torch", "torchvision", "torchaudio", "torchtext"]);

export interface CpuBuildsQuestion {
  pins: Pin[];
  target: Target;
  lookup: Lookup;
  /** Indexes beside the usual ones that the project names for torch, without credentials. */
  indexes: readonly string[];
  /** Whether uv chose the pins just now: hashes are then no promise that somebody wrote down. */
  resolvedNow: boolean;
}

/**
 * Pins for an image without a GPU: where an index that is configured has torch's CPU build of the pinned version, that is
 * taken, and what only the other build wanted goes. A lock with hashes stays as it is; what could be taken is told.
 */
export async function withCpuBuilds(question: CpuBuildsQuestion): Promise<{ pins: Pin[]; cpuBuilds?: CpuBuilds }> {
  const { pins, resolvedNow } = question;
  const theirs = pins.filter((pin) => family.has(pin.name));
  const isOpen = ({ direct, version }: Pin) =>
    direct !== true && (!version.includes("+") || (resolvedNow && isCudaBuild(version)));
  if (!theirs.some(({ name }) => name === "torch") || !theirs.every(isOpen)) return { pins };
  if (!pins.some(({ name, version }) => isCudaDistribution(name) || isCudaBuild(version))) return { pins };
  const isLocked = !resolvedNow && theirs.some((pin) => hashesOf(pin).length > 0);
  const releases = new Map<string, Release>();
  for (const pin of theirs) {
    const release = await cpuRelease(pin, question);
    if (!release) return { pins };
    releases.set(pin.name, release);
  }
  const builds = theirs.map(({ name, version }) => ({
    name,
    version: cpuVersion(version),
    index: releases.get(name)?.index ?? "",
  }));
  if (isLocked) return { pins, cpuBuilds: { kind: "offered", builds } };
  const leftOut = onlyForCuda(pins);
  const taken = pins
    .filter(({ name }) => !leftOut.has(name))
    .map((pin): Pin => {
      const release = releases.get(pin.name);
      if (!release) return pin;
      return { ...pin, version: cpuVersion(pin.version), files: release.files, hashes: [] };
    });
  return { pins: taken, cpuBuilds: { kind: "taken", builds, leftOut: [...leftOut] } };
}

async function cpuRelease(pin: Pin, { lookup, target, indexes }: CpuBuildsQuestion): Promise<Release | undefined> {
  const wanted: Pin = { ...pin, version: cpuVersion(pin.version), files: [], hashes: [] };
  const release = await lookup.configuredRelease(wanted, indexes);
  return release && chooseWheel(release.files, target) ? release : undefined;
}

/** `2.3.1+cpu` of 2.3.1 and of 2.3.1+cu121. */
function cpuVersion(version: string): string {
  return `${version.split("+")[0]}+cpu`;
}

/** Parts of CUDA that nothing asks for but torch's family and each other; those of a lock that doesn't tell who asks, too. */
function onlyForCuda(pins: readonly Pin[]): Set<string> {
  const out = new Set(pins.filter(({ name }) => isCudaDistribution(name)).map(({ name }) => name));
  // One that is wanted otherwise keeps what it asks for.
  for (let before = -1; before !== out.size;) {
    before = out.size;
    for (const { name, requiredBy } of pins)
      if (out.has(name) && !requiredBy.every((asking) => family.has(asking) || out.has(asking))) out.delete(name);
  }
  return out;
}
