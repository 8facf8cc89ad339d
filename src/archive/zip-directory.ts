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
  /** The payload as stored, a view of the archive. */
  data: Uint8Array;
}

/** Reads and cross-checks the structure of an archive: end records, central directory, local headers. */
export function readDirectory(bytes: Uint8Array, maxEntries: number): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end.entries > maxEntries) throw zipError(undefined, `has ${end.entries} entries, more than ${maxEntries}`);
  if (end.entries * centralSize > end.directorySize) {
    throw zipError(undefined, `declares ${end.entries} entries, more than its directory has room for`);
  }
  const records: LocatedRecord[] = [];
  let offset = end.directoryOffset;
  for (let index = 0; index < end.entries; index++) {
    const record = readCentral(view, offset, end.directoryEnd);
    records.push(record);
    offset = record.next;
  }
  if (offset !== end.directoryEnd) throw zipError(undefined, "has stray bytes in its central directory");
  return locate(view, records, end.directoryOffset);
}

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

interface LocatedRecord extends Omit<ZipEntry, "data"> {
  name: Uint8Array;
  flags: number;
  localOffset: number;
  /** Where the next central record begins. */
  next: number;
}

/** End of central directory (APPNOTE 4.3.16), or its zip64 form (4.3.14) when that has to be used. */
function findEnd(view: DataView): End {
  const at = findEndRecord(view);
  if (view.getUint16(at + 4, true) !== 0 && view.getUint16(at + 4, true) !== none16) {
    throw zipError(undefined, "is one volume of several");
  }
  const entries = view.getUint16(at + 10, true);
  const directorySize = view.getUint32(at + 12, true);
  const directoryOffset = view.getUint32(at + 16, true);
  const hasLocator = at >= 20 && view.getUint32(at - 20, true) === 0x07064b50;
  const end = hasLocator ? readZip64End(view, at - 20) : { entries, directoryOffset, directorySize, directoryEnd: at };
  if (!hasLocator && view.getUint16(at + 8, true) !== entries) throw zipError(undefined, "is one volume of several");
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

function findEndRecord(view: DataView): number {
  const last = view.byteLength - 22;
  for (let at = last; at >= Math.max(0, last - none16); at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    if (at + 22 + view.getUint16(at + 20, true) === view.byteLength) return at;
  }
  throw zipError(undefined, "has no end record: it is cut short, or not a zip archive");
}

function readZip64End(view: DataView, locator: number): End {
  const at = uint64(view, locator + 8);
  if (at + 56 > locator || view.getUint32(at, true) !== 0x06064b50) {
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
function readCentral(view: DataView, at: number, end: number): LocatedRecord {
  if (at + centralSize > end || view.getUint32(at, true) !== 0x02014b50) {
    throw zipError(undefined, `has no entry at byte ${at} where its directory says that one is`);
  }
  const nameLength = view.getUint16(at + 28, true);
  const extraLength = view.getUint16(at + 30, true);
  const commentLength = view.getUint16(at + 32, true);
  const next = at + centralSize + nameLength + extraLength + commentLength;
  if (next > end) throw zipError(undefined, `has an entry at byte ${at} that runs past its directory`);
  const flags = view.getUint16(at + 8, true);
  const name = bytesOf(view, at + centralSize, nameLength);
  const stored = decodeName(name, (flags & 0x800) !== 0);
  const unixMode = view.getUint32(at + 38, true) >>> 16;
  const type = entryType(stored, unixMode);
  const path = type === "directory" ? stored.replace(/\/+$/, "") : stored;
  const sizes = withZip64(
    {
      size: view.getUint32(at + 24, true),
      compressedSize: view.getUint32(at + 20, true),
      localOffset: view.getUint32(at + 42, true),
    },
    extraField(view, at + centralSize + nameLength, extraLength),
    path,
  );
  const method = view.getUint16(at + 10, true);
  if ((flags & 0x2041) !== 0) throw zipError(path, "is encrypted");
  if (method !== 0 && method !== 8)
    throw zipError(path, `is packed with method ${method}, which is neither stored nor deflated`);
  if (path === "" || path.includes("\0")) throw zipError(stored, "is no usable file name");
  return {
    path,
    type,
    mode: unixMode & 0o7777,
    method,
    crc32: view.getUint32(at + 16, true),
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
function withZip64(sizes: Sizes, extra: DataView | undefined, path: string): Sizes {
  let at = 0;
  const resolved = (value: number): number => {
    if (value !== none32) return value;
    if (!extra || at + 8 > extra.byteLength) throw zipError(path, "lacks its zip64 sizes");
    at += 8;
    return uint64(extra, at - 8);
  };
  const size = resolved(sizes.size);
  const compressedSize = resolved(sizes.compressedSize);
  return { size, compressedSize, localOffset: resolved(sizes.localOffset) };
}

/** The zip64 extra field of a header, if it has one. */
function extraField(view: DataView, start: number, length: number): DataView | undefined {
  let at = start;
  while (at + 4 <= start + length) {
    const size = view.getUint16(at + 2, true);
    if (at + 4 + size > start + length) return undefined;
    if (view.getUint16(at, true) === 0x0001) return new DataView(view.buffer, view.byteOffset + at + 4, size);
    at += 4 + size;
  }
  return undefined;
}

/** Finds every payload through its local header and proves that no two share bytes. */
function locate(view: DataView, records: LocatedRecord[], directoryOffset: number): ZipEntry[] {
  const starts = new Map<LocatedRecord, number>();
  let free = 0;
  for (const record of records.toSorted((a, b) => a.localOffset - b.localOffset)) {
    if (record.localOffset < free) throw zipError(record.path, "shares its bytes with another entry");
    const start = checkLocal(view, record, directoryOffset);
    starts.set(record, start);
    free = start + record.compressedSize;
    if (free > directoryOffset) throw zipError(record.path, "runs into the central directory");
  }
  return records.map((record) => {
    const { path, type, mode, method, compressedSize, size, crc32 } = record;
    const data = bytesOf(view, starts.get(record) ?? 0, compressedSize);
    return { path, type, mode, method, compressedSize, size, crc32, data };
  });
}

/** Compares a local header (APPNOTE 4.3.7) with the directory; returns where the payload begins. */
function checkLocal(view: DataView, record: LocatedRecord, directoryOffset: number): number {
  const at = record.localOffset;
  if (at + localSize > directoryOffset || view.getUint32(at, true) !== 0x04034b50) {
    throw zipError(record.path, "has no local header where the directory says that it is");
  }
  const nameLength = view.getUint16(at + 26, true);
  const extraLength = view.getUint16(at + 28, true);
  const start = at + localSize + nameLength + extraLength;
  if (start > directoryOffset) throw zipError(record.path, "has a local header that runs into the central directory");
  if (Buffer.compare(bytesOf(view, at + localSize, nameLength), record.name) !== 0) {
    throw zipError(record.path, "has another name in its local header");
  }
  const flags = view.getUint16(at + 6, true);
  // Encryption, and the encoding of the name where it makes a difference.
  const meaningful = record.name.some((byte) => byte > 127) ? 0x2841 : 0x2041;
  if ((flags & meaningful) !== (record.flags & meaningful) || view.getUint16(at + 8, true) !== record.method) {
    throw zipError(record.path, "has another method or other flags in its local header");
  }
  // With bit 3 the sizes follow the payload (4.4.4); the directory's are the ones that count, in every reader.
  if ((flags & 0x8) !== 0) return start;
  const local = withZip64(
    { size: view.getUint32(at + 22, true), compressedSize: view.getUint32(at + 18, true), localOffset: 0 },
    extraField(view, at + localSize + nameLength, extraLength),
    record.path,
  );
  const same =
    view.getUint32(at + 14, true) === record.crc32 &&
    local.size === record.size &&
    local.compressedSize === record.compressedSize;
  if (!same) throw zipError(record.path, "has another size or CRC-32 in its local header");
  return start;
}

function bytesOf(view: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length);
}

function uint64(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
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
