import * as fs from "node:fs";
import * as path from "node:path";

import { isErrno } from "../store/store.ts";

/** Files of an image on disk by their path in it: a folder, or an archive that is read in place. */
export interface BlobSource {
  /** What errors call it. */
  readonly name: string;
  /** Bytes, undefined when there is no such file. */
  size(file: string): number | undefined;
  read(file: string): Uint8Array | undefined;
  /** Streams from the beginning at each call. */
  stream(file: string): AsyncIterable<Uint8Array>;
}

/** An OCI layout as a folder. */
export function folderSource(directory: string): BlobSource {
  const at = (file: string) => path.join(directory, ...file.split("/"));
  return {
    name: directory,
    size: (file) => fs.statSync(at(file), { throwIfNoEntry: false })?.size,
    read: (file) => {
      try {
        return fs.readFileSync(at(file));
      } catch (error) {
        if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
        throw error;
      }
    },
    stream: (file) => streamFile(at(file)),
  };
}

/** Bytes `start` to `start + size` of a file, in chunks. */
export async function* streamFile(file: string, start = 0, size?: number): AsyncGenerator<Uint8Array, void, void> {
  if (size === 0) return;
  const end = size === undefined ? undefined : start + size - 1;
  const stream = fs.createReadStream(file, { start, end, highWaterMark: 512 * 1024 });
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } finally {
    stream.destroy();
  }
}
