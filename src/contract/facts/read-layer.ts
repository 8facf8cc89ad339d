import { createHash } from "node:crypto";

import { decompressStream } from "../../archive/decompress.ts";
import type { TarFacts } from "../../archive/tar-header.ts";
import { readTarStream, type StreamedTarEntry } from "../../archive/tar-read.ts";
import { SheafError } from "../../errors.ts";
import type { Layer } from "../../oci/image.ts";
import type { ContentFacts } from "./file-fact.ts";
import { readContent, type ReadingBudget } from "./read-content.ts";

/** An entry as the layer has it, and what its content says. */
export interface ReadEntry {
  header: Omit<TarFacts, "xattrs">;
  content: ContentFacts;
  capabilities: boolean;
}

export interface LayerReading {
  /** In the order of the archive. */
  entries: ReadEntry[];
  /** Of what really passed. */
  digest: string;
  compressed: number;
  diffId: string;
  unpacked: number;
  /** Why it can't be read to its end. */
  unreadable?: string;
}

/** What one image may have: more is a bomb, and whoever made it can say so in another way. */
const limits = { entries: 1_000_000, totalSize: 128e9 };
/** Longer ones no system can make (PATH_MAX). */
const longestPath = 4096;

/** Streams a layer once: digests and sizes of both forms, and every entry with what is worth knowing of it. */
export async function readLayer(layer: Layer, budget: ReadingBudget): Promise<LayerReading> {
  const blob = new Meter();
  const archive = new Meter();
  const entries: ReadEntry[] = [];
  try {
    const hint = layer.mediaType.endsWith("gzip") ? "gzip" : undefined;
    const unpacked = archive.pass(decompressStream(joined(blob.pass(layer.compressed())), hint));
    for await (const entry of readTarStream(unpacked, limits)) entries.push(await readEntry(entry, budget));
    return { entries, ...measures(blob, archive) };
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    // The digest is still worth knowing: it tells a damaged blob from a layer that was made wrong.
    const whole = new Meter();
    for await (const chunk of whole.pass(layer.compressed())) void chunk;
    return { entries, ...measures(whole, archive), unreadable: error.message };
  }
}

async function readEntry(entry: StreamedTarEntry, budget: ReadingBudget): Promise<ReadEntry> {
  const { path: stored, type, mode, uid, gid, size, mtime, target, xattrs } = entry;
  const header = { path: stored, type, mode, uid, gid, size, mtime, target };
  if (Math.max(stored.length, target?.length ?? 0) > longestPath) {
    throw new SheafError(
      "SHEAF_TAR",
      `the tar archive has a path of ${Math.max(stored.length, target?.length ?? 0)} characters`,
      {
        hint: "no system can make a file with such a path: build the image again without it",
      },
    );
  }
  const content = type === "file" ? await readContent(stored.replace(/^(?:\.?\/)+/, ""), entry, budget) : nothing;
  return { header, content, capabilities: xattrs?.["security.capability"] !== undefined };
}

const nothing: ContentFacts = {};

function measures(blob: Meter, archive: Meter): Omit<LayerReading, "entries" | "unreadable"> {
  return { digest: blob.digest(), compressed: blob.size, diffId: archive.digest(), unpacked: archive.size };
}

/** A decoder answers each chunk from another thread: thousands of small ones would wait for that alone. */
async function* joined(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let held: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    size += chunk.length;
    if (size < chunkSize) continue;
    yield held.length === 1 ? chunk : Buffer.concat(held, size);
    held = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(held, size);
}

const chunkSize = 256 * 1024;

/** Hashes and counts what passes. */
class Meter {
  size = 0;
  readonly #hash = createHash("sha256");

  async *pass(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.size += chunk.length;
      yield chunk;
    }
  }

  digest(): string {
    return `sha256:${this.#hash.copy().digest("hex")}`;
  }
}
