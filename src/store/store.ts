import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { crc32 } from "node:zlib";

import { SheafError } from "../errors.ts";

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md#digests). */
export type Digest = `sha256:${string}`;

/**
 * The cache: content-addressed blobs, and small JSON records that map an input key to a result.
 * Every write goes to a temporary name in the same file system and is renamed, so that readers see whole files or none
 * and several processes may share one store.
 */
export interface Store {
  /** Absolute path. */
  readonly root: string;
  hasBlob(digest: Digest): boolean;
  /** Absolute path, whether the blob is there or not. */
  blobPath(digest: Digest): string;
  /** Bytes of the blob on disk, undefined when it is not there. */
  blobSize(digest: Digest): number | undefined;
  /** Reads and re-hashes. A damaged blob is removed and read as undefined, so that the caller makes it again. */
  readBlob(digest: Digest): Uint8Array | undefined;
  putBlob(bytes: Uint8Array | Uint8Array[]): Digest;
  openBlobWriter(): BlobWriter;
  /** A damaged record counts as missing. */
  readRecord<T>(kind: string, key: string): T | undefined;
  /** When it was written, in ms since the epoch; undefined when there is none. It may be damaged. */
  recordTime(kind: string, key: string): number | undefined;
  writeRecord(kind: string, key: string, value: unknown): void;
  removeRecord(kind: string, key: string): void;
  /** Every record of a kind, in no order. */
  listRecords<T>(kind: string): T[];
  /** A fresh folder inside the store for work that must not outlive the process; removed by `dispose`. */
  makeTemporary(prefix: string): string;
  dispose(): void;
}

/** Streams a blob into the store: nothing is visible until `commit`. */
export interface BlobWriter {
  write(chunk: Uint8Array): void;
  /** @throws SheafError SHEAF_DIGEST when `expected` is given and differs */
  commit(expected?: Digest): { digest: Digest; size: number };
  abort(): void;
}

/** @throws SheafError SHEAF_STORE when the folder cannot be made or written */
export function openStore(root: string): Store {
  return new DiskStore(path.resolve(root));
}

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

class DiskStore implements Store {
  readonly root: string;
  readonly #temporary: string;
  readonly #made = new Set<string>();

  constructor(root: string) {
    this.root = root;
    this.#temporary = path.join(root, "tmp");
    guard(root, () => {
      fs.mkdirSync(path.join(root, "blobs", "sha256"), { recursive: true });
      fs.mkdirSync(this.#temporary, { recursive: true });
      fs.accessSync(root, fs.constants.W_OK);
    });
  }

  hasBlob(digest: Digest): boolean {
    return fs.existsSync(this.blobPath(digest));
  }

  blobPath(digest: Digest): string {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw new Error(`not a digest: ${digest}`);
    return path.join(this.root, "blobs", "sha256", digest.slice(7));
  }

  blobSize(digest: Digest): number | undefined {
    return fs.statSync(this.blobPath(digest), { throwIfNoEntry: false })?.size;
  }

  readBlob(digest: Digest): Uint8Array | undefined {
    const bytes = readIfThere(this.blobPath(digest));
    if (!bytes) return undefined;
    if (sha256(bytes) === digest) return bytes;
    fs.rmSync(this.blobPath(digest), { force: true });
    return undefined;
  }

  putBlob(bytes: Uint8Array | Uint8Array[]): Digest {
    const writer = this.openBlobWriter();
    try {
      for (const chunk of Array.isArray(bytes) ? bytes : [bytes]) writer.write(chunk);
      return writer.commit().digest;
    } catch (error) {
      writer.abort();
      throw error;
    }
  }

  openBlobWriter(): BlobWriter {
    const hash = createHash("sha256");
    const file = this.#temporaryName("blob");
    const descriptor = guard(this.root, () => fs.openSync(file, "wx", 0o644));
    let size = 0;
    let open = true;
    const close = () => {
      if (open) fs.closeSync(descriptor);
      open = false;
    };
    return {
      write: (chunk) => {
        hash.update(chunk);
        size += chunk.length;
        guard(this.root, () => writeAll(descriptor, chunk));
      },
      commit: (expected) => {
        close();
        const digest: Digest = `sha256:${hash.digest("hex")}`;
        if (expected && digest !== expected) {
          fs.rmSync(file, { force: true });
          throw new SheafError("SHEAF_DIGEST", `expected ${expected}, got ${digest}`);
        }
        guard(this.root, () => fs.renameSync(file, this.blobPath(digest)));
        return { digest, size };
      },
      abort: () => {
        close();
        fs.rmSync(file, { force: true });
      },
    };
  }

  readRecord<T>(kind: string, key: string): T | undefined {
    const bytes = readIfThere(this.#recordPath(kind, key));
    return bytes && (parseRecord(bytes) as T | undefined);
  }

  recordTime(kind: string, key: string): number | undefined {
    return fs.statSync(this.#recordPath(kind, key), { throwIfNoEntry: false })?.mtimeMs;
  }

  writeRecord(kind: string, key: string, value: unknown): void {
    const target = this.#recordPath(kind, key);
    const file = this.#temporaryName("record");
    guard(this.root, () => {
      try {
        fs.mkdirSync(path.dirname(target), { recursive: true });
        fs.writeFileSync(file, formatRecord(value));
        fs.renameSync(file, target);
      } catch (error) {
        fs.rmSync(file, { force: true });
        throw error;
      }
    });
  }

  removeRecord(kind: string, key: string): void {
    fs.rmSync(this.#recordPath(kind, key), { force: true });
  }

  listRecords<T>(kind: string): T[] {
    const folder = path.join(this.root, "records", kind);
    if (!fs.existsSync(folder)) return [];
    return fs
      .readdirSync(folder)
      .toSorted()
      .flatMap((name) => {
        const bytes = readIfThere(path.join(folder, name));
        const value = bytes && (parseRecord(bytes) as T | undefined);
        return value === undefined ? [] : [value];
      });
  }

  makeTemporary(prefix: string): string {
    return guard(this.root, () => {
      const folder = fs.mkdtempSync(path.join(this.#temporary, `${prefix}-${process.pid}-`));
      this.#made.add(folder);
      return folder;
    });
  }

  dispose(): void {
    for (const folder of this.#made) fs.rmSync(folder, { recursive: true, force: true });
    this.#made.clear();
  }

  #recordPath(kind: string, key: string): string {
    return path.join(this.root, "records", kind, `${sha256(key).slice(7)}.json`);
  }

  #temporaryName(prefix: string): string {
    return path.join(this.#temporary, `${prefix}-${process.pid}-${randomBytes(6).toString("hex")}`);
  }
}

function writeAll(descriptor: number, chunk: Uint8Array): void {
  let offset = 0;
  while (offset < chunk.length) offset += fs.writeSync(descriptor, chunk, offset, chunk.length - offset);
}

function readIfThere(file: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(file);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

const checksumLength = 8;

/** A checksum, a line feed, JSON: a bit that flips on a disk may leave JSON that parses and says something else. */
function formatRecord(value: unknown): string {
  const text = JSON.stringify(value);
  return `${checksum(text)}\n${text}`;
}

function parseRecord(bytes: Uint8Array): unknown {
  const content = Buffer.from(bytes);
  const body = content.subarray(checksumLength + 1);
  if (content.toString("latin1", 0, checksumLength + 1) !== `${checksum(body)}\n`) return undefined;
  return JSON.parse(body.toString("utf8"));
}

function checksum(content: Uint8Array | string): string {
  return crc32(content).toString(16).padStart(checksumLength, "0");
}

/** Turns what a disk can refuse into words. */
function guard<T>(root: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw diskError(error, root);
  }
}

export function diskError(error: unknown, where: string): unknown {
  if (isErrno(error, "ENOSPC") || isErrno(error, "EDQUOT")) {
    return new SheafError("SHEAF_DISK_FULL", `no space left on the disk that holds ${where}`, {
      hint: [
        "sheaf cache prune removes what no image uses",
        "or choose another disk with --cache-dir or SHEAF_CACHE_DIR",
      ],
      cause: error,
    });
  }
  if (["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"].some((code) => isErrno(error, code))) {
    return new SheafError("SHEAF_STORE", `${where} can't be written: ${(error as Error).message}`, {
      hint: "choose another folder with --cache-dir or SHEAF_CACHE_DIR",
      cause: error,
    });
  }
  return error;
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
