import type { RandomAccess } from "./random-access.ts";

/** A file that comes as a stream, and is read in places from its beginning to its end. What was passed is let go. */
export class ForwardSource implements RandomAccess {
  readonly size: number;
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** The bytes from `#at` that have come: of the stream's own until the next chunk is asked for, then a copy. */
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;

  /** @param size bytes that the stream has */
  constructor(chunks: AsyncIterable<Uint8Array>, size: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.size = size;
  }

  /** Where the next read can begin. */
  get position(): number {
    return this.#at;
  }

  /**
   * Bytes that may be kept.
   *
   * @throws RangeError for a place that was passed, or one that the stream does not reach
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    await this.#moveTo(offset);
    await this.#fill(length);
    if (this.#held.length < length) throw new RangeError(`${length} bytes at ${offset} are not in the stream`);
    return Buffer.from(this.#held.subarray(0, length));
  }

  /** The next place at or after `from` at which four bytes stand, and that is a multiple of 8; undefined when there is none. */
  async find(from: number, bytes: Uint8Array): Promise<number | undefined> {
    await this.#moveTo(Math.ceil(from / 8) * 8);
    while (await this.#fill(8)) {
      // Only its beginning is looked at of what could go on in the next chunk.
      const end = this.#held.length - (this.#held.length % 8);
      let found = this.#held.indexOf(bytes);
      while (found >= 0 && found % 8 !== 0) found = this.#held.indexOf(bytes, found + 1);
      if (found >= 0) return this.#at + found;
      await this.#moveTo(this.#at + end);
    }
    return undefined;
  }

  /** Reads the rest, for whoever watches the stream. */
  async drain(): Promise<void> {
    while (!this.#ended) await this.#moveTo(this.#at + this.#held.length + 1);
  }

  async #moveTo(offset: number): Promise<void> {
    if (offset < this.#at) throw new RangeError(`${offset} was passed`);
    while (offset > this.#at + this.#held.length && !this.#ended) {
      this.#at += this.#held.length;
      this.#held = await this.#next();
    }
    const skipped = Math.min(offset - this.#at, this.#held.length);
    this.#held = this.#held.subarray(skipped);
    this.#at += skipped;
  }

  /** Whether there are that many bytes from here on. */
  async #fill(length: number): Promise<boolean> {
    while (this.#held.length < length && !this.#ended) {
      const rest = Buffer.from(this.#held);
      const next = await this.#next();
      this.#held = rest.length === 0 ? next : Buffer.concat([rest, next]);
    }
    return this.#held.length >= length;
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.#chunks.next();
    this.#ended = done === true;
    return done ? Buffer.alloc(0) : Buffer.from(value.buffer, value.byteOffset, value.length);
  }
}
