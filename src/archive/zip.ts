import { type ByteSource, memorySource } from "./byte-source.ts";
import { checkCrc, inflateExactly } from "./inflate.ts";
import { readDirectory, type ZipEntry } from "./zip-directory.ts";
import { zipError } from "./zip-error.ts";

/** What an archive may ask for; each default is far above any wheel. */
export interface ZipLimits {
  /** Entries, 200,000 unless given. */
  entries?: number;
  /** Bytes of all contents unpacked, 32 GiB unless given. */
  totalSize?: number;
  /** Unpacked to packed size of one entry; deflate's own bound, 1032, unless given. */
  ratio?: number;
}

/**
 * Reads a zip archive (PKWARE APPNOTE 6.3.10, zip64 included) from its central directory, in the order of that directory.
 * What two readers could understand differently is refused: local headers that contradict the directory, overlapping
 * payloads, duplicate names, bytes after the archive.
 * @throws SheafError SHEAF_ZIP naming the entry
 */
export function readZip(archive: Uint8Array | ByteSource, limits: ZipLimits = {}): ZipEntry[] {
  const source = archive instanceof Uint8Array ? memorySource(archive) : archive;
  const records = readDirectory(source, limits.entries ?? 200_000);
  const ratio = limits.ratio ?? 1032;
  const totalSize = limits.totalSize ?? 32 * 2 ** 30;
  const seen = new Set<string>();
  let total = 0;
  for (const record of records) {
    if (seen.has(record.path)) throw zipError(record.path, "is in the archive twice");
    seen.add(record.path);
    if (record.method === 0 && record.size !== record.compressedSize) {
      throw zipError(record.path, "is stored, yet its packed and unpacked sizes differ");
    }
    if (record.size > 256 + record.compressedSize * ratio) {
      throw zipError(record.path, `claims to unpack from ${record.compressedSize} to ${record.size} bytes`);
    }
    total += record.size;
    if (total > totalSize)
      throw zipError(record.path, `takes the archive over the limit of ${totalSize} bytes unpacked`);
  }
  return records;
}

/**
 * The content of an entry, size and CRC checked.
 * @throws SheafError SHEAF_ZIP naming the entry
 */
export function inflateEntry(entry: ZipEntry): Uint8Array {
  if (entry.method === 0) {
    checkCrc(entry.path, entry.data, entry.crc32);
    return entry.data;
  }
  return inflateExactly({ name: entry.path, deflated: entry.data, crc32: entry.crc32, size: entry.size });
}

/** Whether a path stays where it is put: relative, POSIX, no empty, `.` or `..` segments, no NUL, no drive or backslash. */
export function isSafeRelativePath(path: string): boolean {
  if (/[\0\\]/.test(path) || /^[A-Za-z]:/.test(path)) return false;
  return path.split("/").every((segment) => segment !== "" && segment !== "." && segment !== "..");
}
