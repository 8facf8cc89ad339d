import { createHash } from "node:crypto";

import { type ByteSource, memorySource } from "../archive/byte-source.ts";
import { inflateChunks, readRange } from "../archive/inflate-stream.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { inflateEntry } from "../archive/zip.ts";
import { isElf } from "../elf/read.ts";
import type { LargeContent } from "../filesystem/entry.ts";
import { openScratch } from "../store/scratch.ts";
import type { Store } from "../store/store.ts";
import type { RecordCheck } from "../wheel/verify-record.ts";

/** A file of a wheel, compared with RECORD, that is read in places. */
export interface WheelFile {
  entry: ZipEntry;
  /** Lower-case hex. */
  sha256: string;
  /** Undefined for large files that are no ELF files: nobody reads those. */
  source: ByteSource | undefined;
  close(): void;
}

/**
 * Whether a file is too large to be held in memory while its wheel is installed. What is stripped of a wheel is held until it
 * is written, so of large wheels less at a time.
 */
export function isLargeFile(wheel: ByteSource, { size }: Pick<ZipEntry, "size">): boolean {
  return size > (wheel.size > 64 * 2 ** 20 ? 16 : 64) * 2 ** 20;
}

/**
 * Reads a file of a wheel once, to its end: a small one into memory, a large ELF file into a file without a name.
 *
 * @throws SheafError SHEAF_ZIP or SHEAF_WHEEL_RECORD when it is damaged, SHEAF_DISK_FULL
 */
export async function openWheelFile(
  wheel: ByteSource,
  entry: ZipEntry,
  { record, store }: { record: RecordCheck; store: Store },
): Promise<WheelFile> {
  if (isLargeFile(wheel, entry)) return openLarge(wheel, entry, { record, store });
  const bytes = inflateEntry(entry);
  const sha256 = hexOf(record.check(entry.path, bytes));
  return { entry, sha256, source: memorySource(bytes), close: () => {} };
}

/** What is installed of a large file that stays as it is: the wheel's own deflate stream. */
export function unchangedContent(wheel: ByteSource, { entry, sha256 }: WheelFile): LargeContent {
  const { offset, compressedSize, size, crc32, method } = entry;
  const content: LargeContent = {
    kind: "large",
    size,
    sha256,
    chunks: () => readRange(wheel, { offset, length: compressedSize }),
  };
  return method === 0 ? content : { ...content, deflateStream: { crc32 } };
}

async function openLarge(
  wheel: ByteSource,
  entry: ZipEntry,
  { record, store }: { record: RecordCheck; store: Store },
): Promise<WheelFile> {
  const algorithms = record.algorithmsOf(entry.path);
  const hashes = algorithms.map((algorithm) => createHash(algorithm));
  const scratch = openScratch(store);
  try {
    let elf: boolean | undefined;
    for await (const chunk of inflateChunks(wheel, entry)) {
      for (const hash of hashes) hash.update(chunk);
      elf ??= isElf(chunk);
      if (elf) scratch.write(chunk);
    }
    const digests = hashes.map((hash) => hash.digest());
    const found = digests.map((digest, index) => `${algorithms[index]}=${digest.toString("base64url")}`);
    record.compare(entry.path, { size: entry.size, hashes: found });
    const sha256 = digests[0]?.toString("hex") ?? "";
    return { entry, sha256, source: elf ? scratch.source() : undefined, close: () => scratch.close() };
  } catch (error) {
    scratch.close();
    throw error;
  }
}

function hexOf(hash: string): string {
  return Buffer.from(hash.slice("sha256=".length), "base64url").toString("hex");
}
