import { type Piece, pieceLength } from "../elf/pieces.ts";
import { brokenElf } from "../elf/view.ts";

/** A file that is read in places: libraries of a gigabyte are never held in memory. */
export interface RandomAccess {
  /** Bytes. */
  size: number;
  /** Exactly `length` bytes from `offset`, which the caller knows to be inside; valid until the next read. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

export function bytesSource(bytes: Uint8Array): RandomAccess {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** The file that parts make, as one to read from: what is written can be checked before it is. */
export function partsSource(original: RandomAccess, parts: readonly Piece[]): RandomAccess {
  const starts: number[] = [];
  let size = 0;
  for (const part of parts) {
    starts.push(size);
    size += pieceLength(part);
  }
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const result = new Uint8Array(length);
    let index = lastAtOrBefore(starts, offset);
    for (let at = offset; at < offset + length; index++) {
      const part = parts[index];
      const start = starts[index];
      if (!part || start === undefined) throw new RangeError(`a read at ${at} is outside of the file`);
      const skip = at - start;
      const count = Math.min(pieceLength(part) - skip, offset + length - at);
      if (count === 0) continue;
      const chunk =
        "bytes" in part ? part.bytes.subarray(skip, skip + count) : await original.read(part.from + skip, count);
      result.set(chunk, at - offset);
      at += count;
    }
    return result;
  };
  return { size, read };
}

/** The same file, of which nothing outside is ever asked: offsets that a damaged file gives end in an error of their own. */
export function guarded(source: RandomAccess): RandomAccess {
  return {
    size: source.size,
    read(offset, length) {
      if (offset >= 0 && length >= 0 && offset + length <= source.size) return source.read(offset, length);
      throw brokenElf(`${length} bytes at ${offset} are outside of the file's ${source.size} bytes`);
    },
  };
}

/** The bytes that parts make, in order, in chunks of at most a megabyte; each is the reader's own. */
export async function* streamParts(original: RandomAccess, parts: readonly Piece[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if ("bytes" in part) {
      if (part.bytes.length > 0) yield part.bytes;
      continue;
    }
    const end = part.from + part.length;
    for (let at = part.from; at < end; at += chunkSize) {
      yield Uint8Array.from(await original.read(at, Math.min(chunkSize, end - at)));
    }
  }
}

/**
 * Reads a range after checking that it is inside.
 *
 * @throws SheafError SHEAF_ELF when it ends after the file, or is larger than any table of a real library
 */
export async function readChecked(source: RandomAccess, range: { offset: number; size: number; what: string }) {
  const { offset, size, what } = range;
  if (!(offset >= 0 && size >= 0 && offset + size <= source.size)) {
    throw brokenElf(`${what} at ${offset} (${size} bytes) ends after the file's ${source.size} bytes`);
  }
  if (size > largestTable) throw brokenElf(`${what} has ${size} bytes`);
  return source.read(offset, size);
}

/** Chunks of a range, each at most about a megabyte and a multiple of `unit` bytes, with their offsets. */
export async function* readChunks(
  source: RandomAccess,
  range: { offset: number; size: number; unit: number },
): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  const step = Math.max(1, Math.floor(chunkSize / range.unit)) * range.unit;
  const end = range.offset + range.size;
  for (let offset = range.offset; offset < end; offset += step) {
    yield { offset, bytes: await source.read(offset, Math.min(step, end - offset)) };
  }
}

/** Index of the last number that is not above `value`, in a sorted list; -1 when all are. */
export function lastAtOrBefore(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? Infinity) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const chunkSize = 2 ** 20;
const largestTable = 2 ** 28;
