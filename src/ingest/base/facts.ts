import type { DebPackage } from "../../debian/package.ts";
import type { ElfFacts } from "../../elf/facts.ts";
import type { CachedLibrary } from "../../debian/ld-so-cache.ts";
import type { PythonLayout } from "../../filesystem/layout.ts";
import { RootTree, type TreeNode } from "../../filesystem/root-tree.ts";
import type { LayerRecord } from "../../oci/compose-layer.ts";
import type { History, RuntimeConfig } from "../../oci/types.ts";
import type { Digest, Store } from "../../store/store.ts";
import { byCodeUnit } from "../../order.ts";

/** What a base image is, kept in the store by the image's digest. Lists of files stand in a record of their own. */
export interface BaseFacts {
  /** Of the manifest. */
  digest: Digest;
  layers: LayerRecord[];
  config: RuntimeConfig;
  history: History[];
  os: BaseOs;
  /** Version of its C library; undefined when it is not glibc. */
  glibc?: [number, number];
  libc: "glibc" | "musl" | "none";
  python?: BasePython;
  /** Of `lookedFor`, where a shell would find each: `{ wget: "/usr/bin/wget" }`. */
  programs: Record<string, string>;
  /** Sources of the standard library, one after another. */
  sources?: Digest;
}

export interface BaseOs {
  /** `debian`, `ubuntu`, `rhel`; empty when os-release does not say. */
  id: string;
  /** `bookworm` */
  codename?: string;
  /** `Debian GNU/Linux 12 (bookworm)` */
  name: string;
}

/** An interpreter in a base image. */
export interface BasePython {
  /** `3.12.1` */
  version: string;
  /** `3.12` */
  minor: string;
  layout: PythonLayout;
  /** Top-level importable names of what is installed beside the standard library. */
  modules: string[];
}

/** A distribution that is installed in the base's own site-packages. */
export interface BaseDistribution {
  /** Normalised. */
  name: string;
  version: string;
  /** Paths of its files, and of the folder that describes it. */
  files: string[];
  info: string;
}

/** What is in a base image, file by file. */
export interface BaseFiles {
  nodes: PackedNode[];
  elf: { path: string; facts: ElfFacts }[];
  packages: DebPackage[];
  distributions: BaseDistribution[];
  /** Where a source of the standard library stands among `BaseFacts.sources`. */
  sources: Record<string, [offset: number, length: number]>;
  passwd: string;
  group: string;
  shadow?: string;
  /** What its loader knows by name, and the folders that it looks into. */
  cache: CachedLibrary[];
  searchPath: string[];
}

type PackedNode = [
  path: string,
  type: TreeNode["type"],
  mode: number,
  uid: number,
  gid: number,
  size: number,
  target?: string,
];

/** Programs that an image may use of its base. */
export const lookedFor = ["sh", "grep", "wget", "curl", "tini", "dumb-init", "python3"] as const;

/** A base image and what it is called where it was read from: `python:3.12-slim`. */
export interface NamedBase {
  facts: BaseFacts;
  name?: string;
}

/** Raised when the same image gives other facts. */
const baseVersion = 2;

export function packNodes(nodes: Iterable<[string, TreeNode]>): PackedNode[] {
  return [...nodes]
    .map(([path, { type, mode, uid, gid, size, target }]): PackedNode =>
      target === undefined ? [path, type, mode, uid, gid, size] : [path, type, mode, uid, gid, size, target],
    )
    .toSorted(([a], [b]) => byCodeUnit(a, b));
}

export function treeOf(files: BaseFiles): RootTree {
  const nodes = files.nodes.map(([path, type, mode, uid, gid, size, target]): [string, TreeNode] => [
    path,
    { type, mode, uid, gid, size, ...(target === undefined ? {} : { target }) },
  ]);
  return new RootTree(new Map(nodes));
}

/** The facts from an earlier run, when the store still has all that belongs to them. */
export function knownBase(store: Store, digest: Digest): BaseFacts | undefined {
  const facts = store.readRecord<BaseFacts>("base", recordKey(digest));
  if (!facts || (facts.sources && !store.hasBlob(facts.sources))) return undefined;
  return facts.layers.every(({ parts }) => parts.every((part) => store.hasBlob(part))) ? facts : undefined;
}

export function baseFiles(store: Store, digest: Digest): BaseFiles | undefined {
  return store.readRecord<BaseFiles>("base-files", recordKey(digest));
}

export function writeBase(store: Store, facts: BaseFacts, files: BaseFiles): void {
  store.writeRecord("base-files", recordKey(facts.digest), files);
  store.writeRecord("base", recordKey(facts.digest), facts);
}

function recordKey(digest: Digest): string {
  return JSON.stringify([baseVersion, digest]);
}
