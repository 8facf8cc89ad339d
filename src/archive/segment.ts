import { createHash } from "node:crypto";

import type { Content, DirectoryEntry, Entry, EntryFacts, LargeContent } from "../filesystem/entry.ts";
import { contentSize } from "../filesystem/entry.ts";
import { SheafError } from "../errors.ts";
import { type DeflatedContent, gzipMember, gzipMemberFromDeflate, memberAround } from "./gzip.ts";
import { GzipWriter } from "./gzip-writer.ts";
import { inflateExactly } from "./inflate.ts";
import { tarEnd, tarHeader, tarPadding } from "./tar-write.ts";
import { byPath } from "../order.ts";

export interface SegmentOptions {
  /** Seconds since 1970 that every entry carries. */
  mtime: number;
  /** Reads contents of kind `disk`; needed only when there are any. */
  read?: (file: string) => Uint8Array;
  /** zlib's, 5 unless given: on libraries 26 % faster than 6 for 0.4 % more bytes. */
  level?: number;
}

/**
 * A run of tar entries as a sequence of gzip members, without the end of archive: segments one after another, closed by
 * `segmentEnd`, are a layer (a gzip file may have several members: RFC 1952 section 2.2).
 */
export interface BuiltSegment {
  chunks: Uint8Array[];
  /** Bytes of the chunks together. */
  compressed: number;
  /** Bytes of the tar entries. */
  unpacked: number;
  entries: EntryFacts[];
}

/**
 * Writes entries as a segment. The deflate stream of a large file becomes a gzip member as it is; everything else is
 * compressed in members of about a MiB. A content whose SHA-256 is not given is inflated for it, and its size and CRC are checked.
 * @param entries sorted by path (code units) without duplicates; hard links may come anywhere after their targets
 * @throws SheafError SHEAF_ZIP when a deflate stream doesn't hold what it declares
 */
export function buildSegment(entries: readonly Entry[], options: SegmentOptions): BuiltSegment {
  checkOrder(entries);
  const chunks: Uint8Array[] = [];
  const writer = new SegmentWriter(options, (chunk) => chunks.push(chunk));
  const facts = entries.map((entry) => {
    if (entry.type === "file" && entry.content.kind === "large") throw new Error(`${entry.path} has to be streamed`);
    return writer.add(entry);
  });
  return { chunks, ...writer.finish(), entries: facts };
}

/**
 * Writes entries as `buildSegment` does, chunk by chunk, contents of kind `large` too: their deflate streams as they are,
 * other bytes in members of a MiB each, several compressed at a time.
 * @param sink is given the chunks in order
 */
export async function writeSegment(
  entries: readonly Entry[],
  options: SegmentOptions,
  sink: (chunk: Uint8Array) => void,
): Promise<Omit<BuiltSegment, "chunks">> {
  checkOrder(entries);
  const writer = new SegmentWriter(options, sink);
  const facts: EntryFacts[] = [];
  for (const entry of entries) {
    facts.push(writer.add(entry));
    if (entry.type === "file" && entry.content.kind === "large") await writer.addLarge(entry.content);
  }
  return { ...writer.finish(), entries: facts };
}

/** A segment of directories alone, for the top of a layer. */
export function directoriesSegment(directories: readonly DirectoryEntry[], mtime: number): BuiltSegment {
  return buildSegment(directories.toSorted(byPath), { mtime });
}

/**
 * The directories that have to be there before `paths` can be: each one as given, else root's and 0755. Sorted.
 * @param given entries that describe some of them otherwise
 */
export function parentDirectories(paths: Iterable<string>, given: Iterable<DirectoryEntry> = []): DirectoryEntry[] {
  const known = new Map<string, DirectoryEntry>();
  for (const entry of given) known.set(entry.path, entry);
  const wanted = new Map<string, DirectoryEntry>();
  for (const path of paths) {
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const parent = path.slice(0, slash);
      if (wanted.has(parent)) break;
      wanted.set(parent, known.get(parent) ?? { path: parent, type: "directory", mode: 0o755, uid: 0, gid: 0 });
    }
  }
  return [...wanted.values()].toSorted(byPath);
}

/** The member that closes a layer: the end of the tar archive. */
export const segmentEnd: Uint8Array = gzipMember(tarEnd);

/** Bytes that `segmentEnd` adds unpacked. */
export const segmentEndSize: number = tarEnd.length;

/**
 * Deflate streams from this size on are kept as they are. Below it, compressing once more together with the neighbours
 * saves more bytes than a member of its own. Measured at level 6 on SQLAlchemy's wheel (4.68 MB): keeping all from 1 KiB
 * gives 4.67 MB in 49 ms, from 8 KiB 4.59 MB in 81 ms, from 24 KiB 4.55 MB in 143 ms, keeping none 4.59 MB in 414 ms.
 */
const keepFrom = 8 * 1024;

const defaultLevel = 5;

/** A member is closed when it holds this much: enough for deflate's window, little enough to stream. */
const memberSize = 1024 * 1024;

class SegmentWriter {
  readonly #options: SegmentOptions;
  readonly #sink: (chunk: Uint8Array) => void;
  #pool: Uint8Array[] = [];
  #pooled = 0;
  #compressed = 0;
  #unpacked = 0;

  constructor(options: SegmentOptions, sink: (chunk: Uint8Array) => void) {
    this.#options = options;
    this.#sink = sink;
  }

  /** Writes the entry; of large contents the header alone, `addLarge` comes next then. */
  add(entry: Entry): EntryFacts {
    const { path, type, mode, uid, gid } = entry;
    const size = entry.type === "file" ? contentSize(entry.content) : 0;
    const target = entry.type === "symlink" || entry.type === "hardlink" ? entry.target : undefined;
    const xattrs = entry.type === "file" ? entry.xattrs : undefined;
    this.#addBytes(tarHeader({ path, type, mode, uid, gid, size, target, xattrs, mtime: this.#options.mtime }));
    const facts: EntryFacts = { path, type, mode, size };
    if (target !== undefined) facts.target = target;
    if (entry.type === "file") facts.sha256 = this.#addContent(path, entry.content);
    return facts;
  }

  async addLarge(content: LargeContent): Promise<void> {
    this.#flush();
    if (content.deflateStream) {
      const { head, tail } = memberAround({ crc32: content.deflateStream.crc32, size: content.size });
      this.#push(head);
      for await (const chunk of content.chunks()) this.#push(chunk);
      this.#push(tail);
    } else {
      const gzip = new GzipWriter((chunk) => this.#push(chunk), this.#options.level ?? defaultLevel);
      for await (const chunk of content.chunks()) await gzip.write(chunk);
      await gzip.end();
    }
    this.#unpacked += content.size;
    this.#addBytes(tarPadding(content.size));
  }

  finish(): Omit<BuiltSegment, "entries" | "chunks"> {
    this.#flush();
    return { compressed: this.#compressed, unpacked: this.#unpacked };
  }

  #addContent(path: string, content: Content): string {
    if (content.kind === "large") return content.sha256;
    if (content.kind === "deflated") return this.#addDeflated(path, content);
    const bytes = this.#bytesOf(path, content);
    this.#addBytes(bytes);
    this.#addBytes(tarPadding(bytes.length));
    return (content.kind === "bytes" ? content.sha256 : undefined) ?? sha256(bytes);
  }

  #addDeflated(path: string, content: Extract<Content, { kind: "deflated" }>): string {
    const { deflated, crc32, size } = content;
    const isKept = deflated.length >= keepFrom;
    if (isKept) this.#addMemberFromDeflate({ deflated, crc32, size });
    // Whoever knows the hash has inflated the stream and checked it.
    if (isKept && content.sha256 !== undefined) {
      this.#addBytes(tarPadding(size));
      return content.sha256;
    }
    const bytes = inflateExactly({ name: path, deflated, crc32, size });
    if (!isKept) this.#addBytes(bytes);
    this.#addBytes(tarPadding(size));
    return content.sha256 ?? sha256(bytes);
  }

  #bytesOf(path: string, content: Extract<Content, { kind: "bytes" | "disk" }>): Uint8Array {
    if (content.kind === "bytes") return content.bytes;
    if (!this.#options.read) throw new Error(`${path}: its content is on disk and no reader is given`);
    const bytes = this.#options.read(content.file);
    if (bytes.length !== content.size) throw changedOnDisk(content.file, content.size, bytes.length);
    return bytes;
  }

  #addBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (bytes.length >= memberSize) return this.#addMember(bytes);
    this.#pool.push(bytes);
    this.#pooled += bytes.length;
    this.#unpacked += bytes.length;
    if (this.#pooled >= memberSize) this.#flush();
  }

  /** A member of its own, so that large contents are not copied into the pool. */
  #addMember(bytes: Uint8Array): void {
    this.#flush();
    this.#push(gzipMember(bytes, this.#options.level ?? defaultLevel));
    this.#unpacked += bytes.length;
  }

  #addMemberFromDeflate(content: DeflatedContent): void {
    this.#flush();
    for (const chunk of gzipMemberFromDeflate(content)) this.#push(chunk);
    this.#unpacked += content.size;
  }

  #flush(): void {
    if (this.#pooled === 0) return;
    const [only] = this.#pool;
    const bytes = this.#pool.length === 1 && only ? only : Buffer.concat(this.#pool, this.#pooled);
    this.#push(gzipMember(bytes, this.#options.level ?? defaultLevel));
    this.#pool = [];
    this.#pooled = 0;
  }

  #push(chunk: Uint8Array): void {
    this.#sink(chunk);
    this.#compressed += chunk.length;
  }
}

/** Docker refuses a path that is in a layer twice, and a hard link before its target. */
function checkOrder(entries: readonly Entry[]): void {
  const seen = new Set<string>();
  let last = "";
  for (const { path, ...entry } of entries) {
    if (seen.has(path)) throw new Error(`${path} is in the segment twice`);
    seen.add(path);
    if (entry.type !== "hardlink") {
      if (path < last) throw new Error(`${path} comes after ${last}: the entries of a segment are sorted by path`);
      last = path;
    } else if (!seen.has(entry.target)) {
      throw new Error(`${path} is a hard link to ${entry.target}, which isn't before it in the segment`);
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function changedOnDisk(file: string, expected: number, actual: number): SheafError {
  return new SheafError(
    "SHEAF_CHANGED",
    `${file} had ${expected} bytes and has ${actual}: it changed during the build`,
    {
      hint: "build again once nothing writes to it",
    },
  );
}
