import { SheafError } from "../errors.ts";
import { platformName } from "../platform.ts";
import { parseWheelFilename, type WheelFilename } from "../wheel/filename.ts";
import { compareVersions } from "./pep440.ts";
import { parseSdistFilename, type ReleaseFile } from "./pins.ts";
import type { Target } from "./resolution.ts";
import { tagRanks } from "./tags.ts";
import { byCodeUnit } from "../order.ts";

export interface ChosenFile {
  kind: "wheel" | "sdist";
  file: ReleaseFile;
  /** Said to the user: the wheel promises nothing about glibc. */
  note?: string;
}

/**
 * The best file of one release for a target: the wheel whose tag ranks first, among equals the one with the highest
 * build number; else the sdist; else undefined.
 */
export function chooseFile(files: ReleaseFile[], name: string, target: Target): ChosenFile | undefined {
  const wheel = chooseWheel(files, target);
  if (wheel) return wheel;
  const sdist = files
    .filter((file) => parseSdistFilename(file.filename, name))
    .toSorted((a, b) => sdistRank(a.filename) - sdistRank(b.filename) || byCodeUnit(a.filename, b.filename))[0];
  return sdist && { kind: "sdist", file: sdist };
}

function sdistRank(filename: string): number {
  return filename.endsWith(".tar.gz") ? 0 : 1;
}

export function chooseWheel(files: ReleaseFile[], target: Target): ChosenFile | undefined {
  const ranks = tagRanks(target);
  let best: { file: ReleaseFile; wheel: WheelFilename; rank: number; tag: string } | undefined;
  for (const file of files) {
    const wheel = wheelOf(file.filename);
    if (!wheel) continue;
    const fit = bestTag(wheel, ranks);
    if (!fit) continue;
    const candidate = { file, wheel, ...fit };
    if (!best || isBetter(candidate, best)) best = candidate;
  }
  if (!best) return undefined;
  const note = /-linux_\w+$/.test(best.tag)
    ? `${best.file.filename} is tagged linux_… alone, so nothing promises that it fits the image's glibc`
    : undefined;
  return { kind: "wheel", file: best.file, ...(note && { note }) };
}

interface Ranked {
  file: ReleaseFile;
  wheel: WheelFilename;
  rank: number;
}

function isBetter(a: Ranked, b: Ranked): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  const order = compareBuilds(a.wheel.build, b.wheel.build);
  return order === 0 ? byCodeUnit(a.file.filename, b.file.filename) < 0 : order > 0;
}

/** A build tag sorts as its leading number, then its text; none sorts first (binary distribution format). */
function compareBuilds(a: string | undefined, b: string | undefined): number {
  const [left, right] = [buildKey(a), buildKey(b)];
  return left[0] - right[0] || byCodeUnit(left[1], right[1]);
}

function buildKey(build: string | undefined): [number, string] {
  const [, digits = "-1", rest = ""] = /^(\d+)(.*)$/.exec(build ?? "") ?? [];
  return [Number(digits), rest];
}

function bestTag(wheel: WheelFilename, ranks: Map<string, number>): { rank: number; tag: string } | undefined {
  let best: { rank: number; tag: string } | undefined;
  for (const tag of tagsOf(wheel)) {
    const rank = ranks.get(tag);
    if (rank !== undefined && (!best || rank < best.rank)) best = { rank, tag };
  }
  return best;
}

function tagsOf(wheel: WheelFilename): string[] {
  return wheel.pythonTags.flatMap((python) =>
    wheel.abiTags.flatMap((abi) => wheel.platformTags.map((platform) => `${python}-${abi}-${platform}`)),
  );
}

const parsed = new Map<string, WheelFilename | undefined>();

/** Undefined for everything that is not a well-named wheel: indexes hold all sorts of files. */
export function wheelOf(filename: string): WheelFilename | undefined {
  if (!filename.endsWith(".whl")) return undefined;
  if (!parsed.has(filename)) parsed.set(filename, parseOrSkip(filename));
  return parsed.get(filename);
}

function parseOrSkip(filename: string): WheelFilename | undefined {
  try {
    return parseWheelFilename(filename);
  } catch {
    return undefined;
  }
}

interface NoFitFacts {
  name: string;
  version: string;
  target: Target;
  /** Files of the pinned version. */
  files: ReleaseFile[];
  /** Files of every version, when an index told them: for the version to try. */
  allFiles?: ReleaseFile[];
  /** `torch ← ultralytics ← worker` without the first. */
  chain: string[];
  source: string;
  /** What forbids building: set when there is an sdist. */
  noBuild?: boolean;
}

/** The error for a release without a file for the target. */
export function noFitError(facts: NoFitFacts): SheafError {
  const { name, version, target } = facts;
  const minor = target.python.split(".").slice(0, 2).join(".");
  const details: [string, string][] = [];
  const present = summariseTags(facts.files);
  if (present) details.push(["wheels exist for", present]);
  if (facts.files.length === 0) details.push(["files found", "none"]);
  if (facts.chain.length > 0) details.push(["asked for by", facts.chain.join(" ← ")]);
  details.push(["pinned in", facts.source]);
  const hints = [versionToTry(facts)];
  if (facts.noBuild) hints.push("there is an sdist: leave --no-build out to build it in the sandbox");
  const why = musl(facts.files) ? " (those for musllinux need Alpine's libc)" : "";
  return new SheafError(
    "SHEAF_NO_WHEEL",
    `${name} ${version} has no wheel for CPython ${minor} on ${platformName(target.platform)}${why}`,
    { details, hint: hints.filter((hint) => hint !== undefined) },
  );
}

function musl(files: ReleaseFile[]): boolean {
  const wheels = files.map((file) => wheelOf(file.filename)).filter((wheel) => wheel !== undefined);
  return wheels.length > 0 && wheels.every((wheel) => wheel.platformTags.every((tag) => tag.startsWith("musllinux")));
}

/** `cp38 cp39 (manylinux2014_x86_64, win_amd64)`. */
function summariseTags(files: ReleaseFile[]): string {
  const wheels = files.map((file) => wheelOf(file.filename)).filter((wheel) => wheel !== undefined);
  if (wheels.length === 0) return "";
  const pythons = [
    ...new Set(
      wheels.flatMap((wheel) => wheel.pythonTags.map((tag) => (wheel.abiTags.includes(`${tag}t`) ? `${tag}t` : tag))),
    ),
  ];
  const platforms = [...new Set(wheels.flatMap((wheel) => wheel.platformTags))].toSorted(byCodeUnit);
  const shown = platforms.length > 6 ? [...platforms.slice(0, 6), `and ${platforms.length - 6} more`] : platforms;
  return `${pythons.toSorted(byTagNumber).join(" ")} (${shown.join(", ")})`;
}

function byTagNumber(a: string, b: string): number {
  return Number(/\d+/.exec(a)?.[0] ?? 0) - Number(/\d+/.exec(b)?.[0] ?? 0) || byCodeUnit(a, b);
}

/** The nearest later version with a wheel, else the newest with one. */
function versionToTry(facts: NoFitFacts): string | undefined {
  const groups = new Map<string, ReleaseFile[]>();
  for (const file of facts.allFiles ?? []) {
    const version = wheelOf(file.filename)?.version;
    if (version !== undefined) groups.set(version, [...(groups.get(version) ?? []), file]);
  }
  const fitting = [...groups]
    .filter(([, files]) => chooseWheel(files, facts.target))
    .map(([version]) => version)
    .toSorted(compareVersions);
  const later = fitting.find((version) => compareVersions(version, facts.version) > 0);
  if (later) return `${facts.name} ${later}, the oldest version after it with one`;
  const newest = fitting.at(-1);
  return newest && `${facts.name} ${newest}, the newest version with one`;
}
