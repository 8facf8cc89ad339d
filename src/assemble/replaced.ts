import { buildSegment } from "../archive/segment.ts";
import type { FileEntry } from "../filesystem/entry.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { SegmentRef } from "../oci/compose-layer.ts";
import type { Store } from "../store/store.ts";
import { normalizeName } from "../wheel/filename.ts";

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
  const removed = new Set(replaced.flatMap(({ files, info }) => [...files.filter((file) => !file.startsWith(`${info}/`)), info]));
  const entries = [...removed].map(whiteout).toSorted((a, b) => (a.path < b.path ? -1 : 1));
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
  return { type: "file", path: marker, mode: 0o644, uid: 0, gid: 0, content: { kind: "bytes", bytes: new Uint8Array() } };
}
