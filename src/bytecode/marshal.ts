import { readMarshal } from "./marshal-read.ts";
import { writeMarshal } from "./marshal-write.ts";

const oldest = 9;
const newest = 14;

/** Whether the layout of a minor's code objects is known, rather than taken to be that of the newest known minor. */
export function knowsMarshal(minor: number): boolean {
  return minor >= oldest && minor <= newest;
}

/**
 * Rewrites a marshal stream (Python/marshal.c, version 4) of a code object so that its bytes depend on the code alone.
 *
 * CPython writes an object once and refers to it afterwards when it happens to be the same object, and marks as referable
 * what happens to have more than one owner: both depend on what else the process has compiled. Here equal constants are
 * written once, only what is referred to is marked, references are numbered in the order of the stream, and the members of
 * frozensets are sorted. The stream loads to an equal code object.
 *
 * @param minor of Python 3, from 9: the layout of code objects differs. Those after 14 are read as 14, which either fits to
 * the last byte or throws.
 * @throws Error on a stream that CPython of that minor wouldn't write
 */
export function canonicalMarshal(stream: Uint8Array, minor: number): Uint8Array {
  if (minor < oldest) throw new Error(`the code objects of Python 3.${minor} aren't known`);
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength);
  const { graph, root } = readMarshal(bytes, minor);
  return writeMarshal(graph, root, bytes);
}
