import { types } from "./marshal-types.ts";

/**
 * The distinct objects of a stream, each under a number. Equal constants get the same number; code objects are never
 * equal. Kept in flat arrays, because a large application has millions.
 */
export class MarshalGraph {
  readonly #stream: Buffer;
  readonly #types: number[] = [];
  /** Raw bytes after the type byte: an atom's value, a code object's fields. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  /** Members are `#members[#firsts[id]]` to `#members[#firsts[id + 1]]`, exclusive. */
  readonly #firsts: number[] = [0];
  readonly #members: number[] = [];
  readonly #interned: boolean[] = [];
  readonly #byHash = new Map<number, number>();
  /** The next object with the same hash. */
  readonly #next: number[] = [];

  constructor(stream: Buffer) {
    this.#stream = stream;
  }

  get size(): number {
    return this.#types.length;
  }

  typeOf(id: number): number {
    return this.#types[id] ?? types.null;
  }

  isInterned(id: number): boolean {
    return this.#interned[id] ?? false;
  }

  intern(id: number): void {
    this.#interned[id] = true;
  }

  raw(id: number): { start: number; end: number } {
    return { start: this.#starts[id] ?? 0, end: this.#ends[id] ?? 0 };
  }

  memberCount(id: number): number {
    return (this.#firsts[id + 1] ?? 0) - (this.#firsts[id] ?? 0);
  }

  member(id: number, position: number): number {
    return this.#members[(this.#firsts[id] ?? 0) + position] ?? 0;
  }

  atom(type: number, start: number, end: number): number {
    const hash = this.#hashRaw(type, start, end);
    for (let id = this.#byHash.get(hash) ?? -1; id >= 0; id = this.#next[id] ?? -1) {
      if (this.#types[id] === type && this.#isRaw(id, start, end)) return id;
    }
    return this.#add({ type, start, end, members: [] }, hash);
  }

  container(type: number, members: number[]): number {
    const hash = hashMembers(type, members);
    for (let id = this.#byHash.get(hash) ?? -1; id >= 0; id = this.#next[id] ?? -1) {
      if (this.#types[id] === type && this.#hasMembers(id, members)) return id;
    }
    return this.#add({ type, start: 0, end: 0, members }, hash);
  }

  /** A new object that equals no other. */
  unique(fields: { type: number; start: number; end: number; members: number[] }): number {
    return this.#add(fields, undefined);
  }

  /** An order of objects that depends on their values alone. */
  compare(a: number, b: number): number {
    if (a === b) return 0;
    const byType = this.typeOf(a) - this.typeOf(b);
    if (byType !== 0) return byType;
    const [rawA, rawB] = [this.raw(a), this.raw(b)];
    const byRaw = this.#stream.compare(this.#stream, rawB.start, rawB.end, rawA.start, rawA.end);
    if (byRaw !== 0) return byRaw;
    const count = this.memberCount(a);
    if (count !== this.memberCount(b)) return count - this.memberCount(b);
    for (let position = 0; position < count; position++) {
      const byMember = this.compare(this.member(a, position), this.member(b, position));
      if (byMember !== 0) return byMember;
    }
    return 0;
  }

  #add(fields: { type: number; start: number; end: number; members: number[] }, hash: number | undefined): number {
    const id = this.#types.push(fields.type) - 1;
    this.#starts.push(fields.start);
    this.#ends.push(fields.end);
    for (const member of fields.members) this.#members.push(member);
    this.#firsts.push(this.#members.length);
    this.#interned.push(false);
    this.#next.push(hash === undefined ? -1 : (this.#byHash.get(hash) ?? -1));
    if (hash !== undefined) this.#byHash.set(hash, id);
    return id;
  }

  /** FNV-1a over the length and both ends: what lies between is compared, not hashed. */
  #hashRaw(type: number, start: number, end: number): number {
    let hash = step(step(0x811c9dc5, type), end - start);
    const head = Math.min(end, start + 48);
    for (let at = start; at < head; at++) hash = step(hash, this.#stream[at] ?? 0);
    for (let at = Math.max(head, end - 48); at < end; at++) hash = step(hash, this.#stream[at] ?? 0);
    return hash >>> 2;
  }

  #isRaw(id: number, start: number, end: number): boolean {
    const before = this.#starts[id] ?? 0;
    const length = end - start;
    if ((this.#ends[id] ?? 0) - before !== length) return false;
    if (length > 96) return this.#stream.compare(this.#stream, before, before + length, start, end) === 0;
    for (let index = 0; index < length; index++) {
      if (this.#stream[before + index] !== this.#stream[start + index]) return false;
    }
    return true;
  }

  #hasMembers(id: number, members: number[]): boolean {
    return (
      this.memberCount(id) === members.length && members.every((member, index) => this.member(id, index) === member)
    );
  }
}

function hashMembers(type: number, members: number[]): number {
  let hash = step(0x811c9dc5, type);
  for (const member of members) hash = step(hash, member);
  return hash >>> 2;
}

function step(hash: number, value: number): number {
  return Math.imul(hash ^ value, 0x01000193);
}
