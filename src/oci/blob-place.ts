import * as fs from "node:fs";

import { SheafError } from "../errors.ts";
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

/**
 * Reads a run of bytes in a file without giving way to anything else, as only a thread of its own may: the memory of a chunk
 * is that of the next one.
 */
export function* lendFile({ file, start, size }: FilePlace): Generator<Uint8Array, void, void> {
  const descriptor = fs.openSync(file, "r");
  try {
    const memory = Buffer.allocUnsafeSlow(Math.min(lentSize, size));
    let filled = 0;
    for (let at = 0; at < size;) {
      const read = fs.readSync(descriptor, memory, filled, Math.min(memory.length - filled, size - at), start + at);
      if (read === 0) throw shortened(file);
      at += read;
      filled += read;
      if (filled < memory.length && at < size) continue;
      yield memory.subarray(0, filled);
      filled = 0;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

function shortened(file: string): SheafError {
  return new SheafError("SHEAF_IMAGE", `${file} became shorter while it was read`, { hint: "try again" });
}

/** Half a cache of the second level: what was read is hashed while it is near. */
const lentSize = 512 * 1024;
