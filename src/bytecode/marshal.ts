import { readMarshal } from "./marshal-read.ts";
import { writeMarshal } from "./marshal-write.ts";

/** Minors whose code objects `canonicalMarshal` knows. */
export function knowsMarshal(minor: number): boolean {
  return minor >= 9 && minor <= 14;
}

/**
 * Rewrites a marshal stream (Python/marshal.c, version 4) of a code object so that its bytes depend on the code alone.
 *
 * CPython writes an object once and refers to it afterwards when it happens to be the same object, and marks as referable
 * what happens to have more than one owner: both depend on what else the process has compiled. Here equal constants are
 * written once, only what is referred to is marked, references are numbered in the order of the stream, and the members of
 * frozensets are sorted. The stream loads to an equal code object.
 *
 * @param minor 9 to 14, of Python 3: the layout of code objects differs
 * @throws Error on a stream that CPython of that minor wouldn't write
 */
export function canonicalMarshal(stream: Uint8Array, minor: number): Uint8Array {
  if (!knowsMarshal(minor)) throw new Error(`the code objects of Python 3.${minor} aren't known`);
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength);
  const { graph, root } = readMarshal(bytes, minor);
  return writeMarshal(graph, root, bytes);
}
