/**
 * Decompresses an LZ4 block without a frame, as fat binaries have them (LZ4 block format: a token, literals, an offset
 * of two bytes, a match).
 *
 * @param size of the result, known beforehand
 * @returns undefined when the block is damaged or gives another size
 */
export function decompressLz4(block: Uint8Array, size: number): Uint8Array | undefined {
  // A byte of a length stands for 255 at most: what promises more than that is never held.
  if (size > 255 * (block.length + 1)) return undefined;
  const result = Buffer.alloc(size);
  let at = 0;
  let written = 0;
  const length = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let sum = nibble;
    for (let byte = 255; byte === 255; sum += byte) byte = block[at++] ?? 0;
    return sum;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    if (at + literals > block.length || written + literals > size) return undefined;
    result.set(block.subarray(at, at + literals), written);
    at += literals;
    written += literals;
    // The last sequence has literals only.
    if (at >= block.length) break;
    const offset = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const matched = length(token & 15) + 4;
    if (offset === 0 || offset > written || written + matched > size) return undefined;
    // A match may overlap what it writes: then its beginning repeats, and each round has twice as much to copy from.
    for (let copied = 0; copied < matched;) {
      const count = Math.min(offset + copied, matched - copied);
      result.copyWithin(written + copied, written - offset, written - offset + count);
      copied += count;
    }
    written += matched;
  }
  return written === size ? result : undefined;
}
