import { elfFacts, type ElfFacts } from "../../elf/facts.ts";
import { readElfImage, segmentTypes, type Segment } from "../../elf/read.ts";
import type { ByteSource } from "../../archive/byte-source.ts";
import { SheafError } from "../../errors.ts";

/** Files up to here are held whole. */
export const smallElf = 24 * 1024 * 1024;
/** Program headers stand within these first bytes. */
const firstBytes = 1024 * 1024;
/** Of large files: their beginning, where linkers put the tables that the loader reads … */
const headBytes = 24 * 1024 * 1024;
/** … and segments behind it, where patchelf puts tables that grew. */
const largestTail = 24 * 1024 * 1024;
const mostKept = 72 * 1024 * 1024;

export interface SievedElf {
  elf?: ElfFacts;
  /** Why it is no file that can be loaded. */
  brokenElf?: string;
}

/**
 * Takes the facts of a large ELF file out of a stream that can't go back. Its bulk, code and data for a GPU, is let through, and
 * counts as zeros.
 */
export class ElfSieve {
  readonly #size: number;
  readonly #kept: Range[];
  #at = 0;

  /** @param size bytes of the file */
  constructor(size: number) {
    this.#size = size;
    this.#kept = [new Range(0, Math.min(size, firstBytes))];
  }

  add(chunk: Uint8Array): void {
    let rest = chunk;
    if (this.#at < firstBytes && this.#at + chunk.length >= firstBytes) {
      const first = chunk.subarray(0, firstBytes - this.#at);
      this.#keep(first);
      rest = chunk.subarray(first.length);
      for (const [start, end] of rangesOf(this.#source())) this.#kept.push(new Range(start, end));
    }
    this.#keep(rest);
  }

  finish(): SievedElf {
    return factsOfElf(this.#source());
  }

  #keep(chunk: Uint8Array): void {
    for (const range of this.#kept) range.put(this.#at, chunk);
    this.#at += chunk.length;
  }

  #source(): ByteSource {
    return { size: this.#size, read: (offset, length) => this.#read(offset, length) };
  }

  #read(offset: number, length: number): Uint8Array {
    const whole = this.#kept.find((range) => range.start <= offset && offset + length <= range.end);
    if (whole) return whole.bytes.subarray(offset - whole.start, offset - whole.start + length);
    const bytes = new Uint8Array(length);
    for (const range of this.#kept) {
      const from = Math.max(offset, range.start);
      const to = Math.min(offset + length, range.end);
      if (from < to) bytes.set(range.bytes.subarray(from - range.start, to - range.start), from - offset);
    }
    return bytes;
  }
}

/** Bytes of the file that are kept. */
class Range {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
    this.bytes = new Uint8Array(end - start);
  }

  /** @param at where in the file the chunk is */
  put(at: number, chunk: Uint8Array): void {
    const from = Math.max(at, this.start);
    const to = Math.min(at + chunk.length, this.end);
    if (from < to) this.bytes.set(chunk.subarray(from - at, to - at), from - this.start);
  }
}

/** What the loader reads of it, or why it can't. */
export function factsOfElf(file: Uint8Array | ByteSource): SievedElf {
  try {
    const elf = elfFacts(file);
    return elf ? { elf } : {};
  } catch (error) {
    if (error instanceof SheafError) return { brokenElf: error.message };
    throw error;
  }
}

/** What of a large file behind its first bytes the dynamic section is, or may point into. */
function rangesOf(file: ByteSource): [start: number, end: number][] {
  const head = Math.min(headBytes, file.size);
  const ranges: [number, number][] = [[firstBytes, head]];
  let kept = head;
  const segments = segmentsOf(file).toReversed();
  const small = segments.filter(({ type }) => type === segmentTypes.dynamic || type === segmentTypes.interp);
  for (const { offset, fileSize } of [...small, ...segments.filter(({ type }) => type === segmentTypes.load)]) {
    const isInside = offset + fileSize > head && offset + fileSize <= file.size;
    if (!isInside || fileSize > largestTail || kept + fileSize > mostKept) continue;
    kept += fileSize;
    ranges.push([offset, offset + fileSize]);
  }
  return ranges;
}

function segmentsOf(file: ByteSource): Segment[] {
  try {
    return readElfImage(file)?.segments ?? [];
  } catch (error) {
    // The same error comes again when the file is whole.
    if (error instanceof SheafError) return [];
    throw error;
  }
}
