import { type ByteSource, SourceView } from "../archive/byte-source.ts";
import { SheafError } from "../errors.ts";

/** Numbers of an ELF file by offset: each read is checked against the file's end. */
export class ElfView {
  readonly class: 32 | 64;
  readonly littleEndian: boolean;
  readonly #source: ByteSource;
  readonly #view: SourceView;

  constructor(source: ByteSource, format: { class: 32 | 64; littleEndian: boolean }) {
    this.#source = source;
    this.class = format.class;
    this.littleEndian = format.littleEndian;
    this.#view = new SourceView(source, format.littleEndian);
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#source.size;
  }

  /** A range of the file. */
  read(offset: number, length: number): Uint8Array {
    this.check(offset, length, "a range");
    return this.#source.read(offset, length);
  }

  u16(offset: number): number {
    this.check(offset, 2, "a number");
    return this.#view.u16(offset);
  }

  u32(offset: number): number {
    this.check(offset, 4, "a number");
    return this.#view.u32(offset);
  }

  /** A 64-bit number; what JavaScript can't count exactly is beyond any file and becomes Infinity. */
  u64(offset: number): number {
    this.check(offset, 8, "a number");
    const value = this.#view.u64(offset);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.POSITIVE_INFINITY;
  }

  /** An address, offset or size: 4 bytes in class 32, 8 in class 64. */
  word(offset: number): number {
    return this.class === 64 ? this.u64(offset) : this.u32(offset);
  }

  get wordSize(): 4 | 8 {
    return this.class === 64 ? 8 : 4;
  }

  /** The NUL-terminated string at an offset, which must end before `limit`. */
  string(offset: number, limit: number): string {
    const end = Math.min(limit, this.size, offset + longestString + 1);
    const bytes = offset >= 0 && offset < end ? this.#view.bytes(offset, end - offset) : new Uint8Array();
    const stop = bytes.indexOf(0);
    if (stop < 0) throw brokenElf(`a string at ${offset} has no end`);
    return Buffer.from(bytes.buffer, bytes.byteOffset, stop).toString("utf8");
  }

  /** @throws SheafError SHEAF_ELF when `size` bytes at `offset` are not all inside the file */
  check(offset: number, size: number, what: string): void {
    if (offset >= 0 && size >= 0 && offset + size <= this.size) return;
    throw brokenElf(`${what} at ${offset} (${size} bytes) ends after the file's ${this.size} bytes`);
  }
}

export function brokenElf(reason: string): SheafError {
  return new SheafError("SHEAF_ELF", `broken ELF file: ${reason}`);
}

/** Sonames, versions and paths are far shorter; the bound keeps hostile tables from quadratic work. */
const longestString = 16 * 1024;
