import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { emptySettings, type IndexSettings } from "../index-config.ts";
import { evaluateMarker, markerEnvironment } from "../markers.ts";
import { parseMarker } from "../pep508.ts";
import { filenameOf, type LockReading, mergePins, type Pin, sha256Of } from "../pins.ts";
import { hideCredentials } from "../requirements.ts";
import type { LocalPackage } from "../resolution.ts";
import { unknownNameError } from "../selection.ts";
import { parseSpecifiers, pinnedVersion, satisfies } from "../specifiers.ts";
import { readToml, table, tables, text, texts, type TomlTable } from "../toml.ts";
import type { LockContext } from "./lock-context.ts";
import { outsideError } from "./outside.ts";

/**
 * Reads Pipfile.lock for one target: the section default and those of the chosen groups (`dev` is develop). Its sources say
 * where to look.
 * @throws SheafError SHEAF_LOCK, SHEAF_LOCK_STALE, SHEAF_SOURCE, SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP
 */
export function readPipfileLock(content: string, context: LockContext): LockReading & { settings: IndexSettings } {
  const lock = parseJson(content, context.file);
  const sections = Object.keys(lock).filter((name) => name !== "_meta" && name !== "default");
  const groups = sections.map((name) => (name === "develop" ? "dev" : normalizeName(name)));
  const error = unknownNameError({ selected: context, known: { extras: [], groups }, where: context.file });
  if (error) throw error;
  const sources = readSources(table(lock["_meta"]), context);
  const chosen = ["default", ...sections.filter((_, index) => context.groups.includes(groups[index] ?? ""))];
  const pins: Pin[] = [];
  const localPackages: LocalPackage[] = [];
  const environment = markerEnvironment(context.target);
  for (const section of chosen) {
    for (const [name, value] of Object.entries(table(lock[section]))) {
      const entry = table(value);
      const marker = text(entry["markers"]);
      if (marker && !evaluateMarker(parseMarker(marker), environment)) continue;
      const place = { name: normalizeName(name), section, context, sources };
      const local = localPackage(entry, place);
      if (local) localPackages.push(local);
      else pins.push(pinOf(entry, place));
    }
  }
  checkFresh(pins.concat(localPackages.map((local) => ({ ...emptyPin, ...local, version: "" }))), context);
  return {
    source: context.file,
    locked: pins.every((pin) => pin.hashes.length > 0 || pin.files.some((file) => file.sha256)),
    pins: mergePins(pins),
    localPackages,
    warnings: [],
    settings: sources,
  };
}

const emptyPin: Omit<Pin, "name" | "version"> = { files: [], hashes: [], source: "", requiredBy: [] };

interface Place {
  name: string;
  section: string;
  context: LockContext;
  sources: IndexSettings;
}

function parseJson(content: string, file: string): TomlTable {
  try {
    return table(JSON.parse(content));
  } catch (error) {
    throw new SheafError("SHEAF_LOCK", `${file} is not valid JSON`, { hint: "run pipenv lock", cause: error });
  }
}

/** The first source is the main one; `${NAME}` in a URL is filled in from the environment, as pipenv does. */
function readSources(meta: TomlTable, context: LockContext): IndexSettings {
  const settings = emptySettings();
  for (const source of tables(meta["sources"])) {
    const written = text(source["url"]);
    if (!written) continue;
    const url = written.replace(/\$\{?(\w+)\}?/g, (all, name: string) => context.inputs.variable(name) ?? all);
    const name = text(source["name"]);
    if (name) settings.named[name] = url;
    if (settings.default === undefined) settings.default = url;
    else settings.extra.push(url);
  }
  return settings;
}

function localPackage(entry: TomlTable, place: Place): LocalPackage | undefined {
  const written = text(entry["path"]) ?? (entry["editable"] === true ? text(entry["file"]) : undefined);
  if (written === undefined || /\.(?:whl|tar\.gz|zip)$/.test(written)) return undefined;
  const directory = path.posix.join(path.posix.dirname(place.context.file), written);
  if (directory.startsWith("..") || path.posix.isAbsolute(directory)) throw outsideError(place.name, directory);
  return { name: place.name, directory: directory === "." ? "" : directory };
}

function pinOf(entry: TomlTable, place: Place): Pin {
  const { name, context } = place;
  const git = text(entry["git"]);
  if (git) {
    throw new SheafError("SHEAF_SOURCE", `${name} comes from a git repository, which has no hash to check`, {
      details: [["repository", hideCredentials(git)]],
      hint: "build its wheel, put it into the repository and name it with path",
    });
  }
  const hashes = texts(entry["hashes"]).flatMap((hash) => sha256Of(hash) ?? []);
  const base = { name, hashes, source: context.file, requiredBy: [] };
  const location = text(entry["file"]) ?? text(entry["path"]);
  if (location) {
    const folder = path.dirname(path.resolve(context.inputs.root, context.file));
    const url = /^https?:/i.test(location) ? location : pathToFileURL(path.resolve(folder, location)).href;
    const filename = filenameOf(url);
    const sha256 = hashes.length === 1 ? hashes[0] : undefined;
    return {
      ...base,
      version: filename.split("-")[1] ?? "0",
      files: [{ filename, url, ...(sha256 && { sha256 }) }],
      direct: true,
    };
  }
  const version = pinnedVersion(parseSpecifiers(text(entry["version"]) ?? "") ?? []);
  if (version === undefined) {
    throw new SheafError(
      "SHEAF_LOCK",
      `${context.file} pins no version of ${name}, which CPython ${context.target.python} needs`,
      {
        hint: "lock with that Python: pipenv lock --python 3.x, or choose the one that it was locked with (--python)",
      },
    );
  }
  const index = place.sources.named[text(entry["index"]) ?? ""];
  // The main source is asked anyhow, with its credentials.
  const explicit = index !== undefined && index !== place.sources.default ? { index: hideCredentials(index) } : {};
  return { ...base, version, files: [], ...explicit };
}

function checkFresh(pins: Pin[], context: LockContext): void {
  const file = path.posix.join(path.posix.dirname(context.file), "Pipfile");
  const pipfile = readToml(context.inputs, file);
  if (!pipfile) return;
  const environment = markerEnvironment(context.target);
  const sections = ["packages", ...context.groups.map((group) => (group === "dev" ? "dev-packages" : group))];
  const problems: [string, string][] = [];
  for (const [written, value] of sections.flatMap((section) => Object.entries(table(pipfile[section])))) {
    const details = table(value);
    const name = normalizeName(written);
    const marker = text(details["markers"]);
    if (marker && !evaluateMarker(parseMarker(marker), environment)) continue;
    const pin = pins.find((candidate) => candidate.name === name);
    const wanted = text(value) ?? text(details["version"]) ?? "*";
    if (!pin) problems.push([name, `asked for in ${file}, not in the lock`]);
    else if (pin.version && wanted !== "*" && !satisfies(pin.version, wanted)) {
      problems.push([name, `asked for as ${wanted}, the lock pins ${pin.version}`]);
    }
  }
  if (problems.length === 0) return;
  throw new SheafError(
    "SHEAF_LOCK_STALE",
    `${context.file} is older than ${file}: ${problems.map(([name]) => name).join(", ")}`,
    {
      details: problems,
      hint: `run pipenv lock, and commit ${context.file}`,
    },
  );
}
