import { crc32, inflateRawSync } from "node:zlib";

import { zipError } from "./zip-error.ts";

export interface DeflatedFile {
  /** What errors call it. */
  name: string;
  deflated: Uint8Array;
  crc32: number;
  size: number;
}

/**
 * Inflates a raw deflate stream (RFC 1951) that must give exactly `size` bytes with the given CRC and end where its bytes end,
 * so that the same stream can be trusted as a gzip member. Never allocates much more than the stream really holds.
 * @throws SheafError SHEAF_ZIP naming the file
 */
export function inflateExactly(file: DeflatedFile): Uint8Array {
  if (file.size > largestFile) throw zipError(file.name, `has ${file.size} bytes, more than ${largestFile}`);
  const bytes = inflate(file);
  if (bytes.length !== file.size) {
    throw zipError(file.name, `holds ${bytes.length} bytes where ${file.size} are declared`);
  }
  checkCrc(file.name, bytes, file.crc32);
  return bytes;
}

/** @throws SheafError SHEAF_ZIP naming the file when the CRC-32 differs */
export function checkCrc(name: string, bytes: Uint8Array, expected: number): void {
  const actual = crc32(bytes);
  if (actual !== expected) throw crcMismatch(name, actual, expected);
}

export function crcMismatch(name: string, actual: number, expected: number): Error {
  return zipError(name, `has CRC-32 ${hex(actual)} where ${hex(expected)} is declared`);
}

/** Node hashes no more in one call. */
const largestFile = 2 ** 31 - 1;
const largestSingleChunk = 64 * 1024 * 1024;

function inflate({ name, deflated, size }: DeflatedFile): Uint8Array {
  // One byte more than declared, so that zlib sees the end of the stream without a second buffer. A declared size that the
  // stream is unlikely to reach is not trusted with memory beforehand.
  const plausible = size <= largestSingleChunk || size <= deflated.length * 64;
  const chunkSize = Math.max(64, plausible ? size + 1 : largestSingleChunk);
  let result: InflateResult;
  try {
    result = inflateRawSync(deflated, { chunkSize, maxOutputLength: Math.max(1, size), info: true }) as never;
  } catch (cause) {
    throw zipError(name, `cannot be inflated to the declared ${size} bytes: ${(cause as Error).message}`, cause);
  }
  if (result.engine.bytesWritten !== deflated.length) {
    throw zipError(name, `has ${deflated.length - result.engine.bytesWritten} stray bytes after its deflate stream`);
  }
  return result.buffer;
}

/** What zlib's synchronous functions return with `info: true`. */
interface InflateResult {
  buffer: Uint8Array;
  engine: { bytesWritten: number };
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
