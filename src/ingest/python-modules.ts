import * as fs from "node:fs";
import * as path from "node:path";

import { inflateEntry } from "../archive/zip.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { cachedPath } from "../bytecode/cached-path.ts";
import { SheafError } from "../errors.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { Digest, Store } from "../store/store.ts";
import type { BaseImage } from "./base/base-image.ts";
import type { InterpreterFacts } from "./interpreter.ts";
import { damagedInput } from "./damaged-input.ts";
import { interpreterEntries } from "./interpreter.ts";
import { wheelEntriesByPath } from "./wheel-blob.ts";
import { forgetWheel, type IngestedWheel, wheelEntries } from "./wheel.ts";

/** Who brings a set of Python files: a wheel, or the standard library. */
export interface ModuleOwner {
  name: string;
  /** Names the contents: records about them are kept under it. */
  key: string;
  /** Folders on sys.path, without a leading slash. */
  roots: string[];
  /** Source files as paths in the image. */
  paths: string[];
  /** Sources whose bytecode is in the image already. */
  compiled?: ReadonlySet<string>;
  /** The source as it is in the image; undefined when it can't be had. */
  read(path: string): Uint8Array | undefined;
  /** The file of this machine that is read, where an interpreter may have compiled it. */
  origin?(path: string): string;
}

export interface FoundModule {
  path: string;
  isPackage: boolean;
  owner: ModuleOwner;
}

export function wheelOwner({ distribution, facts }: IngestedWheel, layout: PythonLayout, store: Store): ModuleOwner {
  let zip: Map<string, ZipEntry> | undefined;
  let last: { file: string; source: Uint8Array | undefined } | undefined;
  const digest: Digest = `sha256:${distribution.sha256}`;
  /** Reads the wheel, or a file of it; one that is damaged is fetched and installed again. */
  const undamaged = <T>(read: () => T | undefined): T => {
    try {
      const found = read();
      if (found !== undefined) return found;
    } catch (error) {
      if (!(error instanceof SheafError) || store.readBlob(digest)) throw error;
    }
    forgetWheel(store, facts);
    throw damagedInput(digest);
  };
  return {
    name: distribution.name,
    key: facts.segment.digest,
    roots: [...new Set([layout.purelib, layout.platlib])],
    paths: wheelEntries(store, facts)
      .map((entry) => entry.path)
      .filter((file) => file.endsWith(".py")),
    read(file) {
      // Asked for its imports and to be compiled, one after the other.
      if (last?.file === file) return last.source;
      zip ??= undamaged(() => wheelEntriesByPath(store, digest));
      const inside = [layout.purelib, layout.platlib].find((root) => file.startsWith(`${root}/`));
      const entry = inside === undefined ? undefined : zip.get(file.slice(inside.length + 1));
      last = { file, source: entry && undamaged(() => inflateEntry(entry)) };
      return last.source;
    },
  };
}

/** The standard library of an interpreter that was copied from a folder of this machine. */
export function standardLibraryOwner(facts: InterpreterFacts, prefix: string, store: Store): ModuleOwner {
  const { stdlib, purelib } = facts.layout;
  const source = path.join(prefix, "lib", path.basename(stdlib));
  const origin = (file: string) => path.join(source, file.slice(stdlib.length + 1));
  return {
    name: "standard library",
    key: facts.segment.digest,
    roots: [stdlib],
    paths: interpreterEntries(store, facts)
      .map((entry) => entry.path)
      // Build settings are rewritten on their way into the image: what this machine has would tell of its folders.
      .filter(
        (file) =>
          file.endsWith(".py") && !file.startsWith(`${purelib}/`) && !path.basename(file).startsWith("_sysconfigdata"),
      ),
    read: (file) => readFile(origin(file)),
    origin,
  };
}

/** The standard library of a base image's own interpreter. */
export function baseLibraryOwner(base: BaseImage, { stdlib, cacheTag }: PythonLayout, store: Store): ModuleOwner {
  const { files, tree, facts } = base;
  const paths = Object.keys(files.sources);
  let all: Uint8Array | undefined;
  return {
    name: "standard library",
    key: `${facts.digest} ${stdlib}`,
    roots: [stdlib],
    paths: paths.filter((file) => !path.basename(file).startsWith("_sysconfigdata")),
    compiled: new Set(paths.filter((file) => tree.find(cachedPath(file, cacheTag)))),
    read(file) {
      if (facts.sources === undefined) return undefined;
      all ??= store.readBlob(facts.sources);
      if (!all) throw damagedInput(facts.sources);
      const [offset, length] = files.sources[file] ?? [0, 0];
      return length > 0 ? all.subarray(offset, offset + length) : undefined;
    },
  };
}

/** Dotted names to files, the first owner of a name wins as the first folder on sys.path does. */
export function indexModules(owners: readonly ModuleOwner[]): Map<string, FoundModule> {
  const modules = new Map<string, FoundModule>();
  for (const owner of owners) {
    for (const file of owner.paths) {
      const root = owner.roots.find((each) => file.startsWith(`${each}/`));
      if (root === undefined) continue;
      const inside = file.slice(root.length + 1, -".py".length);
      const isPackage = inside.endsWith("/__init__");
      const name = (isPackage ? inside.slice(0, -"/__init__".length) : inside).replaceAll("/", ".");
      if (!modules.has(name)) modules.set(name, { path: file, isPackage, owner });
    }
  }
  return modules;
}

function readFile(file: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}
