import { type ByteSource, memorySource, SourceView } from "./byte-source.ts";
import { zipError } from "./zip-error.ts";

export interface ZipEntry {
  /** As stored, without the trailing slash that marks a directory. Unpoliced: see isSafeRelativePath. */
  path: string;
  type: "file" | "directory" | "symlink";
  /** Unix permission bits, 0 when the archive has none. */
  mode: number;
  /** 0 stored, 8 deflated. */
  method: 0 | 8;
  compressedSize: number;
  size: number;
  crc32: number;
  /** Where the payload begins in the archive. */
  offset: number;
  /** The payload as stored, read from the archive whenever it is asked for. */
  readonly data: Uint8Array;
}

/** Reads and cross-checks the structure of an archive: end records, central directory, local headers. */
export function readDirectory(source: ByteSource, maxEntries: number): ZipEntry[] {
  const view = new SourceView(source);
  const end = findEnd(view);
  if (end.entries > maxEntries) throw zipError(undefined, `has ${end.entries} entries, more than ${maxEntries}`);
  if (end.entries * centralSize > end.directorySize) {
    throw zipError(undefined, `declares ${end.entries} entries, more than its directory has room for`);
  }
  if (end.directorySize > largestDirectory) {
    throw zipError(undefined, `has a central directory of ${end.directorySize} bytes`);
  }
  view.load(end.directoryOffset, end.directorySize);
  const records: LocatedRecord[] = [];
  let offset = end.directoryOffset;
  for (let index = 0; index < end.entries; index++) {
    const record = readCentral(view, offset, end.directoryEnd);
    records.push(record);
    offset = record.next;
  }
  if (offset !== end.directoryEnd) throw zipError(undefined, "has stray bytes in its central directory");
  const starts = locate(view, records, end.directoryOffset);
  return records.map(({ path, type, mode, method, compressedSize, size, crc32 }, index) => {
    const offset = starts[index] ?? 0;
    return {
      path,
      type,
      mode,
      method,
      compressedSize,
      size,
      crc32,
      offset,
      get data() {
        return source.read(offset, compressedSize);
      },
    };
  });
}

/** Far above what 200,000 entries take. */
const largestDirectory = 2 ** 27;
const centralSize = 46;
const localSize = 30;
const none16 = 0xffff;
const none32 = 0xffffffff;

interface End {
  entries: number;
  directoryOffset: number;
  directorySize: number;
  directoryEnd: number;
}

interface LocatedRecord extends Omit<ZipEntry, "data" | "offset"> {
  name: Uint8Array;
  flags: number;
  localOffset: number;
  /** Where the next central record begins. */
  next: number;
}

/** End of central directory (APPNOTE 4.3.16), or its zip64 form (4.3.14) when that has to be used. */
function findEnd(view: SourceView): End {
  const at = findEndRecord(view);
  if (view.u16(at + 4) !== 0 && view.u16(at + 4) !== none16) {
    throw zipError(undefined, "is one volume of several");
  }
  const entries = view.u16(at + 10);
  const directorySize = view.u32(at + 12);
  const directoryOffset = view.u32(at + 16);
  const hasLocator = at >= 20 && view.u32(at - 20) === 0x07064b50;
  const end = hasLocator ? readZip64End(view, at - 20) : { entries, directoryOffset, directorySize, directoryEnd: at };
  if (!hasLocator && view.u16(at + 8) !== entries) throw zipError(undefined, "is one volume of several");
  const agrees =
    (entries === none16 || entries === end.entries) &&
    (directorySize === none32 || directorySize === end.directorySize) &&
    (directoryOffset === none32 || directoryOffset === end.directoryOffset);
  if (!agrees) throw zipError(undefined, "has two end records that contradict each other");
  if (end.directoryOffset + end.directorySize !== end.directoryEnd) {
    throw zipError(undefined, "has a central directory that does not end where its end record begins");
  }
  return end;
}

function findEndRecord(view: SourceView): number {
  const last = view.size - 22;
  const first = Math.max(0, last - none16);
  if (last >= 0) view.load(Math.max(0, first - 20), view.size);
  for (let at = last; at >= first; at--) {
    if (view.u32(at) !== 0x06054b50) continue;
    if (at + 22 + view.u16(at + 20) === view.size) return at;
  }
  throw zipError(undefined, "has no end record: it is cut short, or not a zip archive");
}

function readZip64End(view: SourceView, locator: number): End {
  const at = uint64(view, locator + 8);
  if (at + 56 > locator || view.u32(at) !== 0x06064b50) {
    throw zipError(undefined, "has a zip64 locator that points to nothing");
  }
  if (at + 12 + uint64(view, at + 4) !== locator)
    throw zipError(undefined, "has stray bytes after its zip64 end record");
  return {
    entries: uint64(view, at + 32),
    directorySize: uint64(view, at + 40),
    directoryOffset: uint64(view, at + 48),
    directoryEnd: at,
  };
}

/** Central directory header (APPNOTE 4.3.12). */
function readCentral(view: SourceView, at: number, end: number): LocatedRecord {
  if (at + centralSize > end || view.u32(at) !== 0x02014b50) {
    throw zipError(undefined, `has no entry at byte ${at} where its directory says that one is`);
  }
  const nameLength = view.u16(at + 28);
  const extraLength = view.u16(at + 30);
  const commentLength = view.u16(at + 32);
  const next = at + centralSize + nameLength + extraLength + commentLength;
  if (next > end) throw zipError(undefined, `has an entry at byte ${at} that runs past its directory`);
  const flags = view.u16(at + 8);
  const name = view.bytes(at + centralSize, nameLength);
  const stored = decodeName(name, (flags & 0x800) !== 0);
  const unixMode = view.u32(at + 38) >>> 16;
  const type = entryType(stored, unixMode);
  const path = type === "directory" ? stored.replace(/\/+$/, "") : stored;
  const sizes = withZip64(
    {
      size: view.u32(at + 24),
      compressedSize: view.u32(at + 20),
      localOffset: view.u32(at + 42),
    },
    extraField(view, at + centralSize + nameLength, extraLength),
    path,
  );
  const method = view.u16(at + 10);
  if ((flags & 0x2041) !== 0) throw zipError(path, "is encrypted");
  if (method !== 0 && method !== 8)
    throw zipError(path, `is packed with method ${method}, which is neither stored nor deflated`);
  if (path === "" || path.includes("\0")) throw zipError(stored, "is no usable file name");
  return {
    path,
    type,
    mode: unixMode & 0o7777,
    method,
    crc32: view.u32(at + 16),
    ...sizes,
    name,
    flags,
    next,
  };
}

function entryType(stored: string, unixMode: number): ZipEntry["type"] {
  if (stored.endsWith("/")) return "directory";
  const kind = unixMode & 0o170000;
  if (kind === 0o120000) return "symlink";
  if (kind === 0 || kind === 0o100000) return "file";
  if (kind === 0o040000) return "directory";
  throw zipError(stored, "is a device, socket or pipe");
}

interface Sizes {
  size: number;
  compressedSize: number;
  localOffset: number;
}

/** Zip64 extended information (APPNOTE 4.5.3): only the fields that the header leaves open, in a fixed order. */
function withZip64(sizes: Sizes, extra: SourceView | undefined, path: string): Sizes {
  let at = 0;
  const resolved = (value: number): number => {
    if (value !== none32) return value;
    if (!extra || at + 8 > extra.size) throw zipError(path, "lacks its zip64 sizes");
    at += 8;
    return uint64(extra, at - 8);
  };
  const size = resolved(sizes.size);
  const compressedSize = resolved(sizes.compressedSize);
  return { size, compressedSize, localOffset: resolved(sizes.localOffset) };
}

/** The zip64 extra field of a header, if it has one. */
function extraField(view: SourceView, start: number, length: number): SourceView | undefined {
  let at = start;
  while (at + 4 <= start + length) {
    const size = view.u16(at + 2);
    if (at + 4 + size > start + length) return undefined;
    if (view.u16(at) === 0x0001) return new SourceView(memorySource(view.bytes(at + 4, size)));
    at += 4 + size;
  }
  return undefined;
}

/** Finds where each payload begins, through its local header, and proves that no two share bytes. */
function locate(view: SourceView, records: LocatedRecord[], directoryOffset: number): number[] {
  const starts = new Map<LocatedRecord, number>();
  let free = 0;
  for (const record of records.toSorted((a, b) => a.localOffset - b.localOffset)) {
    if (record.localOffset < free) throw zipError(record.path, "shares its bytes with another entry");
    const start = checkLocal(view, record, directoryOffset);
    starts.set(record, start);
    free = start + record.compressedSize;
    if (free > directoryOffset) throw zipError(record.path, "runs into the central directory");
  }
  return records.map((record) => starts.get(record) ?? 0);
}

/** Compares a local header (APPNOTE 4.3.7) with the directory; returns where the payload begins. */
function checkLocal(view: SourceView, record: LocatedRecord, directoryOffset: number): number {
  const at = record.localOffset;
  if (at + localSize > directoryOffset || view.u32(at) !== 0x04034b50) {
    throw zipError(record.path, "has no local header where the directory says that it is");
  }
  const nameLength = view.u16(at + 26);
  const extraLength = view.u16(at + 28);
  const start = at + localSize + nameLength + extraLength;
  if (start > directoryOffset) throw zipError(record.path, "has a local header that runs into the central directory");
  if (Buffer.compare(view.bytes(at + localSize, nameLength), record.name) !== 0) {
    throw zipError(record.path, "has another name in its local header");
  }
  const flags = view.u16(at + 6);
  // Encryption, and the encoding of the name where it makes a difference.
  const meaningful = record.name.some((byte) => byte > 127) ? 0x2841 : 0x2041;
  if ((flags & meaningful) !== (record.flags & meaningful) || view.u16(at + 8) !== record.method) {
    throw zipError(record.path, "has another method or other flags in its local header");
  }
  // With bit 3 the sizes follow the payload (4.4.4); the directory's are the ones that count, in every reader.
  if ((flags & 0x8) !== 0) return start;
  const local = withZip64(
    { size: view.u32(at + 22), compressedSize: view.u32(at + 18), localOffset: 0 },
    extraField(view, at + localSize + nameLength, extraLength),
    record.path,
  );
  const same =
    view.u32(at + 14) === record.crc32 && local.size === record.size && local.compressedSize === record.compressedSize;
  if (!same) throw zipError(record.path, "has another size or CRC-32 in its local header");
  return start;
}

function uint64(view: SourceView, at: number): number {
  const value = Number(view.u64(at));
  if (!Number.isSafeInteger(value)) throw zipError(undefined, `has an impossible zip64 number at byte ${at}`);
  return value;
}

/** UTF-8 when flagged, else code page 437 (APPNOTE appendix D), as Python's zipfile and so pip read names. */
function decodeName(name: Uint8Array, utf8: boolean): string {
  if (!utf8) return Array.from(name, (byte) => (byte < 128 ? String.fromCharCode(byte) : cp437[byte - 128])).join("");
  try {
    return strictUtf8.decode(name);
  } catch {
    throw zipError(new TextDecoder().decode(name), "has a name that is flagged as UTF-8 and isn't");
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const cp437 = [
  ..."ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
  ..."└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0",
];
