import { SheafError } from "../errors.ts";
import { didYouMean } from "../did-you-mean.ts";
import { majorOf } from "./architecture.ts";

/** GPUs of one compute capability, by the names that people use for them. */
export interface GpuFamily {
  /** 86 is 8.6. */
  sm: number;
  architecture: string;
  /** Lower case, without spaces and the maker's name. */
  names: readonly string[];
  /** The first CUDA that knows the capability, and the last major that supports it, when it has gone. */
  since: string;
  lastMajor?: number;
}

/** From NVIDIA's list of CUDA GPUs, by compute capability. */
export const gpuFamilies: readonly GpuFamily[] = [
  { sm: 60, architecture: "Pascal", names: ["p100"], since: "8.0", lastMajor: 12 },
  {
    sm: 61,
    architecture: "Pascal",
    names: ["p4", "p40", "gtx1050", "gtx1060", "gtx1070", "gtx1080", "gtx1080ti", "titanxp"],
    since: "8.0",
    lastMajor: 12,
  },
  { sm: 70, architecture: "Volta", names: ["v100", "titanv"], since: "9.0", lastMajor: 12 },
  { sm: 72, architecture: "Volta", names: ["xavier"], since: "9.2", lastMajor: 12 },
  {
    sm: 75,
    architecture: "Turing",
    names: [
      "t4",
      "t4g",
      "t1000",
      "t2000",
      "rtx5000",
      "rtx6000",
      "rtx8000",
      "gtx1650",
      "gtx1660",
      "rtx2060",
      "rtx2070",
      "rtx2080",
      "rtx2080ti",
      "titanrtx",
    ],
    since: "10.0",
  },
  { sm: 80, architecture: "Ampere", names: ["a100", "a800", "a30"], since: "11.0" },
  {
    sm: 86,
    architecture: "Ampere",
    names: [
      "a10",
      "a10g",
      "a10m",
      "a16",
      "a2",
      "a40",
      "rtxa2000",
      "rtxa4000",
      "rtxa4500",
      "rtxa5000",
      "rtxa5500",
      "rtxa6000",
      "rtx3050",
      "rtx3060",
      "rtx3060ti",
      "rtx3070",
      "rtx3070ti",
      "rtx3080",
      "rtx3080ti",
      "rtx3090",
      "rtx3090ti",
    ],
    since: "11.1",
  },
  { sm: 87, architecture: "Ampere", names: ["orin", "jetsonorin"], since: "11.4" },
  {
    sm: 89,
    architecture: "Ada Lovelace",
    names: [
      "l2",
      "l4",
      "l20",
      "l40",
      "l40s",
      "rtx2000ada",
      "rtx4000ada",
      "rtx4500ada",
      "rtx5000ada",
      "rtx6000ada",
      "rtx4050",
      "rtx4060",
      "rtx4060ti",
      "rtx4070",
      "rtx4070super",
      "rtx4070ti",
      "rtx4080",
      "rtx4080super",
      "rtx4090",
    ],
    since: "11.8",
  },
  { sm: 90, architecture: "Hopper", names: ["h100", "h200", "h800", "h20", "gh200"], since: "11.8" },
  { sm: 100, architecture: "Blackwell", names: ["b100", "b200", "gb200"], since: "12.8" },
  { sm: 103, architecture: "Blackwell", names: ["b300", "gb300"], since: "12.9" },
  { sm: 110, architecture: "Blackwell", names: ["thor", "jetsonthor"], since: "13.0" },
  {
    sm: 120,
    architecture: "Blackwell",
    names: [
      "rtx5050",
      "rtx5060",
      "rtx5060ti",
      "rtx5070",
      "rtx5070ti",
      "rtx5080",
      "rtx5090",
      "rtxpro2000",
      "rtxpro4000",
      "rtxpro4500",
      "rtxpro5000",
      "rtxpro6000",
    ],
    since: "12.8",
  },
  { sm: 121, architecture: "Blackwell", names: ["gb10", "dgxspark"], since: "12.9" },
];

/** A GPU that code is kept for, as somebody named it. */
export interface GpuTarget {
  name: string;
  /** 86 is 8.6. */
  sm: number;
}

/**
 * Reads targets: a GPU's name in any spelling (`T4`, `rtx-4090`, `NVIDIA A10G`), a compute capability (`8.6`), or as the
 * compiler writes it (`sm_86`, `sm_90a`).
 *
 * @throws SheafError SHEAF_GPU for a name that is not known, with the nearest ones
 */
export function parseGpuTargets(texts: readonly string[]): GpuTarget[] {
  const targets = new Map<number, GpuTarget>();
  for (const text of texts.flatMap((each) => each.split(",")).map((each) => each.trim())) {
    if (text === "") continue;
    const sm = capabilityOf(text);
    if (sm === undefined) throw unknownGpu(text);
    if (!targets.has(sm)) targets.set(sm, { name: text, sm });
  }
  return [...targets.values()].sort((a, b) => a.sm - b.sm);
}

function capabilityOf(text: string): number | undefined {
  const [, major, minor] = /^(\d{1,2})\.(\d)$/.exec(text) ?? [];
  if (major !== undefined && minor !== undefined) return knownCapability(Number(major) * 10 + Number(minor));
  const [, number] = /^(?:(?:sm|compute)_?)?(\d{2,3})[af]?$/i.exec(text) ?? [];
  if (number !== undefined) return knownCapability(Number(number));
  const name = simpleName(text);
  return gpuFamilies.find(({ names }) => names.includes(name) || names.includes(`rtx${name}`))?.sm;
}

/** Capabilities without a GPU in the table are fine as numbers, from Maxwell on. */
function knownCapability(sm: number): number | undefined {
  return sm >= 50 && sm < 200 ? sm : undefined;
}

/** `NVIDIA GeForce RTX 4090` is `rtx4090`, `Tesla T4` is `t4`. */
function simpleName(text: string): string {
  return text
    .toLowerCase()
    .replace(
      /\b(?:nvidia|geforce|tesla|quadro|generation|blackwell|(?:server|workstation)? ?edition|laptop|gpu)\b/g,
      "",
    )
    .replace(/\b(?:sxm\d?|pcie|nvl|hbm\de?|\d+gb)\b/g, "")
    .replace(/[\s_-]+/g, "");
}

function unknownGpu(text: string): SheafError {
  const names = gpuFamilies.flatMap((family) => family.names);
  const near = didYouMean(simpleName(text), names);
  return new SheafError("SHEAF_GPU", `no GPU is known by the name ${JSON.stringify(text)}`, {
    hint: [
      ...(near === undefined ? [] : [`did you mean ${near}?`]),
      "sheaf gpu list shows the names; a compute capability as 8.6 works for any GPU",
    ],
  });
}

export interface CudaDriver {
  /** The oldest driver for Linux that runs programs of this CUDA, by minor version compatibility. */
  minimum: string;
  /** The driver that came with the toolkit: from it on, everything of that CUDA works. */
  complete: string | undefined;
}

/**
 * What driver a CUDA version (`12.1`, `12.1.105`) needs, from the toolkit's release notes.
 *
 * @returns undefined for majors that are not known
 */
export function driverFor(cuda: string): CudaDriver | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(cuda) ?? [];
  const minimum = minimumDrivers[major ?? ""];
  return minimum === undefined ? undefined : { minimum, complete: toolkitDrivers[`${major}.${minor}`] };
}

/** From 11 on, programs of a major run on every driver that supports its first minor. */
const minimumDrivers: Record<string, string | undefined> = { 11: "450.80.02", 12: "525.60.13", 13: "580.65.06" };

const toolkitDrivers: Record<string, string | undefined> = {
  "11.0": "450.36.06",
  "11.1": "455.23",
  "11.2": "460.27.03",
  "11.3": "465.19.01",
  "11.4": "470.42.01",
  "11.5": "495.29.05",
  "11.6": "510.39.01",
  "11.7": "515.43.04",
  "11.8": "520.61.05",
  "12.0": "525.60.13",
  "12.1": "530.30.02",
  "12.2": "535.54.03",
  "12.3": "545.23.06",
  "12.4": "550.54.14",
  "12.5": "555.42.02",
  "12.6": "560.28.03",
  "12.8": "570.26",
  "12.9": "575.51.03",
  "13.0": "580.65.06",
  "13.1": "590.44.01",
};

/** The newest CUDA that a driver knows, `12.0` of `525.60.13`; undefined for drivers that are older than all that are known. */
export function cudaOfDriver(driver: string): string | undefined {
  const known = Object.entries(toolkitDrivers).filter(([, each]) => each !== undefined && !isOlder(driver, each));
  return known.at(-1)?.[0];
}

/** Compares versions of drivers number by number; what one lacks is 0. */
export function isOlder(driver: string, other: string): boolean {
  const [numbers, others] = [driver, other].map((text) => text.split(".").map(Number)) as [number[], number[]];
  for (const [index, limit] of others.entries()) {
    const difference = (numbers[index] ?? 0) - limit;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Drivers before this one don't know device code that is compressed with zstd. */
export const zstdDriver = "550.54.14";

/** Whether programs of a CUDA version can use a GPU at all; undefined when one of the two is not known. */
export function cudaSupports(cuda: string, sm: number): boolean | undefined {
  const family = gpuFamilies.find((each) => each.sm === sm);
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(cuda) ?? [];
  if (!family || major === undefined || minor === undefined) return undefined;
  if (family.lastMajor !== undefined && Number(major) > family.lastMajor) return false;
  // Machine code of a lower minor runs too, so a CUDA that knows the major is enough.
  return gpuFamilies.some(
    (each) =>
      majorOf(each.sm) === majorOf(sm) && each.sm <= sm && isAtLeast([Number(major), Number(minor)], each.since),
  );
}

function isAtLeast([major, minor]: [number, number], version: string): boolean {
  const [otherMajor = 0, otherMinor = 0] = version.split(".").map(Number);
  return major > otherMajor || (major === otherMajor && minor >= otherMinor);
}
