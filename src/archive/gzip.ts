import { crc32, deflateRawSync } from "node:zlib";

/** A finished deflate stream with what a gzip trailer needs to know of its content. */
export interface DeflatedContent {
  deflated: Uint8Array;
  crc32: number;
  /** Bytes of the content. */
  size: number;
}

/**
 * One gzip member (RFC 1952) with a fixed header: no time, no name, unknown operating system.
 * The bytes depend on the content, the level and zlib's version alone.
 */
export function gzipMember(bytes: Uint8Array, level = 6): Uint8Array {
  // One output buffer that holds the worst case spares zlib from joining 16 KiB pieces.
  const chunkSize = bytes.length + (bytes.length >>> 10) + 64;
  const deflated = deflateRawSync(bytes, { level, chunkSize });
  const member = new Uint8Array(header.length + deflated.length + 8);
  member.set(header, 0);
  member.set(deflated, header.length);
  member.set(trailer(crc32(bytes), bytes.length), header.length + deflated.length);
  return member;
}

/** Wraps an existing deflate stream as a gzip member without touching it: header, stream, trailer. */
export function gzipMemberFromDeflate(content: DeflatedContent): Uint8Array[] {
  const { head, tail } = memberAround(content);
  return [head, content.deflated, tail];
}

/** What stands before and after a deflate stream in a member of its own. */
export function memberAround(content: Omit<DeflatedContent, "deflated">): { head: Uint8Array; tail: Uint8Array } {
  return { head: header, tail: trailer(content.crc32, content.size) };
}

const header = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

function trailer(crc: number, size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, crc, true);
  // ISIZE is the size modulo 2^32.
  view.setUint32(4, size % 2 ** 32, true);
  return bytes;
}
