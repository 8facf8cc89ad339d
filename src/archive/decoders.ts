import type { Transform } from "node:stream";
import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import * as zlib from "node:zlib";

/** Undoes gzip, member after member. */
export function gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  return through(zlib.createGunzip({ chunkSize: 256 * 1024 }), chunks);
}

/** Undoes xz, stream after stream. The decoder is loaded when it is first needed. */
export async function* unxz(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { XzReadableStream } = await import("xz-decompress");
  const reader = new XzReadableStream(ReadableStream.from(chunks) as never).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value as Uint8Array;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Undoes zstd, with node:zlib where it can (Node 22.15 and later), else with a decoder in JavaScript. */
export async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };
  if (createZstdDecompress) return yield* through(createZstdDecompress(), chunks);
  const { Decompress } = await import("fzstd");
  let ready: Uint8Array[] = [];
  // The decoder reuses its window, so what it hands out is copied.
  const decoder = new Decompress((part) => ready.push(part.slice()));
  let pending: Uint8Array = new Uint8Array();
  for await (const chunk of chunks) {
    decoder.push(pending);
    yield* ready;
    ready = [];
    pending = chunk;
  }
  decoder.push(pending, true);
  yield* ready;
}

async function* through(decoder: Transform, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const source = Readable.from(chunks, { objectMode: true });
  source.on("error", (error) => decoder.destroy(error));
  source.pipe(decoder);
  try {
    yield* decoder as AsyncIterable<Uint8Array>;
  } finally {
    source.destroy();
    decoder.destroy();
  }
}
