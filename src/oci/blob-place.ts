import type { Digest } from "../store/store.ts";
import { type FilePlace, streamFile } from "./blob-source.ts";

/** Where a blob's bytes lie on this machine, as plain data: another thread can read them as well. */
export type BlobPlace = FilePlace | PartsPlace;

/** Blobs of a store, one after another. */
export interface PartsPlace {
  storeRoot: string;
  parts: readonly Digest[];
}

/**
 * Streams the blob from its beginning.
 * @throws SheafError SHEAF_DAMAGED for parts that are missing or damaged, SHEAF_IMAGE for a file that can't be read
 */
export async function* streamPlace(place: BlobPlace): AsyncGenerator<Uint8Array, void, void> {
  if ("file" in place) return yield* streamFile(place.file, place.start, place.size);
  const [{ openStore }, { readParts }] = await Promise.all([import("../store/store.ts"), import("./blob-stream.ts")]);
  yield* readParts(openStore(place.storeRoot), place.parts);
}
