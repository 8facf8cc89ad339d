/** A stream that is looked at from its beginning to its end. What was passed is let go. */
export class PassingBytes {
  /** From `#at` on; while a piece is looked at, its owner's memory. */
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Where looking goes on, when that is after all that has come. */
  #next = 0;

  /** Adds the next piece, which is its owner's again after `look`. */
  add(piece: Uint8Array, look: () => void): void {
    const skipped = Math.min(piece.length, Math.max(0, this.#next - this.#at - this.#held.length));
    const rest = Buffer.from(piece.buffer, piece.byteOffset + skipped, piece.length - skipped);
    if (this.#held.length === 0) this.#at += skipped;
    this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]);
    look();
    this.#held = Buffer.from(this.#held);
  }

  /** Where looking can go on. */
  get position(): number {
    return this.#at;
  }

  /** @throws RangeError for a place that was passed */
  moveTo(offset: number): void {
    if (offset < this.#at) throw new RangeError(`${offset} was passed`);
    this.#next = offset;
    const skipped = Math.min(offset - this.#at, this.#held.length);
    this.#held = this.#held.subarray(skipped);
    this.#at += skipped;
  }

  /**
   * Bytes until the next call, undefined when they have not come. What is before them is let go.
   * @throws RangeError for a place that was passed
   */
  take(offset: number, length: number): Uint8Array | undefined {
    this.moveTo(offset);
    return this.#at === offset && this.#held.length >= length ? this.#held.subarray(0, length) : undefined;
  }

  /** The next place that is a multiple of 8 and at which these bytes stand, 8 at most; undefined when none has come. */
  find(bytes: Uint8Array): number | undefined {
    this.moveTo(Math.ceil(Math.max(this.#next, this.#at) / 8) * 8);
    const end = this.#at + this.#held.length;
    let found = this.#held.indexOf(bytes);
    while (found >= 0 && (this.#at + found) % 8 !== 0) found = this.#held.indexOf(bytes, found + 1);
    // What is cut off can go on in the next piece.
    this.moveTo(found >= 0 ? this.#at + found : Math.max(this.#next, end - (end % 8)));
    return found >= 0 ? this.#at : undefined;
  }
}
