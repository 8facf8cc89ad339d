import { createHash, hash } from "node:crypto";

import type { ContentSink } from "../../archive/tar-scan.ts";
import { isElf } from "../../elf/read.ts";
import { secretByName } from "../../project/secrets.ts";
import { headSize, type Interest, isScanned, type Keep, keepOf, minorOf } from "./content-rules.ts";
import { deviceCodeIn } from "./device-code.ts";
import { factsOfElf, smallElf } from "./elf-sieve.ts";
import type { ContentFacts } from "./file-fact.ts";
import { LargeFile } from "./large-file.ts";
import type { ReadingBudget } from "./reading-budget.ts";
import { secretInText } from "./secret-content.ts";
import { sourceHash } from "./source-hash.ts";

export interface FileToRead {
  /** From the root, without a leading slash. */
  path: string;
  /** Bytes. */
  size: number;
}

/** Reads a file's content once, in pieces: its digest, and what its path makes interesting. */
export class ContentReader implements ContentSink {
  readonly #file: FileToRead;
  readonly #budget: ReadingBudget;
  readonly #done: (facts: ContentFacts) => void;
  #facts: ContentFacts = { sha256: emptyHash };
  #large: LargeFile | undefined;
  #pieces: Pieces | undefined;
  /** Fewer bytes than tell what a file is. */
  #lead: Uint8Array = empty;

  /** @param done takes the facts when all of the content was read */
  constructor(file: FileToRead, budget: ReadingBudget, done: (facts: ContentFacts) => void) {
    this.#file = file;
    this.#budget = budget;
    this.#done = done;
  }

  add(piece: Uint8Array): Promise<void> | undefined {
    const { size } = this.#file;
    if (this.#large) return void this.#large.add(piece);
    if (this.#pieces) return void this.#pieces.add(piece);
    if (piece.length === size && size <= smallElf) return void this.#read(piece, hash("sha256", piece, "base64url"));
    // The first piece has the four bytes that tell what a file is, wherever the stream was cut.
    const lead = this.#lead.length === 0 ? piece : Buffer.concat([this.#lead, piece]);
    if (lead.length >= Math.min(4, size)) return this.#begin(lead);
    this.#lead = Uint8Array.from(lead);
    return undefined;
  }

  end(): void {
    if (this.#large) this.#readLarge(this.#large);
    if (this.#pieces) this.#read(this.#pieces.held, this.#pieces.digest());
    this.#done(this.#facts);
  }

  /** No more of the content comes: what is held is let go. */
  abandon(): void {
    this.#large?.abandon();
  }

  #begin(lead: Uint8Array): Promise<void> | undefined {
    const { path, size } = this.#file;
    if (size > smallElf) {
      this.#large = new LargeFile(size, this.#budget);
      return this.#large.begin(lead);
    }
    const isWhole = isElf(lead) || wantedOf(path, size, this.#budget.interest).whole;
    this.#pieces = new Pieces(isWhole ? size : Math.min(headSize, size));
    this.#pieces.add(lead);
    return undefined;
  }

  /** @param bytes the content, or its beginning where nothing wants all of it; a view that is gone after this call */
  #read(bytes: Uint8Array, sha256: string): void {
    const { path, size } = this.#file;
    const wanted = wantedOf(path, size, this.#budget.interest);
    this.#facts = factsOf(path, { bytes, sha256 }, { wanted, budget: this.#budget });
  }

  #readLarge(large: LargeFile): void {
    // Nothing keeps the text of such a file: its name alone may tell a secret.
    const secret = secretByName(this.#file.path);
    this.#facts = { ...large.end(), ...(secret === undefined ? {} : { secret }) };
  }
}

/** A file that does not lie in one piece of the stream. */
class Pieces {
  /** Its beginning, or all of it. */
  readonly held: Uint8Array;
  readonly #hash = createHash("sha256");
  #at = 0;

  constructor(kept: number) {
    this.held = Buffer.allocUnsafe(kept);
  }

  add(piece: Uint8Array): void {
    this.#hash.update(piece);
    if (this.#at < this.held.length) this.held.set(piece.subarray(0, this.held.length - this.#at), this.#at);
    this.#at += piece.length;
  }

  digest(): string {
    return this.#hash.digest("base64url");
  }
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

function factsOf(
  path: string,
  { bytes, sha256 }: { bytes: Uint8Array; sha256: string },
  { wanted, budget }: { wanted: Wanted; budget: ReadingBudget },
): ContentFacts {
  const facts: ContentFacts = { sha256 };
  if (bytes.length >= smallestElf && isElf(bytes)) return factsOfLibrary(path, bytes, sha256);
  const { keep, scanned, minor } = wanted;
  if (keep === "text" && budget.takeText(bytes.length)) facts.text = textOf(bytes);
  if (keep === "head") facts.head = Uint8Array.from(bytes.subarray(0, headSize));
  if (minor !== undefined) facts.sourceHash = sourceHash(bytes, minor);
  const secret = secretOf(path, scanned ? bytes : undefined);
  if (secret !== undefined) facts.secret = secret;
  return facts;
}

function factsOfLibrary(path: string, bytes: Uint8Array, sha256: string): ContentFacts {
  const facts = { sha256, ...factsOfElf(bytes) };
  const deviceCode = facts.elf && deviceCodeIn(path, bytes);
  return deviceCode ? { ...facts, deviceCode } : facts;
}

/** Sources are far smaller. */
const largestHashed = 8 * 1024 * 1024;
const smallestElf = 64;
const empty = new Uint8Array();
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
