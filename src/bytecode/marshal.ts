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
export function canonicalMarshal(bytes: Uint8Array, minor: number): Uint8Array {
  const root = new Parser(bytes, minor).parse();
  return new Writer(bytes).write(root);
}

/** Minors whose code objects `canonicalMarshal` knows. */
export function knowsMarshal(minor: number): boolean {
  return minor >= 9 && minor <= 14;
}

/** A piece of the stream: raw bytes between `start` and `end`, then children. Equal ones are the same object. */
interface Node {
  type: number;
  /** Raw bytes after the type: the whole value of atoms, the fields before the children of code objects. */
  start: number;
  end: number;
  children: Node[];
  /** Position among the nodes, in order of first appearance. */
  id: number;
  interned: boolean;
}

const flagRef = 0x80;
const deepest = 2000;
/** Where the first line number stands between the children of a code object: the only one without a type. */
const firstLineIndex = 8;

const code = (character: string) => character.charCodeAt(0);
const types = {
  null: code("0"),
  none: code("N"),
  false: code("F"),
  true: code("T"),
  stopIteration: code("S"),
  ellipsis: code("."),
  int: code("i"),
  float: code("g"),
  complex: code("y"),
  long: code("l"),
  bytes: code("s"),
  interned: code("t"),
  unicode: code("u"),
  ascii: code("a"),
  asciiInterned: code("A"),
  shortAscii: code("z"),
  shortAsciiInterned: code("Z"),
  smallTuple: code(")"),
  tuple: code("("),
  frozenset: code(">"),
  slice: code(":"),
  code: code("c"),
  ref: code("r"),
} as const;

/** Singletons that are written without a mark. */
const singletons = new Set<number>([
  types.null,
  types.none,
  types.false,
  types.true,
  types.stopIteration,
  types.ellipsis,
]);

class Parser {
  readonly #bytes: Buffer;
  readonly #isLocalsPlus: boolean;
  readonly #refs: (Node | undefined)[] = [];
  readonly #equal = new Map<string, Node>();
  #at = 0;
  #depth = 0;
  #count = 0;

  constructor(bytes: Uint8Array, minor: number) {
    if (!knowsMarshal(minor)) throw new Error(`the code objects of Python 3.${minor} aren't known`);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#isLocalsPlus = minor >= 11;
  }

  parse(): Node {
    const root = this.#object();
    if (this.#at !== this.#bytes.length) throw new Error("bytes after the end of the marshal stream");
    return root;
  }

  #object(): Node {
    if (++this.#depth > deepest) throw new Error("the marshal stream is nested too deeply");
    const head = this.#byte();
    const type = head & ~flagRef;
    const node = type === types.ref ? this.#reference() : this.#value(type, (head & flagRef) !== 0);
    this.#depth--;
    return node;
  }

  #reference(): Node {
    const node = this.#refs[this.#u32()];
    if (!node) throw new Error("a reference to nothing in the marshal stream");
    return node;
  }

  #value(type: number, isReferable: boolean): Node {
    const slot = isReferable ? this.#refs.push(undefined) - 1 : undefined;
    const node = this.#read(type);
    if (slot !== undefined) this.#refs[slot] = node;
    return node;
  }

  #read(type: number): Node {
    switch (type) {
      case types.code:
        return this.#code();
      case types.smallTuple:
        return this.#container(type, this.#objects(this.#byte()));
      case types.tuple:
        return this.#container(type, this.#objects(this.#u32()));
      case types.frozenset:
        return this.#container(type, this.#sorted(this.#objects(this.#u32())));
      case types.slice:
        return this.#container(type, this.#objects(3));
      default:
        return this.#atom(type);
    }
  }

  /** Fixed fields, objects, first line, objects: shapes of 3.8 to 3.10 and of 3.11 onwards. */
  #code(): Node {
    const start = this.#at;
    this.#skip(this.#isLocalsPlus ? 20 : 24);
    const end = this.#at;
    const children = this.#objects(8);
    const firstLine = this.#at;
    this.#skip(4);
    const line = this.#new({ type: types.int, start: firstLine, end: this.#at, children: [] });
    children.push(line, ...this.#objects(this.#isLocalsPlus ? 2 : 1));
    return this.#new({ type: types.code, start, end, children });
  }

  #atom(type: number): Node {
    const start = this.#at;
    this.#skip(this.#sizeOf(type));
    const end = this.#at;
    const text = this.#bytes.toString("latin1", this.#textStart(type, start), end);
    const key = `${family(type)}${text}`;
    let node = this.#equal.get(key);
    if (!node) {
      node = this.#new({ type, start, end, children: [] });
      this.#equal.set(key, node);
    }
    // Strings of at most one character are singletons that the process may or may not have interned.
    if (isInterned(type) || (isAscii(type) && text.length <= 1)) node.interned = true;
    return node;
  }

  #sizeOf(type: number): number {
    switch (type) {
      case types.int:
        return 4;
      case types.float:
        return 8;
      case types.complex:
        return 16;
      case types.long:
        return 4 + 2 * Math.abs(this.#bytes.readInt32LE(this.#at));
      case types.shortAscii:
      case types.shortAsciiInterned:
        return 1 + (this.#bytes[this.#at] ?? 0);
      case types.bytes:
      case types.unicode:
      case types.interned:
      case types.ascii:
      case types.asciiInterned:
        return 4 + this.#bytes.readUInt32LE(this.#at);
      default:
        if (singletons.has(type)) return 0;
        throw new Error(`type ${JSON.stringify(String.fromCharCode(type))} isn't expected in a code object`);
    }
  }

  /** Where the characters of a string begin, so that the short and the long form compare alike. */
  #textStart(type: number, start: number): number {
    if (type === types.shortAscii || type === types.shortAsciiInterned) return start + 1;
    return isAscii(type) || type === types.unicode || type === types.interned ? start + 4 : start;
  }

  #container(type: number, children: Node[]): Node {
    const key = `${String.fromCharCode(type)}\0${children.map((child) => child.id).join()}`;
    const before = this.#equal.get(key);
    if (before) return before;
    const node = this.#new({ type, start: this.#at, end: this.#at, children });
    this.#equal.set(key, node);
    return node;
  }

  #sorted(members: Node[]): Node[] {
    if (members.length < 2) return members;
    return members
      .map((node) => ({ node, bytes: new Writer(this.#bytes).write(node) }))
      .toSorted((a, b) => Buffer.compare(a.bytes, b.bytes))
      .map(({ node }) => node);
  }

  #objects(count: number): Node[] {
    if (count > this.#bytes.length - this.#at) throw new Error("a container longer than the marshal stream");
    return Array.from({ length: count }, () => this.#object());
  }

  #new(fields: Pick<Node, "type" | "start" | "end" | "children">): Node {
    return { ...fields, id: this.#count++, interned: false };
  }

  #byte(): number {
    const at = this.#at;
    this.#skip(1);
    return this.#bytes[at] ?? 0;
  }

  #u32(): number {
    const at = this.#at;
    this.#skip(4);
    return this.#bytes.readUInt32LE(at);
  }

  #skip(length: number): void {
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new Error("the marshal stream ends early");
  }
}

class Writer {
  readonly #source: Buffer;
  readonly #uses = new Map<Node, number>();
  readonly #indices = new Map<Node, number>();
  #out: Buffer;
  #at = 0;

  constructor(source: Uint8Array) {
    this.#source = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    // A reference has five bytes where a short string that was written twice had three.
    this.#out = Buffer.allocUnsafe(2 * source.length + 64);
  }

  write(root: Node): Uint8Array {
    this.#count(root);
    this.#object(root);
    return this.#out.subarray(0, this.#at);
  }

  #count(node: Node): void {
    const uses = (this.#uses.get(node) ?? 0) + 1;
    this.#uses.set(node, uses);
    if (uses === 1) for (const child of node.children) this.#count(child);
  }

  #object(node: Node): void {
    const index = this.#indices.get(node);
    if (index !== undefined) {
      this.#out[this.#at++] = types.ref;
      this.#u32(index);
      return;
    }
    const isShared = (this.#uses.get(node) ?? 0) > 1 && !singletons.has(node.type);
    if (isShared) this.#indices.set(node, this.#indices.size);
    this.#out[this.#at++] = typeOf(node) | (isShared ? flagRef : 0);
    if (node.type === types.smallTuple) this.#out[this.#at++] = node.children.length;
    else if (node.type === types.tuple || node.type === types.frozenset) this.#u32(node.children.length);
    else this.#raw(node);
    node.children.forEach((child, position) => {
      if (node.type === types.code && position === firstLineIndex) this.#raw(child);
      else this.#object(child);
    });
  }

  #raw({ start, end }: Node): void {
    this.#at += this.#source.copy(this.#out, this.#at, start, end);
  }

  #u32(value: number): void {
    this.#at = this.#out.writeUInt32LE(value, this.#at);
  }
}

/** An interned string is marked so in both of its forms. */
function typeOf({ type, interned }: Node): number {
  if (isShortAscii(type)) return interned ? types.shortAsciiInterned : types.shortAscii;
  if (isAscii(type)) return interned ? types.asciiInterned : types.ascii;
  if (type === types.unicode || type === types.interned) return interned ? types.interned : types.unicode;
  return type;
}

function isAscii(type: number): boolean {
  return isShortAscii(type) || type === types.ascii || type === types.asciiInterned;
}

function isShortAscii(type: number): boolean {
  return type === types.shortAscii || type === types.shortAsciiInterned;
}

function isInterned(type: number): boolean {
  return type === types.interned || type === types.asciiInterned || type === types.shortAsciiInterned;
}

/** Types whose values are equal when their bytes are: `interned` is `unicode` with a promise. */
function family(type: number): string {
  if (isAscii(type)) return "a";
  return String.fromCharCode(type === types.interned ? types.unicode : type);
}
