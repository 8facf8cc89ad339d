/** A shared library as the loader finds it: by its soname, at an absolute path. */
export interface CachedLibrary {
  soname: string;
  /** `/lib/x86_64-linux-gnu/libz.so.1` */
  path: string;
}

const headerSize = 48;
const entrySize = 24;
const magic = "glibc-ld.so.cache1.1";

/** FLAG_ELF_LIBC6 and the machine's bits (glibc, sysdeps/generic/ldconfig.h). */
const machineFlags = { x86_64: 0x0303, aarch64: 0x0a03 } as const;

/**
 * Writes /etc/ld.so.cache in glibc's new format, `glibc-ld.so.cache1.1` (glibc, sysdeps/generic/dl-cache.h), little-endian,
 * without extensions. The loader searches it by halving, so the order is glibc's own: descending, runs of digits as numbers;
 * libraries of one name keep the order in which they are given.
 */
export function ldSoCache(libraries: CachedLibrary[], machine: "x86_64" | "aarch64"): Uint8Array {
  const sorted = libraries.toSorted((a, b) => compareLibraryNames(b.soname, a.soname));
  const tableEnd = headerSize + sorted.length * entrySize;
  const strings: Buffer[] = [];
  const offsets = new Map<string, number>();
  let end = tableEnd;
  const offsetOf = (text: string): number => {
    const known = offsets.get(text);
    if (known !== undefined) return known;
    const bytes = Buffer.from(`${text}\0`);
    const offset = end;
    offsets.set(text, offset);
    strings.push(bytes);
    end += bytes.length;
    return offset;
  };
  const table = Buffer.alloc(tableEnd);
  for (const [index, { soname, path }] of sorted.entries()) {
    const at = headerSize + index * entrySize;
    table.writeInt32LE(machineFlags[machine], at);
    table.writeUInt32LE(offsetOf(soname), at + 4);
    table.writeUInt32LE(offsetOf(path), at + 8);
  }
  table.write(magic, 0, "latin1");
  table.writeUInt32LE(sorted.length, 20);
  table.writeUInt32LE(end - tableEnd, 24);
  // cache_file_new_flags_endian_little
  table.writeUInt8(2, 28);
  return Buffer.concat([table, ...strings]);
}

/** Orders names as glibc's _dl_cache_libcmp does: runs of digits by their number, digits after all else. */
export function compareLibraryNames(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length) {
    const left = digits(a, i);
    const right = digits(b, j);
    if (left !== "" && right === "") return 1;
    if (left === "" && right !== "") return -1;
    if (left !== "") {
      const order = Number(left) - Number(right);
      if (order !== 0) return order;
      i += left.length;
      j += right.length;
      continue;
    }
    const order = a.charCodeAt(i) - (j < b.length ? b.charCodeAt(j) : 0);
    if (order !== 0) return order;
    i++;
    j++;
  }
  return j < b.length ? -1 : 0;
}

function digits(text: string, at: number): string {
  let end = at;
  while (end < text.length && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++;
  return text.slice(at, end);
}

/**
 * Reads /etc/ld.so.cache in glibc's new format, alone or behind the old one (`ld.so-1.7.0`), little-endian. Libraries for
 * certain processors only are left out; what is no such cache holds nothing.
 */
export function readLdSoCache(bytes: Uint8Array, machine: "x86_64" | "aarch64"): CachedLibrary[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = all.indexOf(magic, 0, "latin1");
  if (start < 0 || all.length < start + headerSize) return [];
  const cache = all.subarray(start);
  const count = Math.min(cache.readUInt32LE(20), Math.floor((cache.length - headerSize) / entrySize));
  const libraries: CachedLibrary[] = [];
  for (let index = 0; index < count; index++) {
    const at = headerSize + index * entrySize;
    if (cache.readInt32LE(at) !== machineFlags[machine] || cache.readBigUInt64LE(at + 16) !== 0n) continue;
    const soname = textAt(cache, cache.readUInt32LE(at + 4));
    const path = textAt(cache, cache.readUInt32LE(at + 8));
    if (soname !== undefined && path?.startsWith("/")) libraries.push({ soname, path });
  }
  return libraries;
}

function textAt(bytes: Buffer, offset: number): string | undefined {
  const end = offset < bytes.length ? bytes.indexOf(0, offset) : -1;
  return end < 0 ? undefined : bytes.toString("latin1", offset, end);
}
