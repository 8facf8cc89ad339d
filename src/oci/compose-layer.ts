import { createHash } from "node:crypto";

import { decompressStream } from "../archive/decompress.ts";
import { directoriesSegment, segmentEnd } from "../archive/segment.ts";
import { SheafError } from "../errors.ts";
import type { DirectoryEntry } from "../filesystem/entry.ts";
import type { Digest, Store } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import { readParts, verifyParts } from "./blob-stream.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { Layer } from "./image.ts";
import { mediaTypes } from "./types.ts";

/** A segment that is a blob in the store. */
export interface SegmentRef {
  digest: Digest;
  /** Bytes of the blob. */
  compressed: number;
  /** Bytes of the tar entries in it. */
  unpacked: number;
}

export interface LayerInput {
  /** In this order. */
  segments: readonly SegmentRef[];
  /** Come first, sorted by path. */
  directories: readonly DirectoryEntry[];
  /** Seconds since 1970, of the directories. */
  mtime: number;
  kind: string;
  createdBy: string;
}

/** The recipe of a layer: blobs in the store whose concatenation is the layer's blob, so that nothing is stored twice. */
export interface LayerRecord {
  digest: Digest;
  /** Bytes of the blob. */
  size: number;
  diffId: Digest;
  /** Bytes of the tar archive. */
  unpackedSize: number;
  kind: string;
  createdBy: string;
  parts: Digest[];
}

/**
 * Puts segments together as a gzip layer: directories, segments, end of archive. The bytes are streamed once, to know both
 * digests; the result is kept in the store, so that the next call with the same input touches nothing.
 * @throws SheafError SHEAF_DAMAGED with the detail `part` when a segment is missing or damaged in the store
 */
export async function composeLayer(store: Store, input: LayerInput): Promise<LayerRecord> {
  const { kind, createdBy } = input;
  const key = recordKey(input);
  const known = store.readRecord<Measured>(recordKind, key);
  if (known?.parts.every((part) => store.hasBlob(part))) return { ...known, kind, createdBy };
  const directories = directoriesSegment(input.directories, input.mtime);
  const parts = [
    ...(directories.compressed > 0 ? [store.putBlob(directories.chunks)] : []),
    ...input.segments.map((segment) => segment.digest),
    store.putBlob(segmentEnd),
  ];
  const measured = await measure(store, parts);
  store.writeRecord(recordKind, key, measured);
  return { ...measured, kind, createdBy };
}

/** A layer that streams from the store and re-hashes each part (SHEAF_DAMAGED, with the detail `part`). */
export function layerFromRecord(store: Store, record: LayerRecord): Layer {
  const { digest, diffId, size, unpackedSize, kind, createdBy, parts } = record;
  const compressed = () => readParts(store, parts);
  const uncompressed = () => unpackParts(store, parts, compressed());
  return {
    digest,
    diffId,
    size,
    unpackedSize,
    kind,
    createdBy,
    place: { storeRoot: store.root, parts },
    compressed,
    uncompressed,
    mediaType: mediaTypes.layerGzip,
  };
}

type Measured = Omit<LayerRecord, "kind" | "createdBy">;

const recordKind = "layer";

/** What the bytes follow from; the digest of the end member stands for the version of the writer. */
function recordKey({ segments, directories, mtime }: LayerInput): string {
  const digests = segments.map((segment) => segment.digest);
  return Buffer.from(canonicalJson({ segments: digests, directories, mtime, end: sha256(segmentEnd) })).toString(
    "utf8",
  );
}

async function measure(store: Store, parts: Digest[]): Promise<Measured> {
  const blob = createHash("sha256");
  const archive = createHash("sha256");
  let size = 0;
  let unpackedSize = 0;
  const hashed = async function* (): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of readParts(store, parts)) {
      blob.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  };
  for await (const chunk of unpackParts(store, parts, hashed())) {
    archive.update(chunk);
    unpackedSize += chunk.length;
  }
  return {
    digest: `sha256:${blob.digest("hex")}`,
    size,
    diffId: `sha256:${archive.digest("hex")}`,
    unpackedSize,
    parts,
  };
}

/** A decoder stumbles over damage before the part that has it is hashed to its end: the part is what the caller must know. */
async function* unpackParts(
  store: Store,
  parts: readonly Digest[],
  compressed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* decompressStream(compressed, "gzip");
  } catch (error) {
    if (error instanceof SheafError && error.code === "SHEAF_COMPRESSION") await verifyParts(store, parts);
    throw error;
  }
}
