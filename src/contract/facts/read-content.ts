import { createHash } from "node:crypto";

import type { StreamedTarEntry } from "../../archive/tar-read.ts";
import { isElf } from "../../elf/read.ts";
import { secretByName } from "../../project/secrets.ts";
import { headSize, type Interest, isScanned, keepOf, minorOf } from "./content-rules.ts";
import { ElfSieve } from "./elf-sieve.ts";
import type { ContentFacts } from "./file-fact.ts";
import { secretInText } from "./secret-content.ts";
import { sourceHash } from "./source-hash.ts";

/** Texts of one image that are held at most; what is more is read, hashed and let go. */
const mostText = 96 * 1024 * 1024;

/** What is shared by the layers of an image while they are read. */
export class ReadingBudget {
  readonly interest: Interest;
  #text = mostText;

  constructor(interest: Interest) {
    this.interest = interest;
  }

  /** Whether a text of this size may be held. */
  take(size: number): boolean {
    if (size > this.#text) return false;
    this.#text -= size;
    return true;
  }
}

/** Reads a file's content once, in chunks: its digest, and what its path makes interesting. */
export async function readContent(path: string, entry: StreamedTarEntry, budget: ReadingBudget): Promise<ContentFacts> {
  const { size, body } = entry;
  const hash = createHash("sha256");
  if (size === 0) return { sha256: emptyHash };
  const keep = keepOf(path, size, budget.interest);
  const scanned = isScanned(path, size);
  const minor = minorOf(path);
  const isWhole = keep === "text" || scanned || (minor !== undefined && size < largestHashed);
  const held = isWhole ? Buffer.allocUnsafe(size) : undefined;
  let first: Uint8Array | undefined;
  let sieve: ElfSieve | undefined;
  let at = 0;
  for await (const chunk of body) {
    hash.update(chunk);
    if (at === 0 && size >= 64 && isElf(chunk)) sieve = new ElfSieve(size);
    sieve?.add(chunk);
    if (held) held.set(chunk, at);
    else if (at < headSize) first = joined(first, chunk.subarray(0, headSize - at));
    at += chunk.length;
  }
  const facts: ContentFacts = { sha256: hash.digest("base64url").slice(0, 43) };
  if (sieve) return { ...facts, ...sieve.finish() };
  if (held) {
    if (keep === "text" && budget.take(size)) facts.text = held.toString("latin1");
    if (minor !== undefined) {
      const hashed = sourceHash(held, minor);
      if (hashed !== undefined) facts.sourceHash = hashed;
    }
  }
  if (keep === "head") facts.head = Uint8Array.prototype.slice.call(held?.subarray(0, headSize) ?? first ?? []);
  const secret = secretOf(path, scanned ? held : undefined);
  if (secret !== undefined) facts.secret = secret;
  return facts;
}

/** Sources are far smaller. */
const largestHashed = 8 * 1024 * 1024;
const emptyHash = createHash("sha256").digest("base64url");

function joined(first: Uint8Array | undefined, more: Uint8Array): Uint8Array {
  return first ? Buffer.concat([first, more]) : Buffer.from(more);
}

/** By content first, which says more; by name alone only where no content could tell. */
function secretOf(path: string, content: Buffer | undefined): string | undefined {
  const text = content && !content.subarray(0, 512).includes(0) ? content.toString("latin1") : undefined;
  const inText = text === undefined ? undefined : secretInText(path, text);
  if (inText !== undefined) return inText;
  // Certificates are called so as well.
  return text !== undefined && /\.(?:pem|key)$/i.test(path) ? undefined : secretByName(path);
}
