import * as path from "node:path";
import { pathToFileURL } from "node:url";

import { SheafError } from "../../errors.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { evaluateMarker, type MarkerEnvironment, markerEnvironment } from "../markers.ts";
import { parseMarker, parseRequirement, type Requirement } from "../pep508.ts";
import { filenameOf, type LockReading, mergePins, type Pin, type ReleaseFile, sha256Of } from "../pins.ts";
import { declaredRequirements, readPyproject } from "../pyproject.ts";
import { hideCredentials } from "../requirements.ts";
import type { LocalPackage } from "../resolution.ts";
import { unknownNameError } from "../selection.ts";
import { satisfies } from "../specifiers.ts";
import { checkStaleness } from "../staleness.ts";
import { parseToml, table, tables, text, texts, type TomlTable } from "../toml.ts";
import type { LockContext } from "./lock-context.ts";
import { outsideError } from "./outside.ts";

/**
 * Reads pdm.lock for one target: walks from what pyproject.toml asks for. A package with extras is an entry of its own, which
 * asks for the plain one.
 * @throws SheafError SHEAF_LOCK_STALE, SHEAF_LOCK, SHEAF_SOURCE, SHEAF_UNKNOWN_EXTRA, SHEAF_UNKNOWN_GROUP
 */
export function readPdmLock(content: string, context: LockContext): LockReading {
  const lock = parseToml(content, context.file);
  const folder = path.posix.dirname(context.file) === "." ? "" : path.posix.dirname(context.file);
  const pyproject = readPyproject(context.inputs, folder);
  if (!pyproject)
    throw new SheafError("SHEAF_LOCK", `${context.file} has no pyproject.toml beside it, which says what is asked for`);
  const legacyDev = table(table(table(pyproject.table["tool"])["pdm"])["dev-dependencies"]);
  const groups = {
    ...pyproject.groups,
    ...Object.fromEntries(
      Object.entries(legacyDev).map(([name, list]) => [normalizeName(name), texts(list).map(parseRequirement)]),
    ),
  };
  const known = { extras: Object.keys(pyproject.extras), groups: Object.keys(groups) };
  const error = unknownNameError({ selected: context, known, where: pyproject.file });
  if (error) throw error;
  const declared = declaredRequirements({ ...pyproject, groups }, context);
  const walk = new PdmWalk(lock, context);
  checkStaleness({
    lock: context.file,
    declaredIn: pyproject.file,
    declared,
    environment: walk.environment,
    lockedVersions: (name) => walk.versions(name),
    ownName: pyproject.name,
    command: "pdm lock",
  });
  for (const { requirement } of declared) {
    if (requirement.name !== pyproject.name)
      walk.follow(requirement, pyproject.name ?? normalizeName(context.project.name.value));
  }
  return walk.result();
}

interface Package {
  name: string;
  version?: string;
  extras: string[];
  table: TomlTable;
}

class PdmWalk {
  readonly environment: MarkerEnvironment;
  readonly #context: LockContext;
  readonly #packages = new Map<string, Package[]>();
  /** Where locks before version 4.3 keep the files: by `name version`. */
  readonly #oldFiles: TomlTable;
  readonly #visited = new Map<Package, Set<string>>();

  constructor(lock: TomlTable, context: LockContext) {
    this.#context = context;
    this.environment = markerEnvironment(context.target);
    this.#oldFiles = table(table(lock["metadata"])["files"]);
    for (const item of tables(lock["package"])) {
      const name = normalizeName(text(item["name"]) ?? "");
      const extras = texts(item["extras"]).map(normalizeName);
      const found = { name, version: text(item["version"]), extras, table: item };
      this.#packages.set(name, [...(this.#packages.get(name) ?? []), found]);
    }
  }

  versions(name: string): (string | undefined)[] | undefined {
    return this.#packages.get(name)?.map((item) => (item.table["path"] === undefined ? item.version : undefined));
  }

  follow(requirement: Requirement, from: string): void {
    if (requirement.marker && !evaluateMarker(requirement.marker, this.environment)) return;
    const candidates = (this.#packages.get(requirement.name) ?? []).filter((item) => this.#fits(item, requirement));
    if (candidates.length === 0) {
      throw new SheafError(
        "SHEAF_LOCK",
        `${this.#context.file} has no ${requirement.name} for this platform, which ${from} asks for`,
        {
          hint: "run pdm lock, and commit pdm.lock",
        },
      );
    }
    const plain = candidates.find((item) => item.extras.length === 0);
    if (plain) this.#visit(plain, from);
    for (const extra of requirement.extras) {
      const found = candidates.find((item) => item.extras.includes(extra));
      if (found) this.#visit(found, from);
    }
  }

  result(): LockReading {
    const pins: Pin[] = [];
    const localPackages: LocalPackage[] = [];
    for (const [item, requiredBy] of this.#visited) {
      if (item.extras.length > 0) continue;
      const local = this.#localPackage(item);
      if (local) localPackages.push(local);
      else
        pins.push(
          this.#pin(
            item,
            [...requiredBy].filter((name) => name !== item.name),
          ),
        );
    }
    return {
      source: this.#context.file,
      locked: pins.every((pin) => pin.files.length > 0 && pin.files.every((file) => file.sha256 !== undefined)),
      pins: mergePins(pins),
      localPackages,
      warnings: [],
    };
  }

  #fits(item: Package, requirement: Requirement): boolean {
    const python = text(item.table["requires_python"]);
    if (python && !satisfies(this.#context.target.python, python)) return false;
    const marker = text(item.table["marker"]);
    if (marker && !evaluateMarker(parseMarker(marker), this.environment)) return false;
    return (
      item.version === undefined || requirement.url !== undefined || satisfies(item.version, requirement.specifiers)
    );
  }

  #visit(item: Package, from: string): void {
    const known = this.#visited.get(item);
    if (known) {
      known.add(from);
      return;
    }
    this.#visited.set(item, new Set([from]));
    for (const dependency of texts(item.table["dependencies"])) this.follow(parseRequirement(dependency), item.name);
  }

  #pin(item: Package, requiredBy: string[]): Pin {
    const git = text(item.table["git"]);
    if (git) {
      throw new SheafError("SHEAF_SOURCE", `${item.name} comes from a git repository, which has no hash to check`, {
        details: [["repository", hideCredentials(git)]],
        hint: "build its wheel, put it into the repository and depend on it by its path",
      });
    }
    return {
      name: item.name,
      version: item.version ?? "0",
      files: tables(item.table["files"] ?? this.#oldFiles[`${text(item.table["name"])} ${item.version}`]).map((file) =>
        this.#file(file, item),
      ),
      hashes: [],
      ...((item.table["url"] !== undefined || item.table["path"] !== undefined) && { direct: true }),
      source: this.#context.file,
      requiredBy,
    };
  }

  #file(file: TomlTable, item: Package): ReleaseFile {
    const sha256 = sha256Of(text(file["hash"]));
    const place = text(item.table["path"]);
    const folder = path.dirname(path.resolve(this.#context.inputs.root, this.#context.file));
    const url =
      text(file["url"]) ?? text(item.table["url"]) ?? (place && pathToFileURL(path.resolve(folder, place)).href);
    return { filename: text(file["file"]) ?? filenameOf(url ?? ""), ...(sha256 && { sha256 }), ...(url && { url }) };
  }

  #localPackage(item: Package): LocalPackage | undefined {
    const place = text(item.table["path"]);
    if (place === undefined || /\.(?:whl|tar\.gz|zip)$/.test(place)) return undefined;
    const directory = path.posix.join(path.posix.dirname(this.#context.file), place);
    if (directory.startsWith("..") || path.posix.isAbsolute(directory)) throw outsideError(item.name, directory);
    return {
      name: item.name,
      ...(item.version && { version: item.version }),
      directory: directory === "." ? "" : directory,
    };
  }
}
