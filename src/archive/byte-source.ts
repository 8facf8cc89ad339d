/** Bytes that are read in places: an archive in memory, or a file that is never held as a whole. */
export interface ByteSource {
  /** Bytes. */
  size: number;
  /** Exactly `length` bytes from `offset`, which the caller knows to be inside. They stay as they are. */
  read(offset: number, length: number): Uint8Array;
  /** All of them, where they are in memory. */
  bytes?: Uint8Array;
}

export function memorySource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length), bytes };
}

/** Numbers of a source by offset, through a window: headers that lie close together are read at once. */
export class SourceView {
  readonly #source: ByteSource;
  readonly #littleEndian: boolean;
  #start = 0;
  #window: DataView;

  constructor(source: ByteSource, littleEndian = true) {
    this.#source = source;
    this.#littleEndian = littleEndian;
    this.#window = viewOf(source.bytes ?? new Uint8Array());
  }

  /** Bytes of the source. */
  get size(): number {
    return this.#source.size;
  }

  u16(offset: number): number {
    return this.#at(offset, 2).getUint16(offset - this.#start, this.#littleEndian);
  }

  u32(offset: number): number {
    return this.#at(offset, 4).getUint32(offset - this.#start, this.#littleEndian);
  }

  u64(offset: number): bigint {
    return this.#at(offset, 8).getBigUint64(offset - this.#start, this.#littleEndian);
  }

  bytes(offset: number, length: number): Uint8Array {
    const { buffer, byteOffset } = this.#at(offset, length);
    return new Uint8Array(buffer, byteOffset + offset - this.#start, length);
  }

  /** Brings a range into the window. */
  load(offset: number, length: number): void {
    if (this.#source.bytes) return;
    this.#window = viewOf(this.#source.read(offset, Math.min(length, this.#source.size - offset)));
    this.#start = offset;
  }

  /** The window, moved so that the range is in it. */
  #at(offset: number, length: number): DataView {
    if (offset < 0 || offset + length > this.#source.size) throw new RangeError(`${length} bytes at ${offset}`);
    const inside = offset >= this.#start && offset + length <= this.#start + this.#window.byteLength;
    if (!inside) this.load(offset, Math.max(length, windowSize));
    return this.#window;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

const windowSize = 64 * 1024;
