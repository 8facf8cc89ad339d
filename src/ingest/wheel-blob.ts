import { type ByteSource, memorySource } from "../archive/byte-source.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { readZip } from "../archive/zip.ts";
import { SheafError } from "../errors.ts";
import { verifyParts } from "../oci/blob-stream.ts";
import { openBlob, reopenedBlob } from "../store/scratch.ts";
import type { Digest, Store } from "../store/store.ts";
import { damagedInput } from "./damaged-input.ts";

/**
 * Lets `use` read a wheel of the store: a small one in memory, compared with its digest before; a large one in places,
 * compared with its digest only when something is wrong with it, since every file is compared with its own.
 *
 * @throws SheafError SHEAF_DAMAGED_INPUT when the copy in the store is damaged or gone, else what `use` throws
 */
export async function withWheel<T>(store: Store, digest: Digest, use: (source: ByteSource) => Promise<T>): Promise<T> {
  if ((store.blobSize(digest) ?? 0) <= largestInMemory) {
    const bytes = store.readBlob(digest);
    if (!bytes) throw damagedInput(digest);
    return use(memorySource(bytes));
  }
  const blob = openBlob(store, digest);
  if (!blob) throw damagedInput(digest);
  try {
    return await use(blob.source);
  } catch (error) {
    if (error instanceof SheafError) await checkDigest(store, digest);
    throw error;
  } finally {
    blob.close();
  }
}

/**
 * Entries of a wheel of the store by their path in it, as long as they are wanted: a large wheel is opened for each read.
 *
 * @returns undefined when the copy in the store is damaged or gone
 */
export function wheelEntriesByPath(store: Store, digest: Digest): Map<string, ZipEntry> | undefined {
  const isSmall = (store.blobSize(digest) ?? 0) <= largestInMemory;
  const source = isSmall ? store.readBlob(digest) : reopenedBlob(store, digest);
  return source && new Map(readZip(source).map((entry) => [entry.path, entry]));
}

async function checkDigest(store: Store, digest: Digest): Promise<void> {
  try {
    await verifyParts(store, [digest]);
  } catch {
    throw damagedInput(digest);
  }
}

const largestInMemory = 16 * 2 ** 20;
