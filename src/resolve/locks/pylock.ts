import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { evaluateMarker, type MarkerEnvironment, markerEnvironment } from "../markers.ts";
import { parseMarker } from "../pep508.ts";
import { filenameOf, type LockReading, mergePins, type Pin, type ReleaseFile } from "../pins.ts";
import { readPyproject } from "../pyproject.ts";
import { hideCredentials } from "../requirements.ts";
import type { LocalPackage } from "../resolution.ts";
import { unknownNameError } from "../selection.ts";
import { satisfies } from "../specifiers.ts";
import { parseToml, table, tables, text, texts, type TomlTable } from "../toml.ts";
import type { LockContext } from "./lock-context.ts";
import { outsideError } from "./outside.ts";

/**
 * Reads pylock.toml (PEP 751) for one target: every package whose marker holds.
 * @throws SheafError SHEAF_LOCK, SHEAF_PYTHON, SHEAF_SOURCE, SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP
 */
export function readPylock(content: string, context: LockContext): LockReading {
  const reading = readPylockPackages(content, context);
  return { ...reading, warnings: [...reading.warnings, ...stalenessWarnings(context, reading)] };
}

/** The same without a look at the project's pyproject.toml: for what a resolver has just written. */
export function readPylockPackages(content: string, context: LockContext): LockReading {
  const lock = parseToml(content, context.file);
  checkHeader(lock, context);
  const groups = context.groups.length > 0 ? context.groups : texts(lock["default-groups"]);
  const environment = markerEnvironment(context.target, { extras: context.extras, groups });
  checkEnvironments(lock, context, environment);
  const chosen = tables(lock["packages"]).filter((item) => holds(item, environment));
  const askedBy = reverseDependencies(chosen);
  const pins: Pin[] = [];
  const localPackages: LocalPackage[] = [];
  for (const item of chosen) {
    const name = normalizeName(text(item["name"]) ?? "");
    checkPython(item, name, context);
    const local = localPackage(item, name, context);
    if (local) localPackages.push(local);
    else if (item["directory"] === undefined)
      pins.push(pinOf(item, name, { context, requiredBy: askedBy.get(name) ?? [] }));
  }
  refuseTwins(pins, context.file);
  return {
    source: context.file,
    locked: pins.every((pin) => pin.files.length > 0 && pin.files.every((file) => file.sha256 !== undefined)),
    pins: mergePins(pins),
    localPackages,
    warnings: [],
  };
}

function checkHeader(lock: TomlTable, context: LockContext): void {
  const version = text(lock["lock-version"]);
  if (version === undefined || !/^1\.\d+$/.test(version)) {
    throw new SheafError(
      "SHEAF_LOCK",
      `${context.file} has lock-version ${JSON.stringify(version)}, Sheaf reads 1.x (PEP 751)`,
    );
  }
  const requires = text(lock["requires-python"]);
  if (requires && !satisfies(context.target.python, requires)) {
    throw new SheafError(
      "SHEAF_PYTHON",
      `${context.file} is for Python ${requires}, the image has ${context.target.python}`,
    );
  }
  const error = unknownNameError({
    selected: context,
    known: {
      extras: texts(lock["extras"]).map(normalizeName),
      groups: texts(lock["dependency-groups"]).map(normalizeName),
    },
    where: context.file,
  });
  if (error) throw error;
}

function checkEnvironments(lock: TomlTable, context: LockContext, environment: MarkerEnvironment): void {
  const environments = texts(lock["environments"]);
  if (environments.length === 0 || environments.some((marker) => evaluateMarker(parseMarker(marker), environment)))
    return;
  throw new SheafError(
    "SHEAF_LOCK",
    `${context.file} was not made for CPython ${context.target.python} on this platform`,
    {
      details: environments.map((marker): [string, string] => ["made for", marker]),
    },
  );
}

function holds(item: TomlTable, environment: MarkerEnvironment): boolean {
  const marker = text(item["marker"]);
  return !marker || evaluateMarker(parseMarker(marker), environment);
}

function checkPython(item: TomlTable, name: string, context: LockContext): void {
  const requires = text(item["requires-python"]);
  if (!requires || satisfies(context.target.python, requires)) return;
  throw new SheafError(
    "SHEAF_PYTHON",
    `${name} in ${context.file} needs Python ${requires}, the image has ${context.target.python}`,
  );
}

function reverseDependencies(packages: TomlTable[]): Map<string, string[]> {
  const askedBy = new Map<string, string[]>();
  for (const item of packages) {
    for (const dependency of tables(item["dependencies"])) {
      const name = normalizeName(text(dependency["name"]) ?? "");
      askedBy.set(name, [...(askedBy.get(name) ?? []), normalizeName(text(item["name"]) ?? "")]);
    }
  }
  return askedBy;
}

function localPackage(item: TomlTable, name: string, context: LockContext): LocalPackage | undefined {
  const place = text(table(item["directory"])["path"]);
  if (place === undefined) return undefined;
  const sub = text(table(item["directory"])["subdirectory"]) ?? "";
  const directory = path.posix.join(path.posix.dirname(context.file), place, sub).replace(/^\.$|\/$/g, "");
  if (directory.startsWith("..") || path.posix.isAbsolute(directory)) throw outsideError(name, directory);
  if (directory === context.project.directory && name === normalizeName(context.project.name.value)) return undefined;
  const version = text(item["version"]);
  return { name, ...(version && { version }), directory };
}

function pinOf(item: TomlTable, name: string, more: { context: LockContext; requiredBy: string[] }): Pin {
  const { context } = more;
  const vcs = text(table(item["vcs"])["url"]);
  if (vcs) {
    throw new SheafError("SHEAF_SOURCE", `${name} comes from a repository, which has no hash to check`, {
      details: [["repository", hideCredentials(vcs)]],
      hint: "build its wheel, put it into the repository and lock it by its path",
    });
  }
  const sources = [...tables(item["wheels"]), ...["sdist", "archive"].map((key) => table(item[key]))];
  const files = sources.filter((file) => Object.keys(file).length > 0).map((file) => fileOf(file, context));
  const index = text(item["index"]);
  return {
    name,
    version: text(item["version"]) ?? "0",
    files,
    hashes: [],
    ...(item["archive"] !== undefined && { direct: true }),
    ...(index && { index }),
    source: context.file,
    requiredBy: more.requiredBy,
  };
}

function fileOf(file: TomlTable, context: LockContext): ReleaseFile {
  const sha256 = text(table(file["hashes"])["sha256"])?.toLowerCase();
  const place = text(file["path"]);
  const folder = path.dirname(path.resolve(context.inputs.root, context.file));
  const url = text(file["url"]) ?? (place === undefined ? undefined : pathToFileURL(path.resolve(folder, place)).href);
  return {
    filename: text(file["name"]) ?? filenameOf(url ?? ""),
    ...(sha256 && { sha256 }),
    ...(url && { url }),
    ...(typeof file["size"] === "number" && { size: file["size"] }),
  };
}

/** PEP 751: two packages of one name for one environment make the file ambiguous. */
function refuseTwins(pins: Pin[], file: string): void {
  const names = pins.map((pin) => pin.name);
  const twin = names.find((name, index) => names.indexOf(name) !== index);
  if (twin) throw new SheafError("SHEAF_LOCK", `${file} has two packages ${twin} for one environment`);
}

/** pylock.toml keeps no copy of what was asked for, so only a missing name can be told. */
function stalenessWarnings(context: LockContext, reading: LockReading): string[] {
  const pyproject = readPyproject(context.inputs, context.project.directory);
  const locked = new Set([...reading.pins, ...reading.localPackages].map((item) => item.name));
  const environment = markerEnvironment(context.target);
  const missing = (pyproject?.dependencies ?? []).filter(
    ({ name, marker }) => !locked.has(name) && (!marker || evaluateMarker(marker, environment)),
  );
  return missing.map(({ name }) => `${name} is in ${pyproject?.file}, but ${context.file} doesn't have it: lock anew`);
}
