import { SheafError } from "../errors.ts";
import { decodeName, tarChecksum, tarFields } from "./tar-format.ts";

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** What the headers say of one entry. */
export interface TarFacts {
  /** As stored, without the trailing slash of a directory. Unpoliced: may be absolute or hold `..`. */
  path: string;
  type: TarType;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the content; 0 for anything but files. */
  size: number;
  /** Seconds since 1970, the fraction dropped. */
  mtime: number;
  /** Of links. */
  target?: string;
  xattrs?: Record<string, Uint8Array>;
}

export interface TarLimits {
  /** 2,000,000 unless given. */
  entries?: number;
  /** Bytes of one PAX header or long name, 1 MiB unless given. */
  headerSize?: number;
  /** Bytes of all contents, unlimited unless given. */
  totalSize?: number;
}

/** What a header block announces: an entry, or `size` bytes of metadata for `absorb`. */
export type Announced = { kind: "entry"; entry: TarFacts } | { kind: "metadata"; typeflag: string; size: number };

/**
 * Understands headers one block at a time; the reader fetches the bytes. ustar, GNU long names, PAX local and global
 * headers, base-256 numbers, `SCHILY.xattr.*`. Sparse files, multi-volume archives and unknown types are refused.
 */
export class TarHeaders {
  readonly #limits: Required<TarLimits>;
  #global = new Map<string, Uint8Array>();
  #local = new Map<string, Uint8Array>();
  #entries = 0;
  #total = 0;

  constructor(limits: TarLimits = {}) {
    this.#limits = { entries: 2_000_000, headerSize: 1 << 20, totalSize: Number.POSITIVE_INFINITY, ...limits };
  }

  /** @returns undefined for a block of zeros, which ends the archive */
  read(block: Uint8Array): Announced | undefined {
    if (block.every((byte) => byte === 0)) return undefined;
    checkSum(block);
    const typeflag = String.fromCharCode(block[tarFields.typeflag[0]] ?? 0);
    if (!metadataTypes.includes(typeflag)) return { kind: "entry", entry: this.#entry(block, typeflag) };
    const size = numberField(block, "size");
    if (size > this.#limits.headerSize)
      throw tarError(`has a header of ${size} bytes, more than ${this.#limits.headerSize}`);
    return { kind: "metadata", typeflag, size };
  }

  /** Takes in the body of a metadata entry; it counts for the next entry, a global header for all that follow. */
  absorb(typeflag: string, body: Uint8Array): void {
    if (typeflag === "L") return void this.#local.set("path", untilNul(body));
    if (typeflag === "K") return void this.#local.set("linkpath", untilNul(body));
    const target = typeflag === "x" ? this.#local : this.#global;
    for (const [key, value] of parsePax(body)) if (isKnown(key)) target.set(key, value);
    if (target.size > mostAttributes) throw tarError(`has an entry with ${target.size} attributes`);
  }

  #entry(block: Uint8Array, typeflag: string): TarFacts {
    const hasPax = this.#global.size > 0 || this.#local.size > 0;
    const pax = hasPax ? new Map([...this.#global, ...this.#local]) : noPax;
    if (hasPax) this.#local = new Map();
    if (hasPax && [...pax.keys()].some((key) => key.startsWith("GNU.sparse."))) throw sparse(fieldName(block));
    const stored = paxName(pax, "path") ?? fieldName(block);
    const type = entryType(stored, typeflag);
    const path = type === "directory" ? stored.replace(/\/+$/, "") || stored.slice(0, 1) : stored;
    if (path === "" || path.includes("\0")) throw tarError("has an entry without a usable name");
    const size = paxNumber(pax, "size") ?? numberField(block, "size");
    const entry: TarFacts = {
      path,
      type,
      mode: numberField(block, "mode") & 0o7777,
      uid: paxNumber(pax, "uid") ?? numberField(block, "uid"),
      gid: paxNumber(pax, "gid") ?? numberField(block, "gid"),
      size: type === "file" ? size : 0,
      mtime: paxNumber(pax, "mtime") ?? numberField(block, "mtime"),
    };
    if (type === "symlink" || type === "hardlink") {
      entry.target = paxName(pax, "linkpath") ?? decodeName(untilNul(field(block, "linkname")));
    }
    const xattrs = !hasPax ? [] : [...pax].filter(([key, value]) => key.startsWith(xattrPrefix) && value.length > 0);
    if (xattrs.length > 0)
      entry.xattrs = Object.fromEntries(xattrs.map(([key, value]) => [key.slice(xattrPrefix.length), value]));
    this.#count(entry);
    return entry;
  }

  #count(entry: TarFacts): void {
    this.#entries++;
    this.#total += entry.size;
    const { entries, totalSize } = this.#limits;
    if (this.#entries > entries) throw tarError(`has more than ${entries} entries`);
    if (this.#total > totalSize)
      throw tarError(`unpacks to more than ${totalSize} bytes, at ${JSON.stringify(entry.path)}`);
  }
}

export function tarError(what: string): SheafError {
  return new SheafError("SHEAF_TAR", `the tar archive ${what}`, {
    hint: "the archive is damaged or of a kind that images can't hold: fetch it again, or report it to its publisher",
  });
}

/** Records that mean something here. A header may have ten thousand others, and a global one counts for each entry. */
function isKnown(key: string): boolean {
  return knownKeys.has(key) || key.startsWith(xattrPrefix) || key.startsWith("GNU.sparse.");
}

const knownKeys = new Set(["path", "linkpath", "size", "uid", "gid", "mtime"]);
/** Linux keeps 64 kB of names with a file. */
const mostAttributes = 1000;

/** The archive ends before its last entry does. */
export function cutShort(): SheafError {
  return tarError("is cut short");
}

const noPax: Map<string, Uint8Array> = new Map();
const metadataTypes = ["x", "g", "L", "K"];
const xattrPrefix = "SCHILY.xattr.";

const entryTypes: Record<string, TarType> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "7": "file",
};

function entryType(stored: string, typeflag: string): TarType {
  const type = entryTypes[typeflag];
  // Before POSIX a directory was a file whose name ends in a slash.
  if (type === "file" && stored.endsWith("/")) return "directory";
  if (type) return type;
  if (typeflag === "S") throw sparse(stored);
  throw tarError(`has an entry of the unknown type ${JSON.stringify(typeflag)}: ${JSON.stringify(stored)}`);
}

function sparse(path: string): SheafError {
  return tarError(`stores ${JSON.stringify(path)} as a sparse file, which layers can't hold`);
}

function checkSum(block: Uint8Array): void {
  const stated = numberField(block, "checksum");
  if (stated !== tarChecksum(block) && stated !== tarChecksum(block, true)) {
    throw tarError("has a header with a wrong checksum: it is damaged, cut short, or something else");
  }
}

function field(block: Uint8Array, name: keyof typeof tarFields): Uint8Array {
  const [offset, length] = tarFields[name];
  return block.subarray(offset, offset + length);
}

/** Name with ustar's prefix; GNU's own format keeps other things in the prefix's place. */
function fieldName(block: Uint8Array): string {
  const name = untilNul(field(block, "name"));
  const isUstar = Buffer.from(field(block, "magic")).toString("latin1").startsWith("ustar\0");
  const prefix = isUstar ? untilNul(field(block, "prefix")) : new Uint8Array();
  return decodeName(prefix.length > 0 ? Buffer.concat([prefix, Buffer.from("/"), name]) : name);
}

function numberField(block: Uint8Array, name: keyof typeof tarFields): number {
  const bytes = field(block, name);
  const first = bytes[0] ?? 0;
  if ((first & 0x80) !== 0) return base256(bytes, name);
  let at = 0;
  while (at < bytes.length && isBlank(bytes[at] as number)) at++;
  let value = 0;
  for (; at < bytes.length && !isBlank(bytes[at] as number); at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 7) throw tarError(`has a header whose ${name} is no number`);
    value = value * 8 + digit;
  }
  return value;
}

/** Blanks and NULs stand around octal digits. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0;
}

/** GNU's binary numbers: big-endian two's complement after the marker bit. */
function base256(bytes: Uint8Array, name: string): number {
  let value = (bytes[0] ?? 0) & 0x7f;
  for (const byte of bytes.subarray(1)) value = value * 256 + byte;
  const negative = ((bytes[0] ?? 0) & 0x40) !== 0;
  // Times before 1970 are clamped; every other field is a count.
  if (negative && name === "mtime") return 0;
  if (negative || !Number.isSafeInteger(value)) throw tarError(`has a header whose ${name} is out of range`);
  return value;
}

function paxName(pax: Map<string, Uint8Array>, key: string): string | undefined {
  const value = pax.get(key);
  return value && value.length > 0 ? decodeName(value) : undefined;
}

function paxNumber(pax: Map<string, Uint8Array>, key: string): number | undefined {
  const value = pax.get(key);
  if (!value || value.length === 0) return undefined;
  const text = Buffer.from(value).toString("latin1");
  if (!/^-?\d+(\.\d*)?$/.test(text) || (text.startsWith("-") && key !== "mtime")) {
    throw tarError(`has a PAX header whose ${key} is ${JSON.stringify(text.slice(0, 40))}`);
  }
  const number = Math.max(0, Math.trunc(Number(text)));
  if (!Number.isSafeInteger(number)) throw tarError(`has a PAX header whose ${key} is out of range`);
  return number;
}

/** `LENGTH KEY=VALUE\n` records; an empty value takes the key back (POSIX.1-2017). */
function parsePax(body: Uint8Array): [key: string, value: Uint8Array][] {
  const records: [string, Uint8Array][] = [];
  let offset = 0;
  while (offset < body.length && body[offset] !== 0) {
    const space = body.indexOf(0x20, offset);
    const digits =
      space === -1 ? "" : Buffer.from(body.subarray(offset, Math.min(space, offset + 20))).toString("latin1");
    const end = offset + Number(digits);
    const equals = body.indexOf(0x3d, space);
    const wellFormed =
      /^[1-9]\d*$/.test(digits) && end <= body.length && equals > space && equals < end && body[end - 1] === 0x0a;
    if (!wellFormed) throw tarError("has a malformed PAX header");
    records.push([decodeName(body.subarray(space + 1, equals)), body.subarray(equals + 1, end - 1)]);
    offset = end;
  }
  return records;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}
