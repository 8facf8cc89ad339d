import * as fs from "node:fs";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { memorySource } from "../../src/archive/byte-source.ts";
import { elfFacts } from "../../src/elf/facts.ts";
import { readPieces, sizeOfPieces } from "../../src/elf/pieces.ts";
import { readElf, segmentTypes } from "../../src/elf/read.ts";
import { strippedPieces, stripElf } from "../../src/elf/strip.ts";
import { SheafError } from "../../src/errors.ts";
import { buildElf } from "./build-elf.ts";
import { sharedObjects } from "./oracles.ts";

const runs = Number(process.env["SHEAF_FUZZ_RUNS"] ?? 300);
const spec = { soname: "libx.so.1", needed: ["libc.so.6"], debug: 3000, versionsDefined: ["libx.so.1", "X_1"] };
const files = [
  buildElf(spec),
  buildElf({ ...spec, class: 32 }),
  buildElf({ ...spec, littleEndian: false }),
  buildElf({ ...spec, trailingSegment: Buffer.alloc(5000, "behind") }),
].map((bytes) => Buffer.from(bytes));
const real = sharedObjects(6).map((file) => fs.readFileSync(file));

/** Places of a file where numbers decide something: headers at both ends, and the tables in between. */
const numbers = fc.oneof(
  fc.constantFrom(0n, 1n, 8n, 0xffn, 0xffffn, 0x7fffffffn, 0xffffffffn, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 10_000n }),
);
const change = fc.record({
  from: fc.constantFrom("start", "end", "anywhere"),
  place: fc.nat(2 ** 30),
  size: fc.constantFrom(1, 2, 4, 8),
  value: numbers,
});

describe("a damaged ELF file", () => {
  it.each([
    ["built", files],
    [real.length > 0 ? "of this machine" : "of this machine (none was found)", real],
  ])("is refused, left whole, or stripped so that the same is loaded: %s", (_, originals) => {
    if (originals.length === 0) return;
    let stripped = 0;
    const property = fc.property(
      fc.nat(originals.length - 1),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (index, changes) => {
        const damaged = Buffer.from(originals[index] ?? Buffer.alloc(0));
        for (const { from, place, size, value } of changes) {
          const limit = from === "anywhere" ? damaged.length : Math.min(damaged.length, 2000);
          const offset = from === "end" ? damaged.length - 8 - (place % limit) : place % limit;
          const at = Math.max(0, Math.min(damaged.length - 8, offset));
          for (let byte = 0; byte < size; byte++) damaged[at + byte] = Number((value >> BigInt(8 * byte)) & 0xffn);
        }
        stripped += expectHarmless(damaged) ? 1 : 0;
      },
    );
    fc.assert(property, { numRuns: runs });
    // Most damage is where nothing is to be understood.
    expect(stripped).toBeGreaterThan(runs / 20);
  });

  it("is refused or left whole when it is cut short", () => {
    for (const bytes of files) {
      for (let size = 0; size < bytes.length; size += size < 2000 ? 3 : 101) expectHarmless(bytes.subarray(0, size));
    }
  });
});

/** @returns whether it was stripped */
function expectHarmless(bytes: Buffer): boolean {
  refusedOr(() => elfFacts(bytes));
  const stripped = refusedOr(() => stripElf(bytes));
  const source = memorySource(bytes);
  const pieces = refusedOr(() => strippedPieces(source));
  expect(pieces === undefined).toBe(stripped === undefined);
  if (!stripped || !pieces) return false;
  expect(Buffer.concat([...readPieces(source, pieces)]).equals(Buffer.from(stripped))).toBe(true);
  expect(sizeOfPieces(pieces)).toBeLessThan(bytes.length);
  expect(loadedBytes(stripped)).toEqual(loadedBytes(bytes));
  return true;
}

/** What is at each address once the file is loaded, but for its header and the program headers, which tell where the rest is. */
function loadedBytes(bytes: Uint8Array): string[] {
  const file = readElf(bytes);
  if (!file) return [];
  const { view, programHeaderOffset: table, programHeaderSize, segments } = file;
  const copy = Buffer.from(bytes);
  copy.fill(0, 0, Math.min(copy.length, view.class === 64 ? 64 : 52));
  if (table < copy.length) copy.fill(0, table, Math.min(copy.length, table + segments.length * programHeaderSize));
  return segments
    .filter(({ type, fileSize }) => type === segmentTypes.load && fileSize > 0)
    .map(({ address, offset, fileSize, memorySize }) => {
      return `${address} ${memorySize} ${copy.toString("latin1", offset, offset + fileSize)}`;
    });
}

function refusedOr<Result>(action: () => Result): Result | undefined {
  try {
    return action();
  } catch (error) {
    expect(error).toBeInstanceOf(SheafError);
    return undefined;
  }
}
