/** Reads exact numbers of bytes from a stream of chunks, without keeping more than the current chunk. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #cutShort: () => Error;
  #current: Uint8Array = new Uint8Array();
  #done = false;

  /** @param cutShort makes the error for a stream that ends too early */
  constructor(chunks: AsyncIterable<Uint8Array>, cutShort: () => Error) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#cutShort = cutShort;
  }

  async ended(): Promise<boolean> {
    return this.#current.length === 0 && !(await this.#fill());
  }

  /** The next `size` bytes in one piece: a view of the current chunk when it holds them all. */
  async take(size: number): Promise<Uint8Array> {
    if (this.#current.length >= size) return this.#cut(size);
    const parts: Uint8Array[] = [];
    let missing = size;
    while (missing > 0) {
      const part = await this.#next(missing);
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts, size);
  }

  async skip(size: number): Promise<void> {
    for (let missing = size; missing > 0;) missing -= (await this.#next(missing)).length;
  }

  /** The next `size` bytes as they come, to be read or skipped before anything else. */
  stream(size: number): LimitedStream {
    return new LimitedStream(size, (limit) => this.#next(limit));
  }

  /** Lets the rest of the stream pass. */
  async drain(): Promise<void> {
    do this.#current = empty;
    while (await this.#fill());
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    this.#done = true;
    await this.#chunks.return?.();
  }

  /** At least one byte, at most `limit`. */
  async #next(limit: number): Promise<Uint8Array> {
    if (this.#current.length === 0 && !(await this.#fill())) throw this.#cutShort();
    return this.#cut(Math.min(limit, this.#current.length));
  }

  #cut(size: number): Uint8Array {
    const cut = this.#current.subarray(0, size);
    this.#current = this.#current.subarray(size);
    return cut;
  }

  async #fill(): Promise<boolean> {
    while (!this.#done) {
      const { value, done } = await this.#chunks.next();
      if (done) {
        this.#done = true;
      } else if (value.length > 0) {
        this.#current = value;
        return true;
      }
    }
    return false;
  }
}

/** A run of bytes within a stream, readable once. */
export class LimitedStream implements AsyncIterable<Uint8Array> {
  readonly #next: (limit: number) => Promise<Uint8Array>;
  #missing: number;

  constructor(size: number, next: (limit: number) => Promise<Uint8Array>) {
    this.#missing = size;
    this.#next = next;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    while (this.#missing > 0) yield await this.#take();
  }

  async skipRest(): Promise<void> {
    while (this.#missing > 0) await this.#take();
  }

  async #take(): Promise<Uint8Array> {
    const part = await this.#next(this.#missing);
    this.#missing -= part.length;
    return part;
  }
}

const empty = new Uint8Array();
