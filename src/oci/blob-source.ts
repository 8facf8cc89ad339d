import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";

/** A run of bytes in a file. */
export interface FilePlace {
  file: string;
  start: number;
  size: number;
}

/** Files of an image on disk by their path in it: a folder, or an archive that is read in place. */
export interface BlobSource {
  /** What errors call it. */
  readonly name: string;
  /** Bytes, undefined when there is no such file. */
  size(file: string): number | undefined;
  /** Where its bytes lie, undefined when there is no such file. */
  place(file: string): FilePlace | undefined;
  /** @throws SheafError SHEAF_IMAGE for one that is larger than any document of an image is */
  read(file: string): Uint8Array | undefined;
  /**
   * Streams from the beginning at each call.
   * @throws SheafError SHEAF_IMAGE as it is read, when there is no such file
   */
  stream(file: string): AsyncIterable<Uint8Array>;
}

/** Bytes of an index, a manifest or a config; registries take 4 MiB. */
const largestDocument = 32 * 1024 * 1024;

/** An OCI layout as a folder. */
export function folderSource(directory: string): BlobSource {
  const at = (file: string) => path.join(directory, ...file.split("/"));
  // A pipe or a device has no end: only what is a file is read.
  const place = (file: string): FilePlace | undefined => {
    const stat = fs.statSync(at(file), { throwIfNoEntry: false });
    return stat?.isFile() ? { file: at(file), start: 0, size: stat.size } : undefined;
  };
  return {
    name: directory,
    place,
    size: (file) => place(file)?.size,
    read: (file) => {
      const found = place(file);
      return found && readDocument(file, found, (where) => fs.readFileSync(where));
    },
    stream: (file) => streamFound(directory, file, place(file)),
  };
}

/** @throws SheafError SHEAF_IMAGE for a document that is larger than any is, and for one that can't be read */
export function readDocument(name: string, place: FilePlace, read: (file: string) => Uint8Array): Uint8Array {
  if (place.size > largestDocument) {
    throw new SheafError("SHEAF_IMAGE", `${name} has ${place.size} bytes, more than a document of an image has`, {
      hint: `it may have ${largestDocument}: build or save the image again`,
    });
  }
  try {
    return read(place.file);
  } catch (cause) {
    if (cause instanceof SheafError) throw cause;
    throw new SheafError("SHEAF_IMAGE", `${name} can't be read: ${(cause as Error).message}`, {
      hint: "check the path and its permissions",
      cause,
    });
  }
}

/** @param place where the file is found; undefined throws as soon as it is read */
export async function* streamFound(
  source: string,
  name: string,
  place: FilePlace | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  if (!place) {
    throw new SheafError("SHEAF_IMAGE", `${source} has no ${name}: it is incomplete`, {
      hint: "build or save the image again",
    });
  }
  yield* streamFile(place.file, place.start, place.size);
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
