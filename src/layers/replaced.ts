import { buildSegment } from "../archive/segment.ts";
import type { FileEntry } from "../filesystem/entry.ts";
import type { RootTree } from "../filesystem/root-tree.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Store } from "../store/store.ts";
import { normalizeName } from "../wheel/filename.ts";
import { byPath } from "../order.ts";

export interface ReplacedSegment {
  segments: SegmentRef[];
  directories: [];
  paths: () => string[];
  contents: [];
}

/**
 * Whiteouts for distributions of the base that the image brings itself, as pip would uninstall them first: otherwise two
 * versions of one distribution would be told of, and modules that only the old one had would stay.
 * @param names distributions of the image, in any spelling
 * @returns undefined when there is nothing to take away
 */
export function replacedSegment(
  base: BaseImage,
  { names, mtime }: { names: string[]; mtime: number },
  store: Store,
): ReplacedSegment | undefined {
  const brought = new Set(names.map(normalizeName));
  const replaced = base.files.distributions.filter(({ name }) => brought.has(name));
  if (replaced.length === 0) return undefined;
  const removed = new Set(replaced.flatMap(({ files, info }) => [...files, ...below(base.tree, info)]));
  for (const path of base.tree.paths()) {
    const source = sourceOf(path);
    if (source !== undefined && removed.has(source)) removed.add(path);
  }
  const entries = tops(base.tree, removed).map(whiteout).toSorted(byPath);
  const { chunks, compressed, unpacked } = buildSegment(entries, { mtime });
  return {
    segments: [{ digest: store.putBlob(chunks), compressed, unpacked }],
    directories: [],
    paths: () => entries.map(({ path }) => path),
    contents: [],
  };
}

/** image-spec, layer.md#whiteouts */
function whiteout(path: string): FileEntry {
  const slash = path.lastIndexOf("/");
  const marker = `${path.slice(0, slash + 1)}.wh.${path.slice(slash + 1)}`;
  return {
    type: "file",
    path: marker,
    mode: 0o644,
    uid: 0,
    gid: 0,
    content: { kind: "bytes", bytes: new Uint8Array() },
  };
}

function below(tree: RootTree, folder: string): string[] {
  return [...tree.paths()].filter((path) => path.startsWith(`${folder}/`));
}

/** PEP 3147: bytecode that is not checked against its source would be loaded for the new one. */
function sourceOf(path: string): string | undefined {
  const [, folder = "", module = ""] = /^(.*\/)__pycache__\/([^/.]+)\.[^/]+\.pyc$/.exec(path) ?? [];
  return module === "" ? undefined : `${folder}${module}.py`;
}

/** The folders that hold nothing but removed paths, and removed paths outside such folders. */
function tops(tree: RootTree, removed: ReadonlySet<string>): string[] {
  const kept = new Set<string>();
  for (const path of tree.paths()) {
    if (removed.has(path) || tree.get(path)?.type === "directory") continue;
    for (let folder = parentOf(path); folder !== "" && !kept.has(folder); folder = parentOf(folder)) kept.add(folder);
  }
  const found = new Set<string>();
  for (const path of removed) {
    let top = path;
    for (let folder = parentOf(path); folder !== "" && !kept.has(folder); folder = parentOf(folder)) top = folder;
    found.add(top);
  }
  return [...found];
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
