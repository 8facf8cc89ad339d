import type { ImageProblem } from "../../oci/image-problem.ts";
import { LayerPaths } from "../../oci/layer-paths.ts";
import { MergedFilesystem, type Node, parentOf } from "../../oci/merged-filesystem.ts";
import type { FileFact, LostFile } from "./file-fact.ts";
import type { FoundSecret } from "./image-facts.ts";
import type { LayerReading, ReadEntry } from "./read-layer.ts";

export interface MergedLayers {
  files: Map<string, FileFact>;
  secrets: FoundSecret[];
  lost: LostFile[];
  problems: ImageProblem[];
}

/** Puts layers together as an engine would (image-spec, layer.md#applying-changesets), and tells what that hides or breaks. */
export function mergeLayers(readings: readonly LayerReading[]): MergedLayers {
  const merged = new MergedFilesystem<FileFact>(impliedFolder);
  const nodes = new MergedFilesystem<Node>({ type: "directory" });
  const problems: ImageProblem[] = [];
  const all: FileFact[] = [];
  for (const [index, { entries }] of readings.entries()) {
    const paths = new LayerPaths(index, nodes);
    const own = new Map<string, FileFact>();
    for (const entry of entries) {
      paths.add(entry.header);
      const fact = applyEntry({ entry, index, own, merged });
      if (fact?.type === "file" && fact.linkTo === undefined) all.push(fact);
    }
    for (const [path, fact] of own) {
      const below = merged.get(path);
      if (fact.type === "directory" && below?.type === "directory") Object.assign(below, { ...fact });
      else merged.set(path, fact);
    }
    problems.push(...paths.finish());
  }
  const files = new Map<string, FileFact>();
  // Folders that only follow from what is in them are one object in all places.
  for (const [path, fact] of merged.entries()) files.set(path, fact === impliedFolder ? { ...fact, path } : fact);
  return { files, secrets: secretsIn(all), lost: lostOf(all, files), problems };
}

const impliedFolder: FileFact = {
  path: "",
  type: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  layer: 0,
};

interface Applied {
  entry: ReadEntry;
  index: number;
  own: Map<string, FileFact>;
  merged: MergedFilesystem<FileFact>;
}

/** @returns what the entry puts into the image, undefined for whiteouts and for paths that lead out */
function applyEntry({ entry, index, own, merged }: Applied): FileFact | undefined {
  const { header } = entry;
  const path = cleanPath(header.path);
  if (path === undefined || path === "") return undefined;
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name === ".wh..wh..opq") return void merged.clear(parentOf(path));
  if (name.startsWith(".wh.")) return void merged.remove(path.slice(0, -name.length) + name.slice(4));
  const { type, target } = header;
  let fact: FileFact;
  if (type === "hardlink") {
    const found = own.get(cleanPath(target ?? "") ?? "") ?? merged.get(cleanPath(target ?? "") ?? "");
    if (!found) return undefined;
    fact = { ...found, path, layer: index, linkTo: found.linkTo ?? found.path };
  } else fact = factOf(entry, path, index);
  own.set(path, fact);
  return fact;
}

/** One shape for all: an image has a hundred thousand of these. */
function factOf({ header, content, capabilities }: ReadEntry, path: string, layer: number): FileFact {
  const { type, mode, uid, gid, mtime, size, target } = header;
  const isPlain = type === "file" || type === "directory" || type === "symlink";
  return {
    path,
    type: isPlain ? type : "other",
    mode,
    uid,
    gid,
    size,
    mtime,
    layer,
    target: type === "symlink" ? (target ?? "") : undefined,
    device: isPlain || type === "hardlink" ? undefined : type,
    capabilities: capabilities ? true : undefined,
    sha256: content.sha256,
    text: content.text,
    head: content.head,
    elf: content.elf,
    brokenElf: content.brokenElf,
    deviceCode: content.deviceCode,
    secret: content.secret,
    sourceHash: content.sourceHash,
  };
}

/** Without empty segments and `.`; undefined for a path that leads out. */
function cleanPath(path: string): string | undefined {
  if (!unclean.test(path)) return path;
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  return segments.includes("..") ? undefined : segments.join("/");
}

const unclean = /(?:^|\/)\.{0,2}(?:\/|$)/;

function secretsIn(all: readonly FileFact[]): FoundSecret[] {
  return all.flatMap(({ path, layer, secret }) => (secret === undefined ? [] : [{ path, layer, reason: secret }]));
}

/** Files whose bytes travel with the image although nobody sees them. */
function lostOf(all: readonly FileFact[], files: ReadonlyMap<string, FileFact>): LostFile[] {
  const kept = new Set<FileFact>(files.values());
  // What a hard link still shows is not lost.
  const linked = new Set(
    [...kept].flatMap(({ linkTo, layer }) => (linkTo === undefined ? [] : [`${layer} ${linkTo}`])),
  );
  return all.flatMap((fact): LostFile[] => {
    const { path, size, layer, sha256 } = fact;
    if (kept.has(fact) || linked.has(`${layer} ${path}`)) return [];
    const instead = files.get(path);
    if (instead?.type !== "file") return [{ path, size, layer, how: "deleted", same: false }];
    return [{ path, size, layer, how: "replaced", same: instead.sha256 === sha256 }];
  });
}
