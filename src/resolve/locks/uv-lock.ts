import * as path from "node:path";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { evaluateMarker, type MarkerEnvironment, markerEnvironment } from "../markers.ts";
import { parseMarker } from "../pep508.ts";
import { filenameOf, type LockReading, mergePins, type Pin, type ReleaseFile, sha256Of } from "../pins.ts";
import { declaredRequirements, readPyproject } from "../pyproject.ts";
import { hideCredentials } from "../requirements.ts";
import type { LocalPackage } from "../resolution.ts";
import { unknownNameError } from "../selection.ts";
import { checkStaleness } from "../staleness.ts";
import { parseToml, table, tables, text, texts, type TomlTable } from "../toml.ts";
import type { LockContext } from "./lock-context.ts";
import { outsideError } from "./outside.ts";

/**
 * Reads uv.lock for one target: walks from the project (or, where the workspace's root is none, from every member)
 * through the dependencies whose markers hold.
 * @throws SheafError SHEAF_LOCK_STALE, SHEAF_LOCK, SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP, SHEAF_SOURCE
 */
export function readUvLock(content: string, context: LockContext): LockReading {
  const lock = parseToml(content, context.file);
  const version = Number(lock["version"]);
  if (version !== 1) {
    throw new SheafError(
      "SHEAF_LOCK",
      `${context.file} has version ${String(lock["version"])}, Sheaf reads version 1`,
      {
        hint: "write it anew with a uv that Sheaf knows, or export it: uv export -o requirements.txt",
      },
    );
  }
  return new UvLockWalk(lock, context).read();
}

interface Package {
  name: string;
  version?: string;
  source: TomlTable;
  markers: string[];
  table: TomlTable;
}

class UvLockWalk {
  readonly #context: LockContext;
  readonly #lock: TomlTable;
  readonly #byName = new Map<string, Package[]>();
  readonly #environment: MarkerEnvironment;
  /** Names of activated extras and groups, also in the form in which uv writes conflicts into markers. */
  readonly #active = new Set<string>();
  readonly #visited = new Map<Package, Set<string>>();
  readonly #requiredBy = new Map<Package, Set<string>>();
  readonly #markers = new Map<string, boolean>();

  constructor(lock: TomlTable, context: LockContext) {
    this.#lock = lock;
    this.#context = context;
    for (const item of tables(lock["package"])) {
      const name = normalizeName(text(item["name"]) ?? "");
      const found: Package = {
        name,
        version: text(item["version"]),
        source: table(item["source"]),
        markers: texts(item["resolution-markers"]),
        table: item,
      };
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), found]);
    }
    this.#environment = markerEnvironment(context.target);
  }

  read(): LockReading {
    const roots = this.#roots();
    const { extras, groups } = this.#context;
    this.#checkSelection(roots);
    for (const root of roots) this.#activate(root, extras, groups);
    for (const root of roots) this.#checkFresh(root);
    for (const root of roots) this.#visit(root, { extras, groups });
    this.#visitManifestGroups(roots);
    const packages = [...this.#visited.keys()];
    const pins = packages.flatMap((item) => this.#pin(item));
    return {
      source: this.#context.file,
      locked: pins.every((pin) => pin.files.every((file) => file.sha256 !== undefined)),
      pins: mergePins(pins),
      localPackages: packages.flatMap((item) =>
        roots.length === 1 && item === roots[0] ? [] : this.#localPackage(item),
      ),
      warnings: [],
    };
  }

  #roots(): Package[] {
    const { project } = this.#context;
    const locals = [...this.#byName.values()].flat().filter((item) => localPath(item) !== undefined);
    const here = locals.filter((item) => this.#directory(item) === project.directory);
    if (here.length > 0) return here;
    const named = locals.filter((item) => item.name === normalizeName(project.name.value));
    if (named.length > 0) return named;
    const members = new Set(texts(table(this.#lock["manifest"])["members"]).map(normalizeName));
    return locals.filter((item) => members.has(item.name));
  }

  /** Folder of a local package from the project's root. */
  #directory(item: Package): string {
    const joined = path.posix.join(path.posix.dirname(this.#context.file), localPath(item) ?? "");
    return joined === "." ? "" : joined.replace(/\/$/, "");
  }

  #checkSelection(roots: Package[]): void {
    const extras = roots.flatMap((root) => [
      ...Object.keys(table(root.table["optional-dependencies"])),
      ...texts(table(root.table["metadata"])["provides-extras"]),
    ]);
    const groups = roots.flatMap((root) => [
      ...Object.keys(table(root.table["dev-dependencies"])),
      ...Object.keys(table(table(root.table["metadata"])["requires-dev"])),
    ]);
    const manifest = Object.keys(table(table(this.#lock["manifest"])["dependency-groups"]));
    const known = { extras: extras.map(normalizeName), groups: [...groups, ...manifest].map(normalizeName) };
    const error = unknownNameError({ selected: this.#context, known, where: this.#context.file });
    if (error) throw error;
  }

  #activate(item: Package, extras: string[], groups: string[]): void {
    for (const extra of extras) this.#active.add(`extra-${item.name.length}-${item.name}-${extra}`);
    for (const group of groups) this.#active.add(`group-${item.name.length}-${item.name}-${group}`);
    this.#active.add(`project-${item.name.length}-${item.name}`);
  }

  #checkFresh(root: Package): void {
    const pyproject = readPyproject(this.#context.inputs, this.#directory(root));
    if (!pyproject) return;
    const overridden = new Set(
      tables(table(this.#lock["manifest"])["overrides"]).map((item) => normalizeName(text(item["name"]) ?? "")),
    );
    const declared = declaredRequirements(pyproject, this.#context);
    checkStaleness({
      lock: this.#context.file,
      declaredIn: pyproject.file,
      declared: declared.filter(({ requirement }) => !overridden.has(requirement.name)),
      environment: this.#environment,
      lockedVersions: (name) =>
        this.#byName.get(name)?.map((item) => (localPath(item) === undefined ? item.version : undefined)),
      ownName: root.name,
      command: "uv lock",
    });
  }

  #visit(item: Package, selected: { extras: string[]; groups?: string[] }): void {
    let done = this.#visited.get(item);
    if (!done) this.#visited.set(item, (done = new Set()));
    this.#activate(item, selected.extras, selected.groups ?? []);
    const optional = normalisedKeys(table(item.table["optional-dependencies"]));
    const groups = normalisedKeys(table(item.table["dev-dependencies"]));
    const lists: [string, unknown][] = [
      ["", item.table["dependencies"]],
      ...selected.extras.map((extra): [string, unknown] => [`extra ${extra}`, optional.get(extra)]),
      ...(selected.groups ?? []).map((group): [string, unknown] => [`group ${group}`, groups.get(group)]),
    ];
    for (const [key, list] of lists) {
      if (done.has(key)) continue;
      done.add(key);
      for (const dependency of tables(list)) this.#follow(dependency, item);
    }
  }

  /** A pyproject without [project] keeps its groups in the manifest, as requirements. */
  #visitManifestGroups(roots: Package[]): void {
    const groups = normalisedKeys(table(table(this.#lock["manifest"])["dependency-groups"]));
    for (const group of this.#context.groups) {
      for (const dependency of tables(groups.get(group))) this.#follow(dependency, roots[0]);
    }
  }

  #follow(dependency: TomlTable, from: Package | undefined): void {
    if (!this.#holds(text(dependency["marker"]))) return;
    const name = normalizeName(text(dependency["name"]) ?? "");
    const found = this.#find(name, dependency);
    if (!found) {
      throw new SheafError(
        "SHEAF_LOCK",
        `${this.#context.file} has no package ${name}, which ${from?.name ?? "it"} asks for`,
        {
          hint: "run uv lock, and commit uv.lock",
        },
      );
    }
    if (from) {
      const requiredBy = this.#requiredBy.get(found) ?? new Set();
      this.#requiredBy.set(found, requiredBy.add(from.name));
    }
    this.#visit(found, { extras: texts(dependency["extra"]).concat(texts(dependency["extras"])).map(normalizeName) });
  }

  /** One package among the forks of a name: by version, source and resolution markers. */
  #find(name: string, dependency: TomlTable): Package | undefined {
    const version = text(dependency["version"]);
    const source = table(dependency["source"]);
    const candidates = (this.#byName.get(name) ?? []).filter(
      (item) =>
        (version === undefined || item.version === version) &&
        Object.entries(source).every(([key, value]) => item.source[key] === value),
    );
    if (candidates.length < 2) return candidates[0];
    return candidates.find((item) => item.markers.length === 0 || item.markers.some((marker) => this.#holds(marker)));
  }

  #holds(marker: string | undefined): boolean {
    if (marker === undefined || marker === "") return true;
    // Conflict markers depend on what is activated, which grows while walking.
    const changing = marker.includes("extra");
    const known = changing ? undefined : this.#markers.get(marker);
    if (known !== undefined) return known;
    const environment = changing ? { ...this.#environment, extras: this.#active } : this.#environment;
    const holds = evaluateMarker(parseMarker(marker), environment);
    this.#markers.set(marker, holds);
    return holds;
  }

  #pin(item: Package): Pin[] {
    if (localPath(item) !== undefined) return [];
    this.#refuseGit(item);
    const registry = text(item.source["registry"]);
    const files = [
      ...tables(item.table["wheels"]),
      ...tables([item.table["sdist"]].filter((value) => value !== undefined)),
    ];
    return [
      {
        name: item.name,
        version: item.version ?? "0",
        files: files.map((file) => this.#file(file, item)),
        hashes: [],
        ...(registry === undefined && { direct: true }),
        ...(registry && isHttp(registry) && { index: registry }),
        source: this.#context.file,
        requiredBy: [...(this.#requiredBy.get(item) ?? [])],
      },
    ];
  }

  #file(file: TomlTable, item: Package): ReleaseFile {
    const url = text(file["url"]) ?? text(item.source["url"]);
    const local = text(file["path"]) ?? text(item.source["path"]);
    // A registry that is a folder gives paths from itself, a path source one from the lock.
    const registry = text(item.source["registry"]);
    const base = registry && !isHttp(registry) && local ? path.posix.join(registry, local) : local;
    const location = url ?? (base === undefined ? undefined : this.#fileUrl(base));
    return {
      filename: text(file["filename"]) ?? filenameOf(url ?? base ?? ""),
      sha256: sha256Of(text(file["hash"])),
      ...(location && { url: location }),
      ...(typeof file["size"] === "number" && { size: file["size"] }),
    };
  }

  #fileUrl(relative: string): string {
    const folder = path.dirname(path.resolve(this.#context.inputs.root, this.#context.file));
    return new URL(`file://${path.resolve(folder, relative).split("/").map(encodeURIComponent).join("/")}`).href;
  }

  #refuseGit(item: Package): void {
    const git = text(item.source["git"]);
    if (!git) return;
    throw new SheafError("SHEAF_SOURCE", `${item.name} comes from a git repository, which has no hash to check`, {
      details: [
        ["repository", hideCredentials(git)],
        ["asked for by", [...(this.#requiredBy.get(item) ?? [])].join(", ")],
      ],
      hint: [
        `build its wheel (uv build), put it into the repository and point [tool.uv.sources] ${item.name} to it with path`,
        "or publish it to an index",
      ],
    });
  }

  #localPackage(item: Package): LocalPackage[] {
    const place = localPath(item);
    // A virtual package is not installed: only its dependencies are.
    if (place === undefined || text(item.source["virtual"]) !== undefined) return [];
    const directory = this.#directory(item);
    if (directory.startsWith("..") || path.posix.isAbsolute(directory)) throw outsideError(item.name, directory);
    return [{ name: item.name, ...(item.version && { version: item.version }), directory }];
  }
}

function localPath(item: Package): string | undefined {
  const { source } = item;
  return text(source["editable"]) ?? text(source["virtual"]) ?? text(source["directory"]);
}

function isHttp(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

function normalisedKeys(source: TomlTable): Map<string, unknown> {
  return new Map(Object.entries(source).map(([name, value]) => [normalizeName(name), value]));
}
