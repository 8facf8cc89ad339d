import { elfFacts, type ElfFacts } from "../../elf/facts.ts";
import { readElfImage, segmentTypes, type Segment } from "../../elf/read.ts";
import { SheafError } from "../../errors.ts";

/** Files up to here are held whole. */
export const smallElf = 24 * 1024 * 1024;
/** Of larger ones: their beginning, where linkers put the tables that the loader reads … */
const headBytes = 48 * 1024 * 1024;
/** … and segments that were added behind, as patchelf does with tables that grew. */
const largestTail = 48 * 1024 * 1024;
const mostKept = 128 * 1024 * 1024;

export interface SievedElf {
  elf?: ElfFacts;
  /** Why it is no file that can be loaded. */
  brokenElf?: string;
}

/**
 * Takes the facts of an ELF file out of a stream that can't go back. A large file's bulk, code and data for a GPU, is let
 * through: the buffer has the file's size, but pages that nobody writes take no memory.
 */
export class ElfSieve {
  readonly #bytes: Uint8Array;
  #ranges: { start: number; end: number }[] | undefined;
  #at = 0;

  constructor(size: number) {
    const isSmall = size <= smallElf;
    // A small one is filled whole; of a large one the pages that nobody writes have to be zero, and cost nothing.
    this.#bytes = isSmall ? Buffer.allocUnsafeSlow(size) : new Uint8Array(size);
    if (isSmall) this.#ranges = [{ start: 0, end: size }];
  }

  add(chunk: Uint8Array): void {
    const start = this.#at;
    this.#at += chunk.length;
    // Program headers stand at the beginning; until they are read everything is kept.
    if (!this.#ranges && this.#at >= 1024 * 1024) {
      this.#bytes.set(chunk, start);
      this.#ranges = rangesOf(this.#bytes);
      return;
    }
    if (!this.#ranges) return this.#bytes.set(chunk, start);
    for (const range of this.#ranges) {
      const from = Math.max(start, range.start);
      const to = Math.min(this.#at, range.end);
      if (from < to) this.#bytes.set(chunk.subarray(from - start, to - start), from);
    }
  }

  /** All of a file that was small enough to be held. */
  get whole(): Uint8Array | undefined {
    return this.#bytes.length <= smallElf ? this.#bytes : undefined;
  }

  finish(): SievedElf {
    return factsOfElf(this.#bytes);
  }
}

/** What the loader reads of it, or why it can't. */
export function factsOfElf(bytes: Uint8Array): SievedElf {
  try {
    const elf = elfFacts(bytes);
    return elf ? { elf } : {};
  } catch (error) {
    if (error instanceof SheafError) return { brokenElf: error.message };
    throw error;
  }
}

/** What of a large file its dynamic section may point into. */
function rangesOf(bytes: Uint8Array): { start: number; end: number }[] {
  const ranges = [{ start: 0, end: headBytes }];
  let segments: Segment[] = [];
  try {
    segments = readElfImage(bytes)?.segments ?? [];
  } catch (error) {
    // The same error comes again when the file is whole.
    if (!(error instanceof SheafError)) throw error;
  }
  let kept = headBytes;
  for (const { type, offset, fileSize } of segments.toReversed()) {
    const wanted = type === segmentTypes.dynamic || type === segmentTypes.interp || type === segmentTypes.load;
    if (!wanted || offset < headBytes || fileSize > largestTail || kept + fileSize > mostKept) continue;
    kept += fileSize;
    ranges.push({ start: offset, end: offset + fileSize });
  }
  return ranges;
}
