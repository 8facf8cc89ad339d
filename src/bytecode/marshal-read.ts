import { MarshalGraph } from "./marshal-graph.ts";
import { isSingleton, mark, plainType, types } from "./marshal-types.ts";

const deepest = 2000;

/** Reads a stream into its distinct objects; the last one is the root. Bounds are checked, nothing is executed. */
export function readMarshal(stream: Buffer, minor: number): { graph: MarshalGraph; root: number } {
  const reader = new Reader(stream, minor);
  const root = reader.object();
  if (reader.at !== stream.length) throw new Error("bytes after the end of the marshal stream");
  return { graph: reader.graph, root };
}

class Reader {
  readonly graph: MarshalGraph;
  at = 0;
  readonly #stream: Buffer;
  /** 3.11 put the names of locals, cells and free variables into one tuple. */
  readonly #isLocalsPlus: boolean;
  /** Numbers of the marked objects; -1 for those that are still being read. */
  readonly #marked: number[] = [];
  #depth = 0;

  constructor(stream: Buffer, minor: number) {
    this.#stream = stream;
    this.#isLocalsPlus = minor >= 11;
    this.graph = new MarshalGraph(stream);
  }

  object(): number {
    if (++this.#depth > deepest) throw new Error("the marshal stream is nested too deeply");
    const head = this.#byte();
    const type = head & ~mark;
    const slot = head & mark ? this.#marked.push(-1) - 1 : -1;
    const id = type === types.ref ? this.#reference() : this.#value(type);
    if (slot >= 0) this.#marked[slot] = id;
    this.#depth--;
    return id;
  }

  #value(type: number): number {
    switch (type) {
      case types.smallTuple:
        return this.graph.container(type, this.#objects(this.#byte()));
      case types.tuple:
        return this.graph.container(type, this.#objects(this.#u32()));
      case types.slice:
        return this.graph.container(type, this.#objects(3));
      case types.frozenset:
        return this.graph.container(type, this.#sorted(this.#objects(this.#u32())));
      case types.code:
        return this.#code();
      default:
        return this.#atom(type);
    }
  }

  #atom(type: number): number {
    const start = this.at;
    this.#skipAtom(type);
    const plain = plainType(type);
    const id = this.graph.atom(plain, start, this.at);
    // Strings of at most one character are singletons that the process may or may not have interned.
    if (plain !== type || (plain === types.shortAscii && this.at - start <= 2)) this.graph.intern(id);
    return id;
  }

  #skipAtom(type: number): void {
    if (isSingleton(type)) return;
    switch (type) {
      case types.int:
        return this.#skip(4);
      case types.float:
        return this.#skip(8);
      case types.complex:
        return this.#skip(16);
      case types.long:
        return this.#skip(2 * Math.abs(this.#u32() | 0));
      case types.shortAscii:
      case types.shortAsciiInterned:
        return this.#skip(this.#byte());
      case types.bytes:
      case types.unicode:
      case types.interned:
      case types.ascii:
      case types.asciiInterned:
        return this.#skip(this.#u32());
      default:
        throw new Error(`type ${JSON.stringify(String.fromCharCode(type))} isn't expected in a code object`);
    }
  }

  /** Fixed fields, eight objects, the first line, one or two objects: shapes of 3.8 to 3.10 and of 3.11 onwards. */
  #code(): number {
    const start = this.at;
    this.#skip(this.#isLocalsPlus ? 20 : 24);
    const end = this.at;
    const members = this.#objects(8);
    const line = this.at;
    this.#skip(4);
    members.push(this.graph.atom(types.int, line, this.at), ...this.#objects(this.#isLocalsPlus ? 2 : 1));
    return this.graph.unique({ type: types.code, start, end, members });
  }

  #reference(): number {
    const id = this.#marked[this.#u32()] ?? -1;
    if (id < 0) throw new Error("a reference to nothing in the marshal stream");
    return id;
  }

  #sorted(members: number[]): number[] {
    return members.sort((a, b) => this.graph.compare(a, b));
  }

  #objects(count: number): number[] {
    if (count > this.#stream.length - this.at) throw new Error("a container longer than the marshal stream");
    const members: number[] = [];
    for (let left = count; left > 0; left--) members.push(this.object());
    return members;
  }

  #byte(): number {
    const at = this.at;
    this.#skip(1);
    return this.#stream[at] ?? 0;
  }

  #u32(): number {
    const at = this.at;
    this.#skip(4);
    return this.#stream.readUInt32LE(at);
  }

  #skip(length: number): void {
    this.at += length;
    if (this.at > this.#stream.length) throw new Error("the marshal stream ends early");
  }
}
