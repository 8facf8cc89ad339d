import { expect, it } from "vitest";

import { elfFacts } from "../../src/elf/facts.ts";
import { mendRunpath } from "../../src/interpreter/runpath.ts";

/** A 64-bit library of one segment: header, two program headers, the dynamic section, its strings. */
function library(tag: 15 | 29, runpath: string): Uint8Array {
  const dynamicAt = 64 + 2 * 56;
  const stringsAt = dynamicAt + 4 * 16;
  const strings = Buffer.from(`\0${runpath}\0after\0`, "utf8");
  const bytes = Buffer.alloc(stringsAt + strings.length);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(62, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(64n, 32);
  [64, 56, 2, 64].forEach((value, index) => bytes.writeUInt16LE(value, 52 + 2 * index));
  const header = (at: number, type: number, [offset, size]: [number, number]) => {
    bytes.writeUInt32LE(type, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 8);
    bytes.writeBigUInt64LE(BigInt(0x1000 + offset), at + 16);
    bytes.writeBigUInt64LE(BigInt(size), at + 32);
    bytes.writeBigUInt64LE(BigInt(size), at + 40);
  };
  header(64, 1, [0, bytes.length]);
  header(64 + 56, 2, [dynamicAt, 4 * 16]);
  const entries = [5, 0x1000 + stringsAt, 10, strings.length, tag, 1, 0, 0];
  entries.forEach((value, index) => bytes.writeBigUInt64LE(BigInt(value), dynamicAt + 8 * index));
  strings.copy(bytes, stringsAt);
  return bytes;
}

it.each([15, 29] as const)(
  "rewrites the elements of tag %d, drops those that lead nowhere, keeps what follows",
  (tag) => {
    const bytes = library(tag, "/home/me/python/lib:/opt/ssl/lib:/home/me/python/lib");
    const map = (element: string) => (element.startsWith("/home/me/python") ? "$ORIGIN/../lib" : undefined);
    expect(mendRunpath(bytes, map)).toBe(true);
    const facts = elfFacts(bytes);
    expect(tag === 15 ? facts?.rpath : facts?.runpath).toEqual(["$ORIGIN/../lib"]);
    expect(Buffer.from(bytes).includes("/home/me")).toBe(false);
    expect(Buffer.from(bytes).includes("after")).toBe(true);
  },
);

it("refuses elements that don't fit into the old string", () => {
  const bytes = library(29, "/p/lib");
  mendRunpath(bytes, () => "$ORIGIN/../lib");
  expect(elfFacts(bytes)?.runpath).toEqual([]);
});

it("leaves a file alone that needs nothing, and what isn't ELF", () => {
  const bytes = library(29, "$ORIGIN");
  expect(mendRunpath(bytes, (element) => element)).toBe(false);
  expect(mendRunpath(Buffer.from("#!/bin/sh\n"), () => undefined)).toBe(false);
});
