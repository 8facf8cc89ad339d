import { array, assert, constantFrom, integer, property, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";

import { canonicalMarshal } from "../../src/bytecode/marshal.ts";

const mark = 0x80;
const bytesOf = (...parts: (string | number | Buffer)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.of(part) : Buffer.from(part as string, "latin1"))),
  );
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const type = (character: string, isMarked = false): number => character.charCodeAt(0) | (isMarked ? mark : 0);
const short = (text: string, { isMarked = false, interned = false } = {}): Buffer =>
  bytesOf(type(interned ? "Z" : "z", isMarked), text.length, text);
const ref = (number: number): Buffer => Buffer.concat([bytesOf("r"), u32(number)]);
const tuple = (members: Buffer[], isMarked = false): Buffer =>
  Buffer.concat([bytesOf(type(")", isMarked), members.length), ...members]);
const frozenset = (members: Buffer[], isMarked = false): Buffer =>
  Buffer.concat([bytesOf(type(">", isMarked)), u32(members.length), ...members]);

const canonical = (stream: Buffer, minor = 12): Buffer => Buffer.from(canonicalMarshal(stream, minor));

describe("canonicalMarshal", () => {
  it("takes marks off what nothing refers to", () => {
    expect(canonical(tuple([short("ab", { isMarked: true }), short("cd")], true))).toEqual(
      tuple([short("ab"), short("cd")]),
    );
  });

  it("numbers references anew", () => {
    const loose = tuple([short("ab", { isMarked: true }), short("cd", { isMarked: true }), ref(2), ref(2)], true);
    expect(canonical(loose)).toEqual(tuple([short("ab"), short("cd", { isMarked: true }), ref(0), ref(0)]));
  });

  it("writes equal constants once, whether they were one object or two", () => {
    const pair = tuple([short("left"), short("right")]);
    const apart = tuple([pair, pair, short("left")]);
    const shared = tuple([tuple([short("left", { isMarked: true }), short("right")], true), ref(0), ref(1)]);
    expect(canonical(apart)).toEqual(canonical(shared));
    expect(canonical(apart)).toEqual(shared);
  });

  it("calls a string interned when one of its copies is, and single characters always", () => {
    const stream = tuple([short("name"), short("name", { interned: true }), short("x")]);
    expect(canonical(stream)).toEqual(
      tuple([short("name", { isMarked: true, interned: true }), ref(0), short("x", { interned: true })]),
    );
  });

  it("keeps apart what is equal in Python but not the same constant", () => {
    const zero = Buffer.concat([bytesOf("g"), Buffer.from("0000000000000000", "hex")]);
    const minusZero = Buffer.concat([bytesOf("g"), Buffer.from("0000000000000080", "hex")]);
    const stream = tuple([zero, minusZero, Buffer.concat([bytesOf("i"), u32(1)]), bytesOf("T")]);
    expect(canonical(stream)).toEqual(stream);
  });

  it("never marks singletons", () => {
    const stream = tuple([bytesOf("N"), bytesOf("N"), bytesOf("T"), bytesOf("."), bytesOf(".")]);
    expect(canonical(stream)).toEqual(stream);
  });

  const member = constantFrom(short("ab"), short("cd"), bytesOf("N"), bytesOf("."), tuple([short("ab"), short("zz")]));

  it("sorts frozensets, also where members share constants", () => {
    assert(
      property(array(member, { maxLength: 5 }), integer({ min: 0, max: 5 }), (members, turn) => {
        const distinct = [...new Set(members)];
        const turned = [...distinct.slice(turn), ...distinct.slice(0, turn)];
        expect(canonical(tuple([frozenset(turned), short("ab")]))).toEqual(
          canonical(tuple([frozenset(distinct), short("ab")])),
        );
      }),
    );
  });

  it("changes nothing the second time", () => {
    assert(
      property(array(member), (members) => {
        const once = canonical(tuple(members));
        expect(canonical(once)).toEqual(once);
      }),
    );
  });

  it.each([
    ["is empty", Buffer.alloc(0)],
    ["ends early", short("abc").subarray(0, 3)],
    ["goes on", Buffer.concat([short("abc"), bytesOf("N")])],
    ["refers to nothing", tuple([ref(7)])],
    ["refers to what isn't finished", tuple([ref(0)], true)],
    ["claims a huge tuple", Buffer.concat([bytesOf("("), u32(0xffffffff)])],
    ["claims a huge number", Buffer.concat([bytesOf("l"), u32(0x80000000)])],
    ["holds a type that code doesn't", bytesOf("{0")],
    [
      "is nested without end",
      Buffer.concat([...Array.from({ length: 5000 }, () => bytesOf(type(")"), 1)), bytesOf("N")]),
    ],
  ])("refuses a stream that %s", (_, stream) => {
    expect(() => canonical(stream)).toThrow(/marshal stream|type/);
  });

  it("reads any bytes in bounded time and space", () => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(canonicalMarshal(bytes, 12).length).toBeLessThanOrEqual(3 * bytes.length + 64);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect(error).not.toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  it("reads minors that it doesn't know as the newest that it does, and refuses the oldest", () => {
    const stream = tuple([short("ab"), short("ab")]);
    expect(canonical(stream, 15)).toEqual(canonical(stream, 14));
    expect(() => canonical(stream, 8)).toThrow("3.8");
  });
});
