/** Where the fields of a ustar header are (POSIX.1-2017, pax "ustar Interchange Format"). */
export const tarFields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  typeflag: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [offset: number, length: number]>;

export const blockSize = 512;

/** Bytes that fill a content of `size` bytes up to whole blocks. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/** The header's sum with the checksum field read as spaces; `signed` as some old writers counted. */
export function tarChecksum(block: Uint8Array, signed = false): number {
  let sum = 8 * 0x20;
  for (let index = 0; index < blockSize; index++) {
    if (index >= 148 && index < 156) continue;
    const byte = block[index] ?? 0;
    sum += signed && byte > 127 ? byte - 256 : byte;
  }
  return sum;
}

/**
 * File names are bytes. Valid UTF-8 reads as such; in a name that isn't, each byte from 0x80 up becomes a lone surrogate
 * U+DC80..U+DCFF, as in Python (PEP 383), so that different names stay different and encodeName gives back the same bytes.
 */
export function decodeName(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte)).join("");
  }
}

export function encodeName(name: string): Uint8Array {
  if (!/\p{Surrogate}/u.test(name)) return Buffer.from(name, "utf8");
  if (!escapedName.test(name)) throw new Error(`not a file name: ${JSON.stringify(name)}`);
  return Uint8Array.from(name, (character) => character.charCodeAt(0) & 0xff);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const escapedName = /^[\0-\x7f\udc80-\udcff]*$/;
