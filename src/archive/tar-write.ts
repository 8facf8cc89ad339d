import { blockSize, encodeName, paddingOf, tarChecksum, tarFields } from "./tar-format.ts";
import { byCodeUnit } from "../order.ts";

export interface TarHeader {
  /** Without a trailing slash, directories too. */
  path: string;
  type: "file" | "directory" | "symlink" | "hardlink";
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the content, files only. */
  size?: number;
  /** Seconds since 1970. */
  mtime: number;
  /** Of links. */
  target?: string;
  /** By full name, such as `security.capability`. */
  xattrs?: Record<string, Uint8Array>;
}

/**
 * The header of one entry (POSIX.1-2017 ustar), after a PAX header where ustar can't say it: long or non-ASCII names, sizes from
 * 8 GiB, large ids, extended attributes. Same fields, same bytes.
 */
export function tarHeader(header: TarHeader): Uint8Array {
  const path = header.type === "directory" ? `${header.path}/` : header.path;
  const size = header.type === "file" ? (header.size ?? 0) : 0;
  const pax = new Map<string, Uint8Array>();
  const block = new Uint8Array(blockSize);

  const split = splitName(path);
  if (!split) pax.set("path", encodeName(path));
  const [prefix, name] = split ?? ["", ascii(path).slice(0, 100)];
  putText(block, tarFields.name, name);
  putText(block, tarFields.prefix, prefix);
  const target = header.target ?? "";
  if (!isAscii(target) || target.length > 100) pax.set("linkpath", encodeName(target));
  putText(block, tarFields.linkname, ascii(target).slice(0, 100));
  putText(block, tarFields.typeflag, typeflags[header.type]);
  putText(block, tarFields.magic, "ustar\x0000");

  const numbers = { uid: header.uid, gid: header.gid, size, mtime: header.mtime };
  for (const [key, value] of Object.entries(numbers) as [keyof typeof numbers, number][]) {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${header.path}: ${key} is ${value}`);
    const fits = putOctal(block, tarFields[key], value);
    if (!fits) pax.set(key, Buffer.from(String(value)));
  }
  putOctal(block, tarFields.mode, header.mode & 0o7777);
  putOctal(block, tarFields.devmajor, 0);
  putOctal(block, tarFields.devminor, 0);
  seal(block);

  for (const [key, value] of Object.entries(header.xattrs ?? {})) pax.set(`SCHILY.xattr.${key}`, value);
  return pax.size === 0 ? block : Buffer.concat([paxHeader(pax), block]);
}

/** The zeros that follow a content of `size` bytes. */
export function tarPadding(size: number): Uint8Array {
  return zeros.subarray(0, paddingOf(size));
}

const zeros = new Uint8Array(2 * blockSize);

/** End of archive: two blocks of zeros. */
export const tarEnd: Uint8Array = zeros;

const typeflags = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;

/** Splits at a slash so that both halves fit their fields; undefined when no split does. */
function splitName(path: string): [prefix: string, name: string] | undefined {
  if (path.includes("\0") || path === "") throw new Error(`not a path for a tar entry: ${JSON.stringify(path)}`);
  if (!isAscii(path) || path.length > 256) return undefined;
  if (path.length <= 100) return ["", path];
  // The last slash of a directory belongs to the name.
  const slash = path.indexOf("/", path.length - 101);
  if (slash <= 0 || slash > 155 || slash === path.length - 1) return undefined;
  return [path.slice(0, slash), path.slice(slash + 1)];
}

/** A PAX extended header (POSIX.1-2017): fixed name and time, records sorted by key. */
function paxHeader(records: Map<string, Uint8Array>): Uint8Array {
  const sorted = [...records].toSorted(([a], [b]) => byCodeUnit(a, b));
  const body = Buffer.concat(sorted.map(([key, value]) => paxRecord(key, value)));
  const block = new Uint8Array(blockSize);
  putText(block, tarFields.name, "PaxHeaders/entry");
  putText(block, tarFields.typeflag, "x");
  putText(block, tarFields.magic, "ustar\x0000");
  putOctal(block, tarFields.mode, 0o644);
  for (const field of ["uid", "gid", "mtime", "devmajor", "devminor"] as const) putOctal(block, tarFields[field], 0);
  if (!putOctal(block, tarFields.size, body.length)) throw new Error("extended attributes of more than 8 GiB");
  seal(block);
  return Buffer.concat([block, body, tarPadding(body.length)]);
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  if (/[=\0\n]/.test(key)) throw new Error(`not a PAX key: ${JSON.stringify(key)}`);
  const name = Buffer.from(` ${key}=`);
  const rest = name.length + value.length + 1;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), name, value, Buffer.from("\n")]);
}

function putText(block: Uint8Array, [offset]: readonly [number, number], text: string): void {
  for (let index = 0; index < text.length; index++) block[offset + index] = text.charCodeAt(index);
}

/** Octal digits and a NUL; leaves zeros and returns false when the value doesn't fit. */
function putOctal(block: Uint8Array, field: readonly [number, number], value: number): boolean {
  const digits = value.toString(8);
  const fits = digits.length < field[1];
  putText(block, field, (fits ? digits : "").padStart(field[1] - 1, "0"));
  return fits;
}

function seal(block: Uint8Array): void {
  putText(block, tarFields.checksum, `${tarChecksum(block).toString(8).padStart(6, "0")}\0 `);
}

function isAscii(text: string): boolean {
  return !/[^\p{ASCII}]/u.test(text);
}

/** What a reader without PAX shows. */
function ascii(text: string): string {
  return text.replace(/[^\p{ASCII}]/gu, "_");
}
