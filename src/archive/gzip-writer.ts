import { promisify } from "node:util";
import { crc32, deflateRaw } from "node:zlib";

import { gzipMemberFromDeflate } from "./gzip.ts";

const deflate = promisify(deflateRaw);

/** Content of one member: enough for deflate's window, little enough to stream. */
const memberSize = 1024 * 1024;

/** Members that are compressed at a time, each on a thread of zlib's. */
const ahead = 4;

/**
 * Compresses what is written to it as gzip members of a MiB each, several at a time. The bytes depend on the content, the
 * level and zlib's version alone, however the chunks are cut.
 */
export class GzipWriter {
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #level: number;
  readonly #pending: Promise<Uint8Array[]>[] = [];
  #parts: Uint8Array[] = [];
  #held = 0;

  constructor(sink: (chunk: Uint8Array) => void, level = 5) {
    this.#sink = sink;
    this.#level = level;
  }

  /** Returns when there is room for more. */
  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (this.#held + rest.length >= memberSize) {
      const taken = rest.subarray(0, memberSize - this.#held);
      this.#hold(taken);
      this.#start();
      rest = rest.subarray(taken.length);
      if (this.#pending.length > ahead) await this.#passOne();
    }
    if (rest.length > 0) this.#hold(rest);
  }

  async end(): Promise<void> {
    if (this.#held > 0) this.#start();
    while (this.#pending.length > 0) await this.#passOne();
  }

  #hold(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#held += bytes.length;
  }

  #start(): void {
    const bytes = Buffer.concat(this.#parts, this.#held);
    this.#parts = [];
    this.#held = 0;
    this.#pending.push(member(bytes, this.#level));
  }

  async #passOne(): Promise<void> {
    for (const chunk of (await this.#pending.shift()) ?? []) this.#sink(chunk);
  }
}

async function member(bytes: Uint8Array, level: number): Promise<Uint8Array[]> {
  const deflated = await deflate(bytes, { level, chunkSize: bytes.length + (bytes.length >>> 10) + 64 });
  return gzipMemberFromDeflate({ deflated, crc32: crc32(bytes), size: bytes.length });
}
