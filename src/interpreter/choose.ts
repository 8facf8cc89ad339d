import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { hostPlatform, machineOf, platformName, type Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import {
  discoverInterpreters,
  shortPath,
  thisMachine,
  type Candidate,
  type Discovery,
  type Machine,
} from "./discover.ts";
import { downloadInterpreter, findUv } from "./download.ts";
import type { Rejection } from "./inspect.ts";
import { noPythonError } from "./no-python.ts";
import type { InterpreterRequest } from "./request.ts";
import { comparePreference, compareVersions, downloadableMinors, isPrerelease, minorOf, patchOf } from "./version.ts";
import { byCodeUnit } from "../order.ts";

export interface InterpreterServices {
  store: Store;
  emit: Emit;
  /** What Debian's archive offers for the platform. */
  debian?: () => Promise<{ version: string; suite: string }[]>;
  /** PEP 440: whether a version lies in a specifier. */
  specifierMatches: (version: string, specifier: string) => boolean | Promise<boolean>;
  /** This machine unless a test says otherwise. */
  machine?: Machine;
  /** How long a download may stand still, in ms. */
  stallMs?: number;
}

/** Which CPython goes into the image. */
export interface InterpreterChoice {
  kind: "uv" | "host" | "debian" | "base";
  /** `3.12.1` */
  version: string;
  /** `3.12` */
  minor: string;
  /** Folder on this machine that holds bin/ and lib/, for `uv` and `host`. */
  prefix?: string;
  /** Debian's suite, for `debian`. */
  suite?: string;
  /** Why this one, in the user's words. */
  reason: string;
  /** What was considered before it and why it wasn't taken. */
  tried: Rejection[];
}

/**
 * Chooses the interpreter: one that uv manages on this machine, one that is installed on it, a download by uv, or
 * Debian's own; the first of these that has the minor asked for. An exact patch release wins over that order, and where
 * it is nowhere the nearest of its minor is taken with a warning. Nobody asking, the rule of `comparePreference` holds.
 *
 * @throws SheafError SHEAF_NO_PYTHON with what was tried and how to get one; SHEAF_PYTHON_CONFLICT when `wanted` lies
 * outside `requires`
 */
export async function chooseInterpreter(
  request: InterpreterRequest,
  services: InterpreterServices,
): Promise<InterpreterChoice> {
  await refuseConflict(request, services);
  const machine = services.machine ?? thisMachine();
  const downloads = path.join(services.store.root, "python");
  const discovery = discoverInterpreters(machine, downloads);
  const rejected = discovery.rejected.map(({ what, whyNot }) => ({ what: shortPath(what, machine.home), whyNot }));
  const search: Search = { request, services, machine, downloads, tried: rejected };

  const local = await fromThisMachine(discovery, search);
  if (local) return local;
  const downloaded = await fromDownload(search);
  if (downloaded) return downloaded;
  const debian = await fromDebian(search);
  if (debian) return debian;
  throw noPythonError(request, { discovery, tried: search.tried, uv: findUv(machine.environment["PATH"] ?? "") });
}

interface Search {
  request: InterpreterRequest;
  services: InterpreterServices;
  machine: Machine;
  downloads: string;
  tried: Rejection[];
}

async function refuseConflict({ wanted, requires, source }: InterpreterRequest, services: InterpreterServices) {
  if (!wanted || !requires) return;
  const versions = patchOf(wanted) === undefined ? [`${wanted}.0`, `${wanted}.1`, `${wanted}.99`] : [wanted];
  for (const version of versions) if (await services.specifierMatches(version, requires)) return;
  throw new SheafError(
    "SHEAF_PYTHON_CONFLICT",
    `${source} asks for Python ${wanted}, which the project's requires-python rules out`,
    {
      details: [
        ["asked for", `${wanted} (${source})`],
        ["requires-python", requires],
      ],
      hint: ["make the two agree", "or choose for this build: sheaf build --python VERSION"],
    },
  );
}

async function fromThisMachine(discovery: Discovery, search: Search): Promise<InterpreterChoice | undefined> {
  const fitting: Candidate[] = [];
  for (const candidate of discovery.candidates) {
    const against = await reasonAgainst(candidate, search);
    if (against === undefined) fitting.push(candidate);
    else search.tried.push({ what: describe(candidate, search.machine), whyNot: against });
  }
  const best = bestOf(fitting, search.request.wanted);
  if (!best) return undefined;
  warnOfOtherPatch(best, search);
  for (const other of fitting) {
    if (other !== best) search.tried.push({ what: describe(other, search.machine), whyNot: whySecond(other, best) });
  }
  return chosen(best, search);
}

async function reasonAgainst(candidate: Candidate, { request, services }: Search): Promise<string | undefined> {
  if (candidate.machine !== machineOf(request.platform)) return `is for ${candidate.machine}`;
  if (request.wanted && candidate.minor !== minorOf(request.wanted)) return `isn't Python ${minorOf(request.wanted)}`;
  if (request.requires && !(await services.specifierMatches(candidate.version, request.requires))) {
    return `lies outside requires-python ${request.requires}`;
  }
  if (isPrerelease(candidate.version) && candidate.version !== request.wanted) return "is a pre-release";
  return undefined;
}

function bestOf(candidates: Candidate[], wanted: string | undefined): Candidate | undefined {
  const patch = wanted === undefined ? undefined : patchOf(wanted);
  return candidates.toSorted((a, b) => {
    if (wanted === undefined) {
      const byMinor = comparePreference(a.minor, b.minor);
      if (byMinor !== 0) return byMinor;
    }
    if (patch !== undefined) {
      const byDistance = distance(a, patch) - distance(b, patch);
      if (byDistance !== 0) return byDistance;
    }
    if (a.kind !== b.kind) return a.kind === "uv" ? -1 : 1;
    return compareVersions(b.version, a.version) || byCodeUnit(a.prefix, b.prefix);
  })[0];
}

function distance(candidate: Candidate, patch: number): number {
  return Math.abs((patchOf(candidate.version) ?? 0) - patch);
}

function warnOfOtherPatch(best: Candidate, { request, services }: Search): void {
  const { wanted, source } = request;
  if (wanted === undefined || patchOf(wanted) === undefined || wanted === best.version) return;
  services.emit({
    type: "warning",
    code: "SHEAF_PYTHON_PATCH",
    message: `${source} asks for Python ${wanted}; the nearest on this machine is ${best.version}, which goes into the image`,
    hint: `uv python install ${wanted}`,
  });
}

function whySecond(other: Candidate, best: Candidate): string {
  if (other.minor !== best.minor) return `${best.minor} comes first where the project leaves the choice open`;
  if (other.version === best.version) return "is the same release, found later";
  if (other.kind !== best.kind) return "comes after what uv manages";
  return `${best.version} is nearer to what was asked for`;
}

function chosen(candidate: Candidate, search: Search): InterpreterChoice {
  const { request, machine, tried } = search;
  const where = candidate.kind === "uv" ? "managed by uv on this machine" : "imported from this machine";
  const reason = [`${where}: ${shortPath(candidate.prefix, machine.home)}`, demand(request)];
  return {
    kind: candidate.kind,
    version: candidate.version,
    minor: candidate.minor,
    prefix: candidate.prefix,
    reason: reason.filter(Boolean).join("; "),
    tried,
  };
}

async function fromDownload(search: Search): Promise<InterpreterChoice | undefined> {
  const { request, services, machine, downloads, tried } = search;
  const what = "a download by uv";
  const uv = findUv(machine.environment["PATH"] ?? "");
  if (!uv) return refuse(tried, what, "uv isn't on PATH");
  if (request.offline) return refuse(tried, what, "offline");
  const version = request.wanted ?? (await preferredMinor(search));
  if (!version) return refuse(tried, what, `no release of Python lies in ${request.requires}`);
  const problem = await downloadInterpreter({
    uv,
    version,
    machine: machineOf(request.platform),
    folder: downloads,
    stallMs: services.stallMs,
  });
  if (problem) return refuse(tried, what, problem);
  const only: Machine = { environment: {}, home: downloads, systemPrefixes: [], systemCollections: [] };
  const found = discoverInterpreters(only, downloads).candidates;
  const fitting: Candidate[] = [];
  for (const candidate of found) if ((await reasonAgainst(candidate, search)) === undefined) fitting.push(candidate);
  const best = bestOf(fitting, request.wanted);
  if (!best) return refuse(tried, what, `uv brought nothing that fits ${request.wanted ?? request.requires}`);
  return { ...chosen(best, search), reason: [`downloaded by uv`, demand(request)].filter(Boolean).join("; ") };
}

async function preferredMinor({ request, services }: Search): Promise<string | undefined> {
  for (const minor of downloadableMinors) {
    // uv brings the newest patch, which is always past .0: a lower bound within a minor is met by the highest number.
    if (!request.requires || (await services.specifierMatches(`${minor}.99`, request.requires))) return minor;
  }
  return undefined;
}

async function fromDebian(search: Search): Promise<InterpreterChoice | undefined> {
  const { request, services, tried } = search;
  const what = "Debian's own";
  if (!services.debian) return refuse(tried, what, "the base isn't composed from Debian packages");
  const fitting: { version: string; suite: string }[] = [];
  for (const offer of await services.debian()) {
    const { version, suite } = offer;
    if (request.wanted && minorOf(version) !== minorOf(request.wanted)) {
      tried.push({ what: `${suite}'s Python ${version}`, whyNot: `isn't Python ${minorOf(request.wanted)}` });
    } else if (request.requires && !(await services.specifierMatches(version, request.requires))) {
      tried.push({ what: `${suite}'s Python ${version}`, whyNot: `lies outside requires-python ${request.requires}` });
    } else fitting.push(offer);
  }
  // The archive's order stands for the base's own suite first.
  const best = fitting[0];
  if (!best) return undefined;
  const { version, suite } = best;
  const reason = [`Debian's own, from ${suite}`, demand(request), "nothing on this machine fits"];
  return { kind: "debian", version, minor: minorOf(version), suite, reason: reason.filter(Boolean).join("; "), tried };
}

function demand({ wanted, requires, source }: InterpreterRequest): string | undefined {
  if (wanted) return `${source} asks for ${wanted}`;
  return requires ? `requires-python ${requires}` : undefined;
}

function describe(candidate: Candidate, machine: Machine): string {
  return `Python ${candidate.version} (${shortPath(candidate.prefix, machine.home)})`;
}

function refuse(tried: Rejection[], what: string, whyNot: string): undefined {
  tried.push({ what, whyNot });
  return undefined;
}

/** Whether interpreters of this machine run on the platform. */
export function runsHere(platform: Platform): boolean {
  const host = hostPlatform();
  return host !== undefined && platformName(host) === platformName(platform);
}
