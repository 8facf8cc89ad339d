/** Half-open: `start` up to and without `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Reads a Range header with one range (RFC 9110, 14.1.2) for `size` bytes. Undefined where the whole is to be sent: no header, another
 * unit, several ranges or nonsense, all of which a server may ignore.
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < start) return undefined;
  return start >= size ? "unsatisfiable" : { start, end };
}

/** The bytes from `start` up to `end` of a stream; stops reading at the end. */
export async function* sliceChunks(
  chunks: AsyncIterable<Uint8Array>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for await (const chunk of chunks) {
    const from = Math.max(0, start - offset);
    const to = Math.min(chunk.length, end - offset);
    if (from < to) yield from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
    offset += chunk.length;
    if (offset >= end) return;
  }
}
