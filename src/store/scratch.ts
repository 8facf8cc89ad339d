import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import type { ByteSource } from "../archive/byte-source.ts";
import { fileSource } from "../host/file-source.ts";
import { diskError, type Digest, type Store } from "./store.ts";

/** A file without a name in the store's file system: gone when it is closed, however the process ends. */
export interface Scratch {
  /** @throws SheafError SHEAF_DISK_FULL or SHEAF_STORE */
  write(chunk: Uint8Array): void;
  /** What has been written so far. */
  source(): ByteSource;
  close(): void;
}

/** @throws SheafError SHEAF_DISK_FULL or SHEAF_STORE */
export function openScratch(store: Store): Scratch {
  const file = path.join(store.root, "tmp", `scratch-${process.pid}-${randomBytes(6).toString("hex")}`);
  const descriptor = guarded(store, () => fs.openSync(file, "wx+", 0o600));
  fs.rmSync(file);
  return {
    write(chunk) {
      guarded(store, () => {
        for (let done = 0; done < chunk.length;) done += fs.writeSync(descriptor, chunk, done, chunk.length - done);
      });
    },
    source: () => fileSource(descriptor, "a temporary file of the cache"),
    close: () => fs.closeSync(descriptor),
  };
}

/** A blob that is read in places. Its bytes are not compared with its digest. */
export interface OpenBlob {
  source: ByteSource;
  close(): void;
}

/** @returns undefined when it is not in the store */
export function openBlob(store: Store, digest: Digest): OpenBlob | undefined {
  if (!store.hasBlob(digest)) return undefined;
  const file = store.blobPath(digest);
  const descriptor = fs.openSync(file, "r");
  return { source: fileSource(descriptor, file), close: () => fs.closeSync(descriptor) };
}

/**
 * A blob that is read in places, opened for each read: for those who keep it without an end.
 *
 * @returns undefined when it is not in the store
 */
export function reopenedBlob(store: Store, digest: Digest): ByteSource | undefined {
  const size = store.blobSize(digest);
  if (size === undefined) return undefined;
  const file = store.blobPath(digest);
  return {
    size,
    read(offset, length) {
      const descriptor = fs.openSync(file, "r");
      try {
        return fileSource(descriptor, file).read(offset, length);
      } finally {
        fs.closeSync(descriptor);
      }
    },
  };
}

function guarded<T>(store: Store, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw diskError(error, store.root);
  }
}
