import type { ByteSource } from "../archive/byte-source.ts";

/** A piece of a file that is being written: a range of the original, or bytes of its own. */
export type Piece = { from: number; length: number } | { bytes: Uint8Array };

export function pieceLength(piece: Piece): number {
  return "bytes" in piece ? piece.bytes.length : piece.length;
}

/** Bytes of the file that pieces make. */
export function sizeOfPieces(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + pieceLength(piece), 0);
}

/** The file that pieces make, in chunks of at most a MiB. */
export function* readPieces(original: ByteSource, pieces: readonly Piece[]): Generator<Uint8Array, void, void> {
  for (const piece of pieces) {
    if ("bytes" in piece) {
      if (piece.bytes.length > 0) yield piece.bytes;
      continue;
    }
    const end = piece.from + piece.length;
    for (let at = piece.from; at < end; at += chunkSize) yield original.read(at, Math.min(chunkSize, end - at));
  }
}

const chunkSize = 2 ** 20;

/** The file that pieces make, to be read in places before it is written. */
export function piecesSource(original: ByteSource, pieces: readonly Piece[]): ByteSource {
  const starts: number[] = [];
  let size = 0;
  for (const piece of pieces) {
    starts.push(size);
    size += pieceLength(piece);
  }
  return {
    size,
    read(offset, length) {
      const bytes = new Uint8Array(length);
      // Pieces are a handful: sections, headers and what is between them.
      pieces.forEach((piece, index) => {
        const start = starts[index] ?? 0;
        const from = Math.max(offset, start);
        const end = Math.min(offset + length, start + pieceLength(piece));
        if (from >= end) return;
        const range = slice(piece, from - start, end - start);
        bytes.set("bytes" in range ? range.bytes : original.read(range.from, range.length), from - offset);
      });
      return bytes;
    },
  };
}

/** The same file with other bytes at an offset, all of which is inside. */
export function overlay(pieces: readonly Piece[], offset: number, bytes: Uint8Array): Piece[] {
  const end = offset + bytes.length;
  const result: Piece[] = [];
  let at = 0;
  let isPlaced = false;
  for (const piece of pieces) {
    const length = pieceLength(piece);
    const before = Math.min(length, Math.max(0, offset - at));
    if (before > 0) result.push(slice(piece, 0, before));
    if (!isPlaced && at + length > offset) {
      result.push({ bytes });
      isPlaced = true;
    }
    const after = Math.max(before, end - at);
    if (after < length) result.push(slice(piece, after, length));
    at += length;
  }
  return result;
}

function slice(piece: Piece, start: number, end: number): Piece {
  if ("bytes" in piece) return { bytes: piece.bytes.subarray(start, end) };
  return { from: piece.from + start, length: end - start };
}
