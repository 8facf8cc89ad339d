import { magicNumber } from "../../bytecode/magic.ts";

/**
 * importlib's source_hash (PEP 552): SipHash of a source with the interpreter's magic number as its key, 1-3 from Python 3.11
 * on and 2-4 before. @returns 16 hexadecimal digits as a .pyc has them, undefined for a minor whose magic number isn't known
 */
export function sourceHash(source: Uint8Array, minor: string): string | undefined {
  const magic = magicNumber(minor);
  if (magic === undefined) return undefined;
  // The four bytes of the magic number, CR LF after it, as a little-endian integer.
  const key = (magic | (0x0a0d << 16)) >>> 0;
  const is24 = Number(minor.split(".")[1]) < 11;
  return siphash(source, key, { compress: is24 ? 2 : 1, finish: is24 ? 4 : 3 });
}

/** SipHash with a 32-bit key (k1 is 0), in 32-bit halves and without calls: BigInt would take a hundred times as long. */
function siphash(bytes: Uint8Array, key: number, rounds: { compress: number; finish: number }): string {
  let al = (0x70736575 ^ key) | 0;
  let ah = 0x736f6d65 | 0;
  let bl = 0x6e646f6d | 0;
  let bh = 0x646f7261 | 0;
  let cl = (0x6e657261 ^ key) | 0;
  let ch = 0x6c796765 | 0;
  let dl = 0x79746573 | 0;
  let dh = 0x74656462 | 0;
  // Halves stay 32-bit integers: the carry of a sum is computed from its operands' bits.
  let sum = 0;
  let high = 0;
  const { words, last } = wordsOf(bytes);
  const count = words.length >> 1;
  for (let word = 0; word <= count + 1; word++) {
    // After the words of the text comes one with its length, then the rounds that finish.
    const isText = word < count;
    const low = isText ? (words[2 * word] as number) : word === count ? (last[0] as number) : 0;
    const top = isText ? (words[2 * word + 1] as number) : word === count ? (last[1] as number) : 0;
    if (word <= count) {
      dl ^= low;
      dh ^= top;
    } else cl ^= 0xff;
    for (let left = word <= count ? rounds.compress : rounds.finish; left > 0; left--) {
      // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
      sum = (al + bl) | 0;
      ah = (ah + bh + (((al & bl) | ((al | bl) & ~sum)) >>> 31)) | 0;
      al = sum;
      high = ((bh << 13) | (bl >>> 19)) ^ ah;
      bl = ((bl << 13) | (bh >>> 19)) ^ al;
      bh = high;
      high = al;
      al = ah;
      ah = high;
      // v2 += v3; v3 = rotl(v3, 16) ^ v2
      sum = (cl + dl) | 0;
      ch = (ch + dh + (((cl & dl) | ((cl | dl) & ~sum)) >>> 31)) | 0;
      cl = sum;
      high = ((dh << 16) | (dl >>> 16)) ^ ch;
      dl = ((dl << 16) | (dh >>> 16)) ^ cl;
      dh = high;
      // v0 += v3; v3 = rotl(v3, 21) ^ v0
      sum = (al + dl) | 0;
      ah = (ah + dh + (((al & dl) | ((al | dl) & ~sum)) >>> 31)) | 0;
      al = sum;
      high = ((dh << 21) | (dl >>> 11)) ^ ah;
      dl = ((dl << 21) | (dh >>> 11)) ^ al;
      dh = high;
      // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
      sum = (cl + bl) | 0;
      ch = (ch + bh + (((cl & bl) | ((cl | bl) & ~sum)) >>> 31)) | 0;
      cl = sum;
      high = ((bh << 17) | (bl >>> 15)) ^ ch;
      bl = ((bl << 17) | (bh >>> 15)) ^ cl;
      bh = high;
      high = cl;
      cl = ch;
      ch = high;
    }
    if (word <= count) {
      al ^= low;
      ah ^= top;
    }
  }
  const result = Buffer.alloc(8);
  result.writeInt32LE(al ^ bl ^ cl ^ dl, 0);
  result.writeInt32LE(ah ^ bh ^ ch ^ dh, 4);
  return result.toString("hex");
}

/** The text as little-endian halves of words, and the last word: what is left of it, its length modulo 256 on top. */
function wordsOf(bytes: Uint8Array): { words: Int32Array; last: Int32Array } {
  const whole = bytes.length & ~7;
  const aligned = (bytes.byteOffset & 3) === 0 && isLittleEndian;
  const words = aligned ? new Int32Array(bytes.buffer, bytes.byteOffset, whole >> 2) : copied(bytes, whole);
  const rest = new Uint8Array(8);
  rest.set(bytes.subarray(whole));
  rest[7] = bytes.length & 0xff;
  return { words, last: copied(rest, 8) };
}

function copied(bytes: Uint8Array, size: number): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  return Int32Array.from({ length: size >> 2 }, (_, index) => view.getInt32(4 * index, true));
}

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
