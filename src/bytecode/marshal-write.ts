import type { MarshalGraph } from "./marshal-graph.ts";
import { internedType, isSingleton, mark, types } from "./marshal-types.ts";

/** Position of the first line number among a code object's members: the only one that is written without a type. */
const firstLine = 8;

/** Writes each object once and refers to it afterwards; what is referred to is marked, in the order of the stream. */
export function writeMarshal(graph: MarshalGraph, root: number, stream: Buffer): Buffer {
  return new Writer(graph, stream).write(root);
}

class Writer {
  readonly #graph: MarshalGraph;
  readonly #stream: Buffer;
  readonly #uses: Uint32Array;
  /** Reference number of an object that was written and marked, plus one. */
  readonly #numbers: Uint32Array;
  readonly #out: Buffer;
  #at = 0;
  #marked = 0;

  constructor(graph: MarshalGraph, stream: Buffer) {
    this.#graph = graph;
    this.#stream = stream;
    this.#uses = new Uint32Array(graph.size);
    this.#numbers = new Uint32Array(graph.size);
    // A reference takes five bytes where a short string that was written twice took two.
    this.#out = Buffer.allocUnsafe(3 * stream.length + 64);
  }

  write(root: number): Buffer {
    this.#count(root);
    this.#object(root);
    return this.#out.subarray(0, this.#at);
  }

  #count(id: number): void {
    const uses = ((this.#uses[id] ?? 0) + 1) | 0;
    this.#uses[id] = uses;
    if (uses > 1) return;
    const isCode = this.#graph.typeOf(id) === types.code;
    const members = this.#graph.memberCount(id);
    for (let position = 0; position < members; position++) {
      if (!isCode || position !== firstLine) this.#count(this.#graph.member(id, position));
    }
  }

  #object(id: number): void {
    const number = this.#numbers[id] ?? 0;
    if (number > 0) {
      this.#byte(types.ref);
      this.#u32(number - 1);
      return;
    }
    const type = this.#graph.typeOf(id);
    const isShared = (this.#uses[id] ?? 0) > 1 && !isSingleton(type);
    if (isShared) this.#numbers[id] = ++this.#marked;
    this.#byte((this.#graph.isInterned(id) ? internedType(type) : type) | (isShared ? mark : 0));
    const count = this.#graph.memberCount(id);
    if (type === types.smallTuple) this.#byte(count);
    else if (type === types.tuple || type === types.frozenset) this.#u32(count);
    else this.#raw(id);
    for (let position = 0; position < count; position++) {
      const member = this.#graph.member(id, position);
      if (type === types.code && position === firstLine) this.#raw(member);
      else this.#object(member);
    }
  }

  #raw(id: number): void {
    const { start, end } = this.#graph.raw(id);
    if (end - start > 64) {
      this.#at += this.#stream.copy(this.#out, this.#at, start, end);
      return;
    }
    for (let at = start; at < end; at++) this.#out[this.#at++] = this.#stream[at] ?? 0;
  }

  #byte(value: number): void {
    this.#out[this.#at++] = value;
  }

  #u32(value: number): void {
    this.#at = this.#out.writeUInt32LE(value, this.#at);
  }
}
