import { lastAtOrBefore } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/** Offsets in a file, from `start` up to but not including `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

type Place = readonly [file: RandomAccess, offset: number];

/**
 * Whether two ranges have the same bytes.
 * @param options.masks ranges of the first file that may differ, sorted by their start
 */
export async function compareRanges(
  [first, from]: Place,
  [second, to]: Place,
  { length, masks = [] }: { length: number; masks?: readonly ByteRange[] },
): Promise<boolean> {
  const starts = masks.map(({ start }) => start);
  for (let at = 0; at < length; at += chunkSize) {
    const size = Math.min(chunkSize, length - at);
    const a = Buffer.from(await first.read(from + at, size));
    const b = Buffer.from(await second.read(to + at, size));
    // Ranges that may differ are short; those that begin before the chunk by more than the longest don't reach it.
    for (let index = lastAtOrBefore(starts, from + at + size); index >= 0; index--) {
      const mask = masks[index];
      if (!mask || mask.start < from + at - longestMask) break;
      for (const bytes of [a, b]) {
        bytes.fill(0, Math.max(0, mask.start - from - at), Math.max(0, Math.min(size, mask.end - from - at)));
      }
    }
    if (!a.equals(b)) return false;
  }
  return true;
}

const chunkSize = 2 ** 20;
/** A program header table of the most entries that are read. */
const longestMask = 2 ** 16;
