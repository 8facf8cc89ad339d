import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import type { IndexSettings } from "../index-config.ts";
import { evaluateMarker, markerEnvironment } from "../markers.ts";
import { parseMarker } from "../pep508.ts";
import { compareVersions } from "../pep440.ts";
import { type LockReading, mergePins, type Pin, type ReleaseFile, sha256Of } from "../pins.ts";
import { readPyproject } from "../pyproject.ts";
import { hideCredentials } from "../requirements.ts";
import type { LocalPackage } from "../resolution.ts";
import { unknownNameError } from "../selection.ts";
import { parseToml, table, tables, text, texts, type TomlTable } from "../toml.ts";
import type { LockContext } from "./lock-context.ts";
import { outsideError } from "./outside.ts";
import { satisfiesPoetry } from "./poetry-constraint.ts";
import {
  contentHashes,
  type PoetryDependency,
  poetryRoots,
  type PoetryRoots,
  readDependencies,
} from "./poetry-project.ts";

/**
 * Reads poetry.lock, written by Poetry 1 or 2, for one target: walks from what pyproject.toml asks for.
 * @throws SheafError SHEAF_LOCK_STALE, SHEAF_LOCK, SHEAF_SOURCE, SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP
 */
export function readPoetryLock(content: string, context: LockContext): LockReading & { settings?: IndexSettings } {
  const lock = parseToml(content, context.file);
  const directory = path.posix.dirname(context.file) === "." ? "" : path.posix.dirname(context.file);
  const pyproject = readPyproject(context.inputs, directory);
  if (!pyproject) {
    throw new SheafError("SHEAF_LOCK", `${context.file} has no pyproject.toml beside it, which says what is asked for`);
  }
  const roots = poetryRoots(pyproject);
  const error = unknownNameError({
    selected: context,
    known: { extras: [...roots.extras.keys()], groups: [...roots.groups.keys()] },
    where: pyproject.file,
  });
  if (error) throw error;
  const rootName = normalizeName(context.project.name.value);
  const walk = new PoetryWalk(lock, context, rootName);
  walk.start(roots);
  const written = text(table(lock["metadata"])["content-hash"]);
  const changed = written !== undefined && !contentHashes(pyproject.table).includes(written);
  const reading = walk.result();
  const note = `${pyproject.file} changed since ${context.file} was written, though all that it asks for is in it (poetry lock mends this)`;
  return { ...reading, warnings: changed ? [...reading.warnings, note] : reading.warnings };
}

interface Package {
  name: string;
  version: string;
  table: TomlTable;
  dependencies: PoetryDependency[];
}

class PoetryWalk {
  readonly #context: LockContext;
  readonly #rootName: string;
  readonly #packages = new Map<string, Package[]>();
  readonly #oldFiles: TomlTable;
  readonly #visited = new Map<Package, Set<string>>();
  readonly #requiredBy = new Map<Package, Set<string>>();
  readonly #problems: [string, string][] = [];

  constructor(lock: TomlTable, context: LockContext, rootName: string) {
    this.#context = context;
    this.#rootName = rootName;
    this.#oldFiles = table(table(lock["metadata"])["files"]);
    for (const item of tables(lock["package"])) {
      const name = normalizeName(text(item["name"]) ?? "");
      const found: Package = {
        name,
        version: text(item["version"]) ?? "0",
        table: item,
        dependencies: readDependencies(table(item["dependencies"])),
      };
      this.#packages.set(name, [...(this.#packages.get(name) ?? []), found]);
    }
  }

  start(roots: PoetryRoots): void {
    const { extras, groups } = this.#context;
    const chosen = new Set(extras.flatMap((extra) => roots.extras.get(extra)?.names ?? []));
    const asked = [
      ...roots.main.filter((dependency) => !dependency.optional || chosen.has(dependency.name)),
      ...extras.flatMap((extra) => roots.extras.get(extra)?.own ?? []),
      ...groups.flatMap((group) => roots.groups.get(group) ?? []),
    ];
    for (const dependency of asked) {
      if (dependency.name === this.#rootName || !this.#holds(dependency, extras)) continue;
      const found = this.#find(dependency);
      if (found) this.#visit(found, dependency.extras, this.#rootName);
      else this.#problems.push([dependency.name, this.#problem(dependency)]);
    }
    if (this.#problems.length === 0) return;
    const names = this.#problems.map(([name]) => name).join(", ");
    throw new SheafError("SHEAF_LOCK_STALE", `${this.#context.file} is older than pyproject.toml: ${names}`, {
      details: this.#problems,
      hint: `run poetry lock, and commit ${this.#context.file}`,
    });
  }

  result(): LockReading {
    const packages = [...this.#visited.keys()];
    const pins = packages.flatMap((item) => this.#pin(item));
    return {
      source: this.#context.file,
      locked: pins.every((pin) => pin.files.length > 0 && pin.files.every((file) => file.sha256 !== undefined)),
      pins: mergePins(pins),
      localPackages: packages.flatMap((item) => this.#localPackage(item)),
      warnings: [],
    };
  }

  #problem(dependency: PoetryDependency): string {
    const locked = this.#packages.get(dependency.name)?.map((item) => item.version);
    return locked ? `asked for as ${dependency.constraint}, the lock pins ${locked.join(" and ")}` : "not in the lock";
  }

  #visit(item: Package, extras: string[], from: string): void {
    this.#requiredBy.set(item, (this.#requiredBy.get(item) ?? new Set()).add(from));
    const done = this.#visited.get(item) ?? new Set<string>();
    const fresh = ["", ...extras].filter((extra) => !done.has(extra));
    this.#visited.set(item, new Set([...done, ...fresh]));
    if (fresh.length === 0) return;
    const optional = this.#namesOf(item, extras);
    for (const dependency of item.dependencies) {
      if (dependency.optional && !optional.has(dependency.name)) continue;
      if (!this.#holds(dependency, extras)) continue;
      // An extra of a package may ask for the package itself with other extras.
      const found = dependency.name === item.name ? item : this.#find(dependency);
      if (found) this.#visit(found, dependency.extras, item.name);
      else if (!dependency.optional) this.#missing(dependency, item);
    }
  }

  #missing(dependency: PoetryDependency, item: Package): void {
    throw new SheafError(
      "SHEAF_LOCK",
      `${this.#context.file}: ${item.name} ${item.version} asks for ${dependency.name}, ${this.#problem(dependency)}`,
      {
        hint: "run poetry lock, and commit poetry.lock",
      },
    );
  }

  /** Names of the optional dependencies that the extras of a package bring. */
  #namesOf(item: Package, extras: string[]): Set<string> {
    const table_ = table(item.table["extras"]);
    const lists = Object.entries(table_).filter(([name]) => extras.includes(normalizeName(name)));
    return new Set(
      lists.flatMap(([, list]) => texts(list).map((entry) => normalizeName(/^[\w.-]+/.exec(entry)?.[0] ?? ""))),
    );
  }

  #holds(dependency: PoetryDependency, extras: string[]): boolean {
    const environment = markerEnvironment(this.#context.target, { extras });
    if (dependency.python && !satisfiesPoetry(this.#context.target.python, dependency.python)) return false;
    return dependency.markers.every((marker) => evaluateMarker(marker, environment));
  }

  #find(dependency: PoetryDependency): Package | undefined {
    const candidates = (this.#packages.get(dependency.name) ?? []).filter((item) => {
      const satisfied = isPlaced(item) || satisfiesPoetry(item.version, dependency.constraint);
      return satisfied && this.#fitsTarget(item);
    });
    return candidates.toSorted((a, b) => compareVersions(b.version, a.version))[0];
  }

  /** Among forks of a name: Python and (since lock version 2.1) the marker under which the fork was locked. */
  #fitsTarget(item: Package): boolean {
    const { target, extras, groups } = this.#context;
    const python = text(item.table["python-versions"]);
    if (python && python !== "*" && !satisfiesPoetry(target.python, python)) return false;
    const written = item.table["markers"];
    const markers =
      typeof written === "string"
        ? [written]
        : Object.values(table(written)).filter((value) => typeof value === "string");
    // Markers by group: without one for some group, the package is there for the whole of it.
    if (markers.length === 0 || (typeof written !== "string" && markers.length < texts(item.table["groups"]).length))
      return true;
    const environment = markerEnvironment(target, { extras, groups });
    return markers.some((marker) => evaluateMarker(parseMarker(marker), environment));
  }

  #pin(item: Package): Pin[] {
    const source = table(item.table["source"]);
    const type = text(source["type"]);
    if (type === "directory") return [];
    const url = text(source["url"]);
    if (type === "git") {
      throw new SheafError("SHEAF_SOURCE", `${item.name} comes from a git repository, which has no hash to check`, {
        details: [
          ["repository", hideCredentials(url ?? "")],
          ["asked for by", [...(this.#requiredBy.get(item) ?? [])].join(", ")],
        ],
        hint: "build its wheel, put it into the repository and depend on it by its path",
      });
    }
    const listed = item.table["files"] ?? this.#oldFiles[text(item.table["name"]) ?? ""] ?? this.#oldFiles[item.name];
    return [
      {
        name: item.name,
        version: item.version,
        files: tables(listed).map((file) => this.#file(file, { type, url })),
        hashes: [],
        ...((type === "url" || type === "file") && { direct: true }),
        ...(type === "legacy" && url && { index: url }),
        source: this.#context.file,
        requiredBy: [...(this.#requiredBy.get(item) ?? [])],
      },
    ];
  }

  #file(file: TomlTable, source: { type?: string; url?: string }): ReleaseFile {
    const sha256 = sha256Of(text(file["hash"]));
    const folder = path.dirname(path.resolve(this.#context.inputs.root, this.#context.file));
    const location =
      source.type === "file"
        ? pathToFileURL(path.resolve(folder, source.url ?? "")).href
        : source.type === "url"
          ? source.url
          : undefined;
    return { filename: text(file["file"]) ?? "", ...(sha256 && { sha256 }), ...(location && { url: location }) };
  }

  #localPackage(item: Package): LocalPackage[] {
    const source = table(item.table["source"]);
    if (text(source["type"]) !== "directory") return [];
    const directory = path.posix.join(path.posix.dirname(this.#context.file), text(source["url"]) ?? "");
    if (directory.startsWith("..") || path.posix.isAbsolute(directory)) throw outsideError(item.name, directory);
    return [{ name: item.name, version: item.version, directory: directory === "." ? "" : directory }];
  }
}

function isPlaced(item: Package): boolean {
  return ["git", "url", "directory", "file"].includes(text(table(item.table["source"])["type"]) ?? "");
}
