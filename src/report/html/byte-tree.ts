import type { ImageFacts } from "../../contract/facts/image-facts.ts";
import { ownerOf } from "../../inspect/owner-of.ts";
import { byCodeUnit } from "../../order.ts";

/** What brought the bytes. `lost`: a later layer deletes or replaces them, and they are shipped all the same. */
export type BytesKind = "python" | "debian" | "own" | "lost";

/** Bytes of an image by layer, then by who brought them, then by folder; children are largest first. */
export interface ByteNode {
  name: string;
  bytes: number;
  kind?: BytesKind;
  /** What else is to say: the instruction of a layer, the whole path of a folder. */
  detail?: string;
  children: ByteNode[];
}

/** More than these are one node together. */
const maxChildren = 80;

interface SizedFile {
  path: string;
  size: number;
}

/** Bytes of files as they are stored; hard links count once. Layers stand in their order, base first. */
export function byteTree(facts: ImageFacts): ByteNode {
  const layers = facts.layers.map(({ createdBy }) => ({ createdBy, owners: new Map<string, OwnedFiles>() }));
  const add = (layer: number, owner: Omit<OwnedFiles, "files">, file: SizedFile): void => {
    const owners = layers[layer]?.owners;
    if (!owners || file.size === 0) return;
    const key = `${owner.kind} ${owner.name}`;
    const known = owners.get(key);
    if (known) known.files.push(file);
    else owners.set(key, { ...owner, files: [file] });
  };
  for (const file of facts.files.values()) {
    if (file.type !== "file" || file.linkTo !== undefined) continue;
    const owner = ownerOf(file.path, facts);
    const name = owner ? `${owner.name} ${owner.version}` : "files of no package";
    add(file.layer, { name, kind: owner ? (owner.kind === "package" ? "debian" : "python") : "own" }, file);
  }
  for (const lost of facts.lost) add(lost.layer, { name: "deleted or replaced by a later layer", kind: "lost" }, lost);
  const children = layers.flatMap(({ createdBy, owners }, index): ByteNode[] => {
    const parts = withRest([...owners.values()].map(ownerNode));
    const bytes = sumOf(parts);
    if (bytes === 0) return [];
    return [{ name: `layer ${index + 1}`, bytes, ...(createdBy === "" ? {} : { detail: createdBy }), children: parts }];
  });
  return { name: "the image", bytes: sumOf(children), children };
}

interface OwnedFiles {
  name: string;
  kind: BytesKind;
  files: SizedFile[];
}

function ownerNode({ name, kind, files }: OwnedFiles): ByteNode {
  const root: Folder = { path: "", bytes: 0, own: 0, largest: "", folders: new Map() };
  for (const file of files) addToFolder(root, file);
  const children = withRest(partsOf(root, root.bytes / minParts).map((folder) => folderNode(folder, kind)));
  return { name, bytes: root.bytes, kind, children };
}

/** A folder is told apart from its parent when that has more than this part of its owner's bytes. */
const minParts = 12;

interface Folder {
  path: string;
  /** Of all below it. */
  bytes: number;
  /** Of the files right in it. */
  own: number;
  /** Name of the largest file below it. */
  largest: string;
  largestSize?: number;
  folders: Map<string, Folder>;
}

function addToFolder(root: Folder, { path, size }: SizedFile): void {
  const names = path.split("/");
  const file = names.pop() ?? "";
  let folder = root;
  const count = (each: Folder): void => {
    each.bytes += size;
    if (size <= (each.largestSize ?? 0)) return;
    each.largestSize = size;
    each.largest = file;
  };
  count(folder);
  for (const name of names.slice(0, maxDepth)) {
    const next = folder.folders.get(name) ?? {
      path: `${folder.path}/${name}`,
      bytes: 0,
      own: 0,
      largest: "",
      folders: new Map<string, Folder>(),
    };
    folder.folders.set(name, next);
    folder = next;
    count(folder);
  }
  folder.own += size;
}

/** Of a path from an image: deeper folders count to this one. */
const maxDepth = 40;

/** The folder as it is when it is small, else what it consists of. */
function partsOf(folder: Folder, limit: number): Folder[] {
  if (folder.bytes <= limit || folder.folders.size === 0) return [folder];
  const below = [...folder.folders.values()].flatMap((each) => partsOf(each, limit));
  return folder.own === 0 ? below : [{ ...folder, bytes: folder.own }, ...below];
}

function folderNode({ path, bytes, largest }: Folder, kind: BytesKind): ByteNode {
  const name = path.split("/").slice(-2).join("/") || "/";
  return { name, bytes, kind, detail: `${path || "/"}, with ${largest}`, children: [] };
}

/** Largest first; the many small ones as one. */
function withRest(nodes: ByteNode[]): ByteNode[] {
  const sorted = nodes.toSorted((a, b) => b.bytes - a.bytes || byCodeUnit(a.name, b.name));
  const rest = sorted.slice(maxChildren);
  if (rest.length < 2) return sorted;
  const [{ kind } = {}] = rest;
  const bytes = sumOf(rest);
  return [
    ...sorted.slice(0, maxChildren),
    { name: `${rest.length} smaller`, bytes, ...(kind ? { kind } : {}), children: [] },
  ].toSorted((a, b) => b.bytes - a.bytes);
}

function sumOf(nodes: readonly ByteNode[]): number {
  return nodes.reduce((sum, { bytes }) => sum + bytes, 0);
}
