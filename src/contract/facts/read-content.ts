import { createHash, hash } from "node:crypto";

import type { StreamedTarEntry } from "../../archive/tar-read.ts";
import { readStreamedCode, type StreamedCode } from "../../cuda/streamed-code.ts";
import { isElf } from "../../elf/read.ts";
import { secretByName } from "../../project/secrets.ts";
import { headSize, type Interest, isScanned, type Keep, keepOf, minorOf } from "./content-rules.ts";
import { deviceCodeIn } from "./device-code.ts";
import { ElfSieve, factsOfElf, smallElf } from "./elf-sieve.ts";
import type { ContentFacts } from "./file-fact.ts";
import type { ReadingBudget } from "./reading-budget.ts";
import { secretInText } from "./secret-content.ts";
import { sourceHash } from "./source-hash.ts";

/** Reads a file's content once, in chunks: its digest, and what its path makes interesting. */
export async function readContent(path: string, entry: StreamedTarEntry, budget: ReadingBudget): Promise<ContentFacts> {
  const { size, body } = entry;
  if (size === 0) return { sha256: emptyHash };
  // A library of this size is nothing that a rule keeps: what it may be is an ELF file.
  if (size > smallElf) return budget.alone(() => readLarge(path, entry));
  const wanted = wantedOf(path, size, budget.interest);
  const pieces = body[Symbol.asyncIterator]();
  const { value: lead } = await pieces.next();
  // Most files lie in one piece of the stream, and are looked at where they are.
  if (lead?.length === size) {
    const facts = factsOf(path, { bytes: lead, sha256: hash("sha256", lead, "base64url") }, { wanted, budget });
    return facts.elf ? withDeviceCode(facts, await deviceCodeIn(path, lead)) : facts;
  }
  const hashing = createHash("sha256");
  let held: Uint8Array | undefined;
  let first: Uint8Array = new Uint8Array();
  let sieve: ElfSieve | undefined;
  let at = 0;
  for await (const chunk of withMagic(pieces, lead)) {
    hashing.update(chunk);
    if (at === 0) {
      if (size >= smallestElf && isElf(chunk)) sieve = new ElfSieve(size);
      else if (wanted.whole) held = Buffer.allocUnsafe(size);
    }
    sieve?.add(chunk);
    held?.set(chunk, at);
    if (!held && first.length < headSize) first = Buffer.concat([first, chunk.subarray(0, headSize - first.length)]);
    at += chunk.length;
  }
  const sha256 = hashing.digest("base64url");
  if (sieve) {
    const deviceCode = sieve.whole && (await deviceCodeIn(path, sieve.whole));
    return withDeviceCode({ sha256, ...sieve.finish() }, deviceCode);
  }
  return factsOf(path, { bytes: held ?? first, sha256 }, { wanted, budget });
}

/** The digest, and where it is a library what the loader reads, and what a GPU's driver does. */
async function readLarge(path: string, { size, body }: StreamedTarEntry): Promise<ContentFacts> {
  const hashing = createHash("sha256");
  let sieve: ElfSieve | undefined;
  const ofLibrary = async function* (): AsyncGenerator<Uint8Array, void, void> {
    let at = 0;
    for await (const chunk of withMagic(body[Symbol.asyncIterator]())) {
      hashing.update(chunk);
      if (at === 0 && isElf(chunk)) sieve = new ElfSieve(size);
      sieve?.add(chunk);
      at += chunk.length;
      if (sieve) yield chunk;
    }
  };
  const deviceCode = await readStreamedCode(ofLibrary(), size);
  const secret = secretOf(path, undefined);
  const facts = {
    sha256: hashing.digest("base64url"),
    ...sieve?.finish(),
    ...(secret === undefined ? {} : { secret }),
  };
  return withDeviceCode(facts, deviceCode);
}

function withDeviceCode(facts: ContentFacts, deviceCode: StreamedCode | undefined): ContentFacts {
  return deviceCode ? { ...facts, deviceCode } : facts;
}

/**
 * The same bytes; the first piece has the four that tell what a file is, wherever the stream was cut.
 * @param lead what was taken already
 */
async function* withMagic(
  pieces: AsyncIterator<Uint8Array>,
  lead: Uint8Array = new Uint8Array(),
): AsyncGenerator<Uint8Array, void, void> {
  let first = lead;
  while (first.length < 4) {
    // A piece is its decoder's until the next one is asked for.
    const kept = first.slice();
    const next = await pieces.next();
    if (next.done) break;
    first = kept.length === 0 ? next.value : Buffer.concat([kept, next.value]);
  }
  if (first.length > 0) yield first;
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
}

interface Wanted {
  keep: Keep;
  scanned: boolean;
  /** Of the interpreter, for sources whose hash may be asked for. */
  minor: string | undefined;
  /** All of the content is needed at once. */
  whole: boolean;
}

function wantedOf(path: string, size: number, interest: Interest): Wanted {
  const keep = keepOf(path, size, interest);
  const scanned = isScanned(path, size);
  const minor = size < largestHashed ? minorOf(path) : undefined;
  return { keep, scanned, minor, whole: keep === "text" || scanned || minor !== undefined };
}

/** @param bytes the content, or its beginning where nothing wants all of it; a view that is gone after this call */
function factsOf(
  path: string,
  { bytes, sha256 }: { bytes: Uint8Array; sha256: string },
  { wanted, budget }: { wanted: Wanted; budget: ReadingBudget },
): ContentFacts {
  const facts: ContentFacts = { sha256 };
  if (bytes.length >= smallestElf && isElf(bytes)) return { sha256, ...factsOfElf(bytes) };
  const { keep, scanned, minor } = wanted;
  if (keep === "text" && budget.takeText(bytes.length)) facts.text = textOf(bytes);
  if (keep === "head") facts.head = Uint8Array.prototype.slice.call(bytes, 0, headSize);
  if (minor !== undefined) facts.sourceHash = sourceHash(bytes, minor);
  const secret = secretOf(path, scanned ? bytes : undefined);
  if (secret !== undefined) facts.secret = secret;
  return facts;
}

/** Sources are far smaller. */
const largestHashed = 8 * 1024 * 1024;
const smallestElf = 64;
const emptyHash = hash("sha256", "", "base64url");

/** By content first, which says more; by name alone only where no content could tell. */
function secretOf(path: string, content: Uint8Array | undefined): string | undefined {
  const text = content && !content.subarray(0, 512).includes(0) ? textOf(content) : undefined;
  const inText = text === undefined ? undefined : secretInText(path, text);
  if (inText !== undefined) return inText;
  // Certificates are called so as well.
  return text !== undefined && /\.(?:pem|key)$/i.test(path) ? undefined : secretByName(path);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
