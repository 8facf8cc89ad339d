import { createHash } from "node:crypto";

import { openCompressed } from "../../archive/decompress.ts";
import { tarError, type TarFacts } from "../../archive/tar-header.ts";
import { TarScanner } from "../../archive/tar-scan.ts";
import { SheafError } from "../../errors.ts";
import type { Layer } from "../../oci/image.ts";
import type { ContentFacts } from "./file-fact.ts";
import { ContentReader } from "./read-content.ts";
import type { ReadingBudget } from "./reading-budget.ts";

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

/** Longer ones no system can make (PATH_MAX). */
const longestPath = 4096;

/** gzip can't make more of a byte (1,032). What zstd makes more of is zeros. */
const mostExpansion = 1100;
/** Bytes from which it matters. */
const smallBomb = 2 ** 30;

/** Streams a layer once: digests and sizes of both forms, and every entry with what is worth knowing of it. */
export async function readLayer(
  { mediaType, compressed }: Pick<Layer, "mediaType" | "compressed">,
  budget: ReadingBudget,
): Promise<LayerReading> {
  const blob = new Meter();
  let archive = new Meter();
  const listing = new Listing(budget);
  const { entries } = listing;
  try {
    const hint = mediaType.endsWith("gzip") ? "gzip" : undefined;
    const { compression, unpacked } = await openCompressed(joined(blob.pass(compressed())), hint);
    // What isn't compressed has one digest: a byte is hashed for its layer once.
    if (compression === "none") archive = blob;
    const scanner = new TarScanner((entry) => listing.add(entry));
    for await (const chunk of unpacked) {
      if (archive !== blob) archive.add(chunk);
      budget.takeUnpacked(chunk.length);
      if (archive.size > smallBomb + mostExpansion * blob.size)
        throw tarError(`unpacks to more than ${mostExpansion} times its size`);
      for (const turn of scanner.push(chunk)) await turn;
    }
    scanner.finish();
    return { entries, ...measures(blob, archive) };
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    // The digest is still worth knowing: it tells a damaged blob from a layer that was made wrong.
    const whole = new Meter();
    for await (const chunk of whole.pass(compressed())) void chunk;
    return { entries, ...measures(whole, archive), unreadable: error.message };
  } finally {
    listing.close();
  }
}

/** The entries of a layer as they come. */
class Listing {
  readonly entries: ReadEntry[] = [];
  readonly #budget: ReadingBudget;
  #reader: ContentReader | undefined;

  constructor(budget: ReadingBudget) {
    this.#budget = budget;
  }

  add(entry: TarFacts): ContentReader | undefined {
    const { path, type, mode, uid, gid, size, mtime, target, xattrs } = entry;
    const longest = Math.max(path.length, target?.length ?? 0);
    if (longest > longestPath) throw tarError(`has a path of ${longest} characters, which no system can make`);
    this.#budget.takeEntry(entry);
    const header = { path, type, mode, uid, gid, size, mtime, target };
    const read: ReadEntry = {
      header,
      content: nothing,
      capabilities: xattrs?.["security.capability"] !== undefined,
    };
    this.entries.push(read);
    if (type !== "file") return undefined;
    const file = { path: path.replace(/^(?:\.?\/)+/, ""), size };
    this.#reader = new ContentReader(file, this.#budget, (facts) => (read.content = facts));
    return this.#reader;
  }

  /** Gives the turn back that a file holds whose content did not come to its end. */
  close(): void {
    this.#reader?.abandon();
  }
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
  #digest: string | undefined;

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.size += chunk.length;
  }

  async *pass(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      this.add(chunk);
      yield chunk;
    }
  }

  digest(): string {
    return (this.#digest ??= `sha256:${this.#hash.digest("hex")}`);
  }
}
