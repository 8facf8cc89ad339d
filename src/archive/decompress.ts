import { SheafError } from "../errors.ts";
import { compressionOf, type Compression } from "./compression.ts";
import { loadDecoder } from "./decoders.ts";

/**
 * Decompresses by magic number: gzip (several members too), xz, zstd; anything else that isn't a known compression is
 * returned as it is.
 * @param limit bytes that the result may have; more is refused while it is being made
 * @throws SheafError SHEAF_COMPRESSION
 */
export async function decompress(bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  const compression = compressionOf(bytes);
  if (compression === "none") {
    if (bytes.length > limit) throw tooLarge(limit);
    return bytes;
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of decoder(compression, once(bytes))) {
    size += part.length;
    if (size > limit) throw tooLarge(limit);
    parts.push(part);
  }
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts, size);
}

/**
 * Decompresses a layer as it streams by.
 * @param hint the layer's media type, or a compression; found by magic number unless given or when it tells nothing
 * @throws SheafError SHEAF_COMPRESSION
 */
export async function* decompressStream(
  chunks: AsyncIterable<Uint8Array>,
  hint?: string,
): AsyncGenerator<Uint8Array, void, void> {
  yield* (await openCompressed(chunks, hint)).unpacked;
}

export interface OpenedStream {
  compression: Compression;
  /** To be read once. Without a compression these are the chunks that were given, but for the first ones. */
  unpacked: AsyncIterable<Uint8Array>;
}

/**
 * Tells a stream's compression before it is undone.
 * @param hint as `decompressStream` takes it
 * @throws SheafError SHEAF_COMPRESSION for one that Sheaf can't undo; damage is found as `unpacked` is read
 */
export async function openCompressed(chunks: AsyncIterable<Uint8Array>, hint?: string): Promise<OpenedStream> {
  const named = hint === undefined ? undefined : compressionNamed(hint);
  if (named) return { compression: named, unpacked: decoder(named, chunks) };
  const { head, rest, close } = await peek(chunks);
  try {
    const compression = compressionOf(head);
    return { compression, unpacked: decoder(compression, rest) };
  } catch (error) {
    await close();
    throw error;
  }
}

function compressionNamed(hint: string): Compression | undefined {
  const named = /(?:^|[+.])(gzip|zstd|xz|none)$/.exec(hint)?.[1] as Compression | undefined;
  return named ?? (hint.endsWith(".tar") ? "none" : undefined);
}

async function* decoder(
  compression: Compression,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  if (compression === "none") return yield* chunks;
  const decode = await loadDecoder(compression);
  const source = new WatchedSource(chunks);
  try {
    yield* decode(source);
  } catch (cause) {
    // A failing disk or network is not damaged data.
    if (source.failure) throw source.failure.error;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SheafError("SHEAF_COMPRESSION", `the ${compression} data is damaged: ${message}`, {
      hint: "fetch the file again; if it stays so, report it to its publisher",
      cause,
    });
  }
}

/** Remembers an error of the source, which a decoder may pass on in its own words. */
class WatchedSource implements AsyncIterable<Uint8Array> {
  readonly #chunks: AsyncIterable<Uint8Array>;
  failure: { error: unknown } | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const chunk of this.#chunks) yield chunk;
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  // In slices, so that a decoder which answers a chunk as a whole can't outrun the limit by far.
  for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536);
}

interface Peeked {
  head: Uint8Array;
  /** The whole stream again. */
  rest: AsyncIterable<Uint8Array>;
  /** For who does not want the rest. */
  close: () => Promise<unknown>;
}

/** The first bytes of a stream. */
async function peek(chunks: AsyncIterable<Uint8Array>): Promise<Peeked> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < 6) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  const close = async () => iterator.return?.();
  const rest = async function* (): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (head.length > 0) yield head;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await close();
    }
  };
  return { head, rest: rest(), close };
}

function tooLarge(limit: number): SheafError {
  return new SheafError("SHEAF_COMPRESSION", `the data unpacks to more than ${limit} bytes`, {
    hint: "a package that large is damaged or forged: fetch it again, or report it to its publisher",
  });
}
