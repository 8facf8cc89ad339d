import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { ForwardSource } from "../../src/cuda/forward-source.ts";
import { bytesSource } from "../../src/cuda/random-access.ts";
import { readStreamedCode } from "../../src/cuda/streamed-code.ts";
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

describe("readStreamedCode", () => {
  it("finds what is found with the file at hand, however the stream is cut", async () => {
    await fc.assert(
      fc.asyncProperty(binaries, binaries, fc.integer({ min: 1, max: 5000 }), async (some, others, step) => {
        const { bytes } = buildLibrary({ fatBinaries: some.map(fat), relocatable: others.map(fat) });
        const code = await readDeviceCode(bytesSource(bytes));
        const streamed = await readStreamedCode(cut(bytes, step), bytes.length);
        const { alike, ...summary } = streamed ?? { alike: [] };
        const { bytes: ofSections, ...expected } = summarizeDeviceCode(code ?? { sections: [] });
        expect(summary).toMatchObject(expected);
        expect(streamed?.bytes).toBeLessThanOrEqual(ofSections);
        for (const gpu of [75, 86, 89, 90, 120]) {
          expect(coverageOfAlike(alike, gpu)).toEqual(coverageOf(code ?? { sections: [] }, gpu));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("finds fat binaries among the data, and of a form that is not known", async () => {
    const data = [buildFatBinary([{ sm: 80 }]), Buffer.alloc(24, "between "), buildFatBinary([{ kind: 8, sm: 90 }])];
    const bytes = Buffer.concat(data);
    const found = await readStreamedCode(cut(bytes, 100), bytes.length);
    expect(found).toMatchObject({ binaries: 2, code: [{ name: "sm_80", images: 1 }] });
    expect(found?.unknown).toEqual([expect.stringContaining("device code of kind 8")]);
    // Bytes between them are none of theirs.
    expect(found?.bytes).toBe(bytes.length - 24);
  });

  it("takes nothing for a fat binary that does not go on as one", async () => {
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
      expect(await readStreamedCode(cut(bytes, 7), bytes.length), what).toBeUndefined();
    }
    // What follows a broken one is seen.
    const broken = withByte(buildFatBinary([{ sm: 75 }]), 16 + 4, 1);
    const both = Buffer.concat([broken, buildFatBinary([{ sm: 80 }])]);
    expect(await readStreamedCode(cut(both, 33), both.length)).toMatchObject({
      binaries: 1,
      code: [{ name: "sm_80" }],
    });
  });

  it("stops at what no library has, and reads the stream to its end", async () => {
    // A name of its own in each: nothing is alike.
    const many = Array.from({ length: 300 }, (_, index) =>
      buildFatBinary([{ sm: 80, size: 64, identifier: `${index} `.padEnd(20_000, "x") }]),
    );
    const bytes = Buffer.concat(many);
    let passed = 0;
    const watched = async function* () {
      for await (const chunk of cut(bytes, 4096)) {
        passed += chunk.length;
        yield chunk;
      }
    };
    const found = await readStreamedCode(watched(), bytes.length);
    expect(found?.unknown).toEqual(["it has more device code than any library"]);
    expect(passed).toBe(bytes.length);
  });
});

describe("ForwardSource", () => {
  it("gives any bytes in their order, out of chunks that their owner uses again", async () => {
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, index) => index & 0xff));
    const steps = fc.array(fc.tuple(fc.nat(400), fc.nat(300)), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 700 }), async (places, step) => {
        const source = new ForwardSource(reused(bytes, step), bytes.length);
        let at = 0;
        for (const [skip, length] of places) {
          at += skip;
          if (at + length > bytes.length) return;
          expect(await source.read(at, length)).toEqual(bytes.subarray(at, at + length));
          expect(source.position).toBe(at);
        }
      }),
    );
  });

  it("does not go back, nor beyond the end", async () => {
    const source = new ForwardSource(cut(Buffer.alloc(100), 10), 100);
    await source.read(50, 10);
    await expect(source.read(49, 1)).rejects.toThrow(RangeError);
    await expect(source.read(95, 10)).rejects.toThrow(RangeError);
  });
});

function fat(images: readonly ImageSpec[]): Buffer {
  return buildFatBinary(images);
}

async function* cut(bytes: Buffer, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

/** Overwrites each chunk as soon as the next one is asked for, as decoders do. */
async function* reused(bytes: Buffer, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) {
    const chunk = Buffer.from(bytes.subarray(at, at + step));
    yield chunk;
    chunk.fill(0xee);
  }
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = value;
  return changed;
}
