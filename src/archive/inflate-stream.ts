import { Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";

import type { ByteSource } from "./byte-source.ts";
import { crcMismatch } from "./inflate.ts";
import type { ZipEntry } from "./zip-directory.ts";
import { zipError } from "./zip-error.ts";

/** Reads a range of a source in chunks of at most a MiB. */
export function* readRange(source: ByteSource, range: { offset: number; length: number }): Generator<Uint8Array> {
  const end = range.offset + range.length;
  for (let at = range.offset; at < end; at += chunkSize) yield source.read(at, Math.min(chunkSize, end - at));
}

/**
 * The content of an entry of a zip archive, in chunks, of which the reader holds as many as it likes. The same is checked
 * as when it is inflated at once: the size, the CRC-32 and that nothing follows the stream.
 *
 * @throws SheafError SHEAF_ZIP naming the entry, when the damage is come upon
 */
export async function* inflateChunks(
  archive: ByteSource,
  entry: Omit<ZipEntry, "data">,
): AsyncGenerator<Uint8Array, void, void> {
  const { path, size } = entry;
  let crc = 0;
  let total = 0;
  for await (const chunk of entry.method === 0 ? stored(archive, entry) : inflated(archive, entry)) {
    total += chunk.length;
    if (total > size) throw zipError(path, `holds more than the ${size} bytes that are declared`);
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (total !== size) throw zipError(path, `holds ${total} bytes where ${size} are declared`);
  if (crc !== entry.crc32) throw crcMismatch(path, crc, entry.crc32);
}

function stored(archive: ByteSource, { offset, compressedSize }: Omit<ZipEntry, "data">): Iterable<Uint8Array> {
  return readRange(archive, { offset, length: compressedSize });
}

async function* inflated(
  archive: ByteSource,
  { path, offset, compressedSize, size }: Omit<ZipEntry, "data">,
): AsyncGenerator<Uint8Array, void, void> {
  const inflate = createInflateRaw({ chunkSize });
  const input = Readable.from(readRange(archive, { offset, length: compressedSize }), { highWaterMark: 1 });
  input.on("error", (error) => inflate.destroy(error));
  input.pipe(inflate);
  try {
    for await (const chunk of inflate) yield chunk as Uint8Array;
  } catch (cause) {
    if (!isZlibError(cause)) throw cause;
    throw zipError(path, `cannot be inflated to the declared ${size} bytes: ${cause.message}`, cause);
  } finally {
    input.destroy();
    inflate.destroy();
  }
  const stray = compressedSize - inflate.bytesWritten;
  if (stray !== 0) throw zipError(path, `has ${stray} stray bytes after its deflate stream`);
}

function isZlibError(error: unknown): error is Error {
  return error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("Z_");
}

const chunkSize = 1024 * 1024;
