import type { Transform } from "node:stream";
import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import * as zlib from "node:zlib";

import type { Decompress } from "fzstd";
import type { XzReadableStream } from "xz-decompress";

import { ZstdFrames } from "./zstd-frames.ts";

interface XzModule {
  XzReadableStream: typeof XzReadableStream;
}

export type Decoder = (chunks: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array, void, void>;

/** What undoes a compression, several members or frames too. Only the decoder that is asked for is loaded. */
export async function loadDecoder(compression: "gzip" | "xz" | "zstd"): Promise<Decoder> {
  if (compression === "gzip") return (chunks) => through(zlib.createGunzip({ chunkSize: 256 * 1024 }), chunks);
  if (compression === "xz") {
    const module: XzModule & { default?: XzModule } = await import("xz-decompress");
    // A CommonJS package: Node sees its exports as the default, bundlers see names.
    const { XzReadableStream } = module.XzReadableStream ? module : (module.default ?? module);
    return (chunks) => unxz(XzReadableStream, chunks);
  }
  // Node has it from 22.15 on.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };
  if (createZstdDecompress) return (chunks) => through(createZstdDecompress(), chunks);
  const { Decompress } = await import("fzstd");
  return (chunks) => unzstd(Decompress, chunks);
}

async function* unxz(Xz: XzModule["XzReadableStream"], chunks: AsyncIterable<Uint8Array>): ReturnType<Decoder> {
  const reader = new Xz(ReadableStream.from(chunks) as never).getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value as Uint8Array;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function* unzstd(Zstd: typeof Decompress, chunks: AsyncIterable<Uint8Array>): ReturnType<Decoder> {
  let ready: Uint8Array[] = [];
  // The decoder reuses its window, so what it hands out is copied.
  const decoder = new Zstd((part) => ready.push(part.slice()));
  const frames = new ZstdFrames(largestWindow);
  for await (const chunk of chunks) {
    frames.pass(chunk);
    // It can't be paused: small pieces keep what a forged one unpacks to within tens of MiB.
    for (let offset = 0; offset < chunk.length; offset += zstdPiece) {
      decoder.push(chunk.subarray(offset, offset + zstdPiece));
      yield* ready;
      ready = [];
    }
  }
  decoder.push(new Uint8Array(), true);
  yield* ready;
}

/** Bytes: what zstd's own decoder takes unless told otherwise is 128 MiB, what its levels up to 19 write 8 MiB. */
const largestWindow = 32 * 1024 * 1024;

/** Bytes; a block of four bytes can stand for 128 KiB. */
const zstdPiece = 2048;

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
