import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { importedNames } from "../ingest/imports.ts";
import { importClosure, type ImportClosure } from "../project/import-closure.ts";
import { moduleName } from "../project/python/own-modules.ts";
import { decodePython } from "../project/python/decode.ts";
import { type ParseRecords, remembered } from "../project/parse-records.ts";
import type { Project } from "../project/project.ts";
import { byCodeUnit } from "../order.ts";

/** The project's own Python, read once for everything that asks about it. */
export interface OwnCode {
  /** Path from the project's root → source. */
  sources: ReadonlyMap<string, string>;
  /** Names all of it: what is told of the code is remembered under this. */
  key: string;
}

/** Larger than any module that a person writes: data in Python's clothes. */
const largestModule = 4 * 1024 * 1024;

export function readOwnCode(project: Project): OwnCode {
  const sources = new Map<string, string>();
  const hash = createHash("sha256");
  for (const file of project.files) {
    if (!file.path.endsWith(".py") || file.symlink !== undefined || file.size > largestModule) continue;
    const bytes = fs.readFileSync(path.join(project.root, file.path));
    hash.update(`${file.path}\0${bytes.length}\0`).update(bytes);
    sources.set(file.path, decodePython(bytes));
  }
  return { sources, key: hash.digest("hex") };
}

export interface OwnImports {
  /** The project's files that the start reaches. */
  reached: string[];
  /** Absolute dotted names, own and foreign, that those files import or name in strings; sorted. */
  names: string[];
}

/** Follows the start through the project's own code, whatever the image provides. */
export async function ownImports(
  code: OwnCode,
  request: StartRequest,
  records: ParseRecords | undefined,
): Promise<OwnImports> {
  const { start, importRoots, python } = request;
  const text = JSON.stringify([code.key, start, importRoots, python]);
  return remembered(records, { kind: "own-imports", text }, async () => followOwn(code, request));
}

function followOwn(code: OwnCode, { start, importRoots, python }: StartRequest): OwnImports {
  const closure = importClosure({ start, files: code.sources, importRoots, python, provided: () => true });
  const names = new Set(start);
  for (const file of closure.reached) {
    const root = importRoots.find((each) => each === "" || file.startsWith(`${each}/`)) ?? "";
    const module = moduleName(file, root);
    for (const name of importedNames(code.sources.get(file) ?? "", {
      module: module.name,
      isPackage: module.package,
      places: "all",
    }))
      names.add(name);
  }
  return { reached: closure.reached, names: [...names].toSorted(byCodeUnit) };
}

export interface StartRequest {
  /** Modules that are imported first. */
  start: string[];
  /** Folders on sys.path, from the project's root. */
  importRoots: string[];
  /** Minor version. */
  python: string;
}

/** Third-party modules that the start imports and that the image lacks. @param provided modules and packages that it has */
export async function missingImports(
  code: OwnCode,
  request: StartRequest & { provided: ReadonlySet<string> },
  records: ParseRecords | undefined,
): Promise<ImportClosure["missing"]> {
  const { start, importRoots, python, provided } = request;
  const text = JSON.stringify([code.key, start, importRoots, python, [...provided]]);
  const isProvided = (module: string) => provided.has(module) || provided.has(module.split(".")[0] ?? module);
  return remembered(
    records,
    { kind: "missing-imports", text },
    async () => importClosure({ ...request, files: code.sources, provided: isProvided }).missing,
  );
}
