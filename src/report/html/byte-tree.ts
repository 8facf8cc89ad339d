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
  const folders = new Map<string, ByteNode>();
  const largest = new Map<string, number>();
  const depth = commonDepth(files) + 2;
  for (const { path, size } of files) {
    const folder = path.split("/").slice(0, -1).slice(0, depth);
    const at = `/${folder.join("/")}`;
    const node = folders.get(at) ?? {
      name: folder.slice(-2).join("/") || "/",
      bytes: 0,
      kind,
      children: [],
    };
    node.bytes += size;
    if (size > (largest.get(at) ?? 0)) {
      largest.set(at, size);
      node.detail = `${at}, the largest file is ${path.split("/").at(-1)}`;
    }
    folders.set(at, node);
  }
  const children = withRest([...folders.values()]);
  return { name, bytes: sumOf(children), kind, children };
}

/** How many folders all the files are below. */
function commonDepth(files: readonly SizedFile[]): number {
  const [first, ...others] = files.map(({ path }) => path.split("/").slice(0, -1));
  let depth = first?.length ?? 0;
  for (const folders of others) {
    let same = 0;
    while (same < depth && folders[same] === first?.[same]) same++;
    depth = same;
  }
  return depth;
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
