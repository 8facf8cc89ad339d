import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { PassingBytes } from "../../src/cuda/passing-bytes.ts";
import { bytesSource } from "../../src/cuda/random-access.ts";
import { type StreamedCode, streamedCodeOf, StreamedCodeReader } from "../../src/cuda/streamed-code.ts";
import { coverageOf, coverageOfAlike, summarizeDeviceCode } from "../../src/cuda/summary.ts";
import { buildFatBinary, type ImageSpec } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";

const image = fc.record({
  kind: fc.constantFrom("cubin" as const, "ptx" as const),
  sm: fc.constantFrom(50, 75, 80, 86, 90, 100, 120),
  variant: fc.constantFrom("" as const, "a" as const, "f" as const),
  storage: fc.constantFrom("raw" as const, "lz4" as const, "zstd" as const),
  size: fc.nat(5000),
});
const binaries = fc.array(fc.array(image, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 });

describe("StreamedCodeReader", () => {
  it("finds what is found with the file at hand, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(binaries, binaries, fc.integer({ min: 1, max: 5000 }), async (some, others, step) => {
        const { bytes } = buildLibrary({ fatBinaries: some.map(fat), relocatable: others.map(fat) });
        const code = await readDeviceCode(bytesSource(bytes));
        const streamed = inPieces(bytes, step);
        const { alike, ...summary } = streamed ?? { alike: [] };
        const { bytes: ofSections, ...expected } = summarizeDeviceCode(code ?? { sections: [] });
        expect(summary).toMatchObject(expected);
        expect(streamedCodeOf(bytes)).toEqual(streamed);
        expect(streamed?.bytes).toBeLessThanOrEqual(ofSections);
        for (const gpu of [75, 86, 89, 90, 120]) {
          expect(coverageOfAlike(alike, gpu)).toEqual(coverageOf(code ?? { sections: [] }, gpu));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("finds fat binaries among the data, and of a form that is not known", () => {
    const data = [buildFatBinary([{ sm: 80 }]), Buffer.alloc(24, "between "), buildFatBinary([{ kind: 8, sm: 90 }])];
    const bytes = Buffer.concat(data);
    const found = inPieces(bytes, 100);
    expect(found).toMatchObject({ binaries: 2, code: [{ name: "sm_80", images: 1 }] });
    expect(found?.unknown).toEqual([expect.stringContaining("device code of kind 8")]);
    // Bytes between them are none of theirs.
    expect(found?.bytes).toBe(bytes.length - 24);
  });

  it("takes nothing for a fat binary that does not go on as one", () => {
    const { length } = buildFatBinary([{ sm: 80 }]);
    const magic = buildFatBinary([]).subarray(0, 4);
    const cases = {
      "the number alone": Buffer.concat([magic, Buffer.alloc(100)]),
      "one that is empty": buildFatBinary([]),
      "at no multiple of 8": Buffer.concat([Buffer.alloc(4), buildFatBinary([{ sm: 80 }]), Buffer.alloc(4)]),
      "one that ends after the file": buildFatBinary([{ sm: 80 }]).subarray(0, length - 8),
      "another version": withByte(buildFatBinary([{ sm: 80 }]), 4, 2),
    };
    for (const [what, bytes] of Object.entries(cases)) {
      expect(inPieces(bytes, 7), what).toBeUndefined();
    }
    // What follows a broken one is seen.
    const broken = withByte(buildFatBinary([{ sm: 75 }]), 16 + 4, 1);
    const both = Buffer.concat([broken, buildFatBinary([{ sm: 80 }])]);
    expect(inPieces(both, 33)).toMatchObject({
      binaries: 1,
      code: [{ name: "sm_80" }],
    });
  });

  it("stops at what no library has", () => {
    // A name of its own in each: nothing is alike.
    const many = Array.from({ length: 300 }, (_, index) =>
      buildFatBinary([{ sm: 80, size: 64, identifier: `${index} `.padEnd(20_000, "x") }]),
    );
    const found = inPieces(Buffer.concat(many), 4096);
    expect(found?.unknown).toEqual(["it has more device code than any library"]);
    expect(found?.binaries).toBeLessThan(300);
  });
});

describe("PassingBytes", () => {
  it("gives any bytes in their order, out of pieces that their owner uses again", () => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => index & 0xff));
    const places = fc.array(fc.tuple(fc.nat(400), fc.nat(300)), { maxLength: 30 });
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 700 }), (skips, step) => {
        const passing = new PassingBytes();
        let at = 0;
        const wanted = skips.map(([skip, length]) => {
          at += skip;
          return { offset: at, length };
        });
        let done = 0;
        const look = (): void => {
          for (let next = wanted[done]; next; next = wanted[done]) {
            const found = passing.take(next.offset, next.length);
            if (!found) return;
            expect(Buffer.from(found)).toEqual(bytes.subarray(next.offset, next.offset + next.length));
            done++;
          }
        };
        for (const piece of pieces(bytes, step)) passing.add(piece, look);
        const inside = wanted.findIndex(({ offset, length }) => offset + length > bytes.length);
        expect(done).toBeGreaterThanOrEqual(inside < 0 ? wanted.length : inside);
      }),
    );
  });

  it("does not go back", () => {
    const passing = new PassingBytes();
    passing.add(Buffer.alloc(100), () => passing.take(50, 10));
    expect(() => passing.take(49, 1)).toThrow(RangeError);
  });
});

function fat(images: readonly ImageSpec[]): Buffer {
  return buildFatBinary(images);
}

function inPieces(bytes: Buffer, step: number): StreamedCode | undefined {
  const reader = new StreamedCodeReader(bytes.length);
  for (const piece of pieces(bytes, step)) reader.add(piece);
  return reader.finish();
}

/** Overwrites each piece as soon as the next one is asked for, as decoders do. */
function* pieces(bytes: Buffer, step: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) {
    const piece = Buffer.from(bytes.subarray(at, at + step));
    yield piece;
    piece.fill(0xee);
  }
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = value;
  return changed;
}
