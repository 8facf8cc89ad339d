import { ReadableStream } from "node:stream/web";
import * as zlib from "node:zlib";

/** Undoes xz, stream by stream. Loads the decoder when it is first needed. */
export async function* unxz(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { XzReadableStream } = await import("xz-decompress");
  const source = ReadableStream.from(chunks);
  const reader = new XzReadableStream(source as never).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value as Uint8Array;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Undoes zstd with node:zlib where it can (Node 22.15 and later), else with a decoder in JavaScript. */
export async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const create = (zlib as { createZstdDecompress?: () => NodeJS.ReadWriteStream }).createZstdDecompress;
  if (!create) return yield* unzstdInJavaScript(chunks);
  const { Readable } = await import("node:stream");
  const stream = create() as unknown as import("node:stream").Transform;
  const source = Readable.from(chunks, { objectMode: true });
  source.on("error", (error) => stream.destroy(error));
  source.pipe(stream);
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
    stream.destroy();
  }
}

async function* unzstdInJavaScript(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { Decompress } = await import("fzstd");
  let ready: Uint8Array[] = [];
  const decoder = new Decompress((part) => ready.push(part.slice()));
  let pending: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (pending) decoder.push(pending);
    pending = chunk;
    yield* ready;
    ready = [];
  }
  decoder.push(pending ?? new Uint8Array(), true);
  yield* ready;
}
