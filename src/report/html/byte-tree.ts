import { sum } from "../../contract/lists.ts";
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
  const root = newFolder("");
  for (const file of files) addToFolder(root, file);
  const parts = partsOf(root, root.bytes / minParts).map((part) => ({ ...part, kind }));
  return { name, bytes: root.bytes, kind, children: withRest(parts) };
}

/** A folder or a file is told apart from the folder that it is in when that has more than this part of its owner's bytes. */
const minParts = 12;

interface Folder {
  path: string;
  /** Of all below it. */
  bytes: number;
  /** Right in it. */
  files: SizedFile[];
  folders: Map<string, Folder>;
}

function newFolder(path: string): Folder {
  return { path, bytes: 0, files: [], folders: new Map() };
}

function addToFolder(root: Folder, file: SizedFile): void {
  const names = file.path.split("/").slice(0, -1);
  let folder = root;
  folder.bytes += file.size;
  for (const name of names.slice(0, maxDepth)) {
    const next = folder.folders.get(name) ?? newFolder(`${folder.path}/${name}`);
    folder.folders.set(name, next);
    folder = next;
    folder.bytes += file.size;
  }
  folder.files.push(file);
}

/** Of a path from an image: deeper folders count to this one. */
const maxDepth = 40;

/** The folder as it is when it is small, else what it consists of. */
function partsOf(folder: Folder, limit: number): ByteNode[] {
  const { path, bytes, files, folders } = folder;
  if (bytes <= limit) return [folderNode(path, bytes)];
  const large = files.filter(({ size }) => size > limit);
  const rest = sum(files, ({ size }) => size) - sum(large, ({ size }) => size);
  return [
    ...[...folders.values()].flatMap((each) => partsOf(each, limit)),
    ...large.map((file) => fileNode(file)),
    ...(rest > 0 ? [folderNode(path, rest)] : []),
  ];
}

function folderNode(path: string, bytes: number): ByteNode {
  const name = path.split("/").slice(-2).join("/") || "/";
  return { name, bytes, detail: path || "/", children: [] };
}

function fileNode({ path, size }: SizedFile): ByteNode {
  return { name: path.split("/").at(-1) ?? path, bytes: size, detail: `/${path}`, children: [] };
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
  return sum(nodes, ({ bytes }) => bytes);
}
