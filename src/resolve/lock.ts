import * as path from "node:path";

import { normalizeName } from "../wheel/filename.ts";
import { mapConcurrently } from "../concurrency.ts";
import { mergeSettings } from "./index-config.ts";
import { Inputs } from "./inputs.ts";
import { hashesOf, Lookup } from "./lookup.ts";
import { environmentMarker, type LockEnvironment } from "./lock-environments.ts";
import { compareVersions } from "./pep440.ts";
import type { Pin } from "./pins.ts";
import { type PinsReading, readPins } from "./read-pins.ts";
import { logicalLines, viaOf } from "./requirements.ts";
import { indexSettings } from "./resolve-anew.ts";
import type { ResolveRequest, ResolveServices } from "./request.ts";
import { satisfies } from "./specifiers.ts";
import { byCodeUnit } from "../order.ts";

interface LockFile {
  /** Path from the project's root at which to write it. */
  file: string;
  text: string;
}

const header =
  "# Written by sheaf lock: the hashes of every file, for each Python that the project allows, on linux/amd64 and linux/arm64.";

/**
 * Writes a resolution down as requirements with hashes. It names no URL of an index, has the hashes of all files of each
 * version and keeps markers, so that it serves several Pythons and both architectures. The same input gives the same text.
 */
export async function lockProject(request: ResolveRequest, services: ResolveServices): Promise<LockFile> {
  const inputs = new Inputs(request.project.root);
  const normalised = {
    ...request,
    extras: [...new Set(request.extras.map(normalizeName))].toSorted(byCodeUnit),
    groups: [...new Set(request.groups.map(normalizeName))].toSorted(byCodeUnit),
  };
  const settings = indexSettings(normalised, inputs);
  const context = { services, inputs, settings };
  const file = lockName(request, inputs);
  const own = await readPins(normalised, context);
  if (own.resolvedFrom) return { file, text: await lockWithUv(normalised, own.resolvedFrom, context) };
  const readings: { environment: LockEnvironment; reading: PinsReading }[] = [];
  for (const environment of lockEnvironments(request)) {
    const { python, architecture } = environment;
    const target = { ...request.target, python, platform: { os: "linux", architecture } as const };
    readings.push({ environment, reading: await readPins({ ...normalised, target }, context) });
  }
  const first = readings[0]?.reading;
  const lookup = new Lookup(
    services,
    mergeSettings(first ? [first.settings, settings] : [settings]),
    request.refresh ?? false,
  );
  return { file, text: await render(readings, { lookup, file, inputs }) };
}

/** requirements.txt when there is none or Sheaf wrote it, else a name of its own. */
function lockName(request: ResolveRequest, inputs: Inputs): string {
  const usual = path.posix.join(request.project.directory, "requirements.txt");
  const present = inputs.read(usual);
  if (present === undefined || present.startsWith(header)) return usual;
  return path.posix.join(request.project.directory, "requirements-lock.txt");
}

const knownMinors = [9, 10, 11, 12, 13, 14, 15];

/** The target's Python and all others that the project allows, on both architectures; the target's first. */
function lockEnvironments(request: ResolveRequest): LockEnvironment[] {
  const { target, project } = request;
  const own = target.python.split(".").slice(0, 2).join(".");
  const requires = project.requiresPython?.value;
  const others = requires ? knownMinors.filter((minor) => satisfies(`3.${minor}.99`, requires)) : [];
  const pythons = [
    target.python,
    ...others
      .map((minor) => `3.${minor}`)
      .filter((python) => python !== own)
      .map((python) => `${python}.99`),
  ];
  const architectures = ["amd64", "arm64"] as const;
  return pythons.flatMap((python) => architectures.map((architecture) => ({ python, architecture })));
}

interface Line {
  pin: Pin;
  environments: LockEnvironment[];
  requiredBy: Set<string>;
}

async function render(
  readings: { environment: LockEnvironment; reading: PinsReading }[],
  context: { lookup: Lookup; file: string; inputs: Inputs },
): Promise<string> {
  const lines = new Map<string, Line>();
  const locals = new Map<string, LockEnvironment[]>();
  for (const { environment, reading } of readings) {
    for (const pin of reading.pins) {
      const key = `${pin.name}==${pin.version}`;
      const line = lines.get(key) ?? { pin, environments: [], requiredBy: new Set() };
      lines.set(key, line);
      line.environments.push(environment);
      for (const name of pin.requiredBy) line.requiredBy.add(name);
    }
    for (const { directory } of reading.localPackages) {
      locals.set(directory, [...(locals.get(directory) ?? []), environment]);
    }
  }
  const all = readings.map(({ environment }) => environment);
  const sorted = [...lines.values()].toSorted(
    (a, b) => byCodeUnit(a.pin.name, b.pin.name) || compareVersions(a.pin.version, b.pin.version),
  );
  const folder = path.posix.dirname(context.file);
  const localLines = [...locals.keys()]
    .toSorted(byCodeUnit)
    .map((directory) => `-e ./${path.posix.relative(folder, directory)}\n`);
  const pinLines = await mapConcurrently(sorted, 16, async (line) => renderLine(line, { ...context, folder, all }));
  return `${header}\n${localLines.join("")}${pinLines.join("")}`;
}

async function renderLine(
  line: Line,
  context: { lookup: Lookup; folder: string; inputs: Inputs; all: LockEnvironment[] },
): Promise<string> {
  const { pin } = line;
  const known = hashesOf(pin);
  const hashes =
    known.length > 0 || pin.direct
      ? known
      : (await context.lookup.release(pin)).files.flatMap((file) => file.sha256 ?? []);
  const marker = environmentMarker(line.environments, context.all);
  const location = pin.direct ? directLocation(pin, context) : `${pin.name}==${pin.version}`;
  return renderRequirement({
    head: `${location}${marker && ` ; ${marker}`}`,
    hashes,
    requiredBy: [...line.requiredBy],
  });
}

/** A file of the repository by its path, one from elsewhere by its URL: no index could find it. */
function directLocation(pin: Pin, context: { folder: string; inputs: Inputs }): string {
  const url = pin.files[0]?.url ?? "";
  if (!url.startsWith("file:")) return `${pin.name} @ ${url}`;
  const file = decodeURIComponent(new URL(url).pathname);
  return `./${path.relative(path.resolve(context.inputs.root, context.folder), file).split(path.sep).join("/")}`;
}

function renderRequirement(requirement: { head: string; hashes: string[]; requiredBy: string[] }): string {
  const hashes = [...new Set(requirement.hashes)].toSorted(byCodeUnit).map((hash) => `    --hash=sha256:${hash}`);
  const via = requirement.requiredBy.toSorted(byCodeUnit);
  const notes =
    via.length === 0
      ? ""
      : via.length === 1
        ? `    # via ${via[0]}\n`
        : `    # via\n${via.map((name) => `    #   ${name}\n`).join("")}`;
  return `${[requirement.head, ...hashes].join(" \\\n")}\n${notes}`;
}

/** uv's universal answer in the same dress: sorted, no options that name an index. */
async function lockWithUv(
  request: ResolveRequest,
  files: string[],
  context: Parameters<typeof readPins>[1],
): Promise<string> {
  const { compileUniversally } = await import("./uv.ts");
  const minors = lockEnvironments(request).map(({ python }) => python.split(".").slice(0, 2).join("."));
  const python = minors.toSorted(compareVersions)[0] ?? request.target.python;
  const compiled = await compileUniversally({ inputs: files, request, python }, context);
  const requirements = logicalLines(compiled).flatMap(({ line, comments }) => {
    const words = line.split(/\s+--hash=/);
    const head = (words[0] ?? "").trim();
    if (head.startsWith("-") && !head.startsWith("-e")) return [];
    const hashes = words.slice(1).map((hash) => hash.trim().replace(/^sha256:/, ""));
    return [{ head, hashes, requiredBy: viaOf(comments) }];
  });
  return `${header}\n${requirements.map(renderRequirement).join("")}`;
}
