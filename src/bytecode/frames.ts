/** Collects chunks of a stream and gives them back in pieces of known length. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** The next bytes, or undefined until all of them are there. */
  take(length: number): Buffer | undefined {
    const bytes = this.peek(length);
    if (!bytes) return undefined;
    const whole = this.#chunks[0] ?? Buffer.alloc(0);
    this.#chunks[0] = whole.subarray(length);
    this.#length -= length;
    return bytes;
  }

  /** The same without moving on. */
  peek(length: number): Buffer | undefined {
    if (this.#length < length) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < length) this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] ?? Buffer.alloc(0)).subarray(0, length);
  }
}
