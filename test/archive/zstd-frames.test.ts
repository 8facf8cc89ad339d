import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decompress } from "../../src/archive/decompress.ts";
import { ZstdFrames } from "../../src/archive/zstd-frames.ts";
import { SheafError } from "../../src/errors.ts";
import { has } from "./oracle.ts";

const MiB = 1024 * 1024;
const isNative = "zstdDecompressSync" in (await import("node:zlib"));

/** As zstd writes them of a stream whose size it isn't told; levels and options decide on windows, blocks and checksums. */
function zstd(content: Uint8Array, ...options: string[]): Uint8Array {
  return execFileSync("zstd", ["-q", "-c", ...options], { input: content });
}

function passes(bytes: Uint8Array, sizes: readonly number[], limit = 32 * MiB): boolean {
  const frames = new ZstdFrames(limit);
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    try {
      frames.pass(bytes.subarray(at, at + size));
    } catch (error) {
      expect((error as Error).message).toMatch(/it looks back \d+ bytes/);
      return false;
    }
    at += size;
  }
  return true;
}

describe.skipIf(!has("zstd"))("the frames of a zstd stream (needs zstd)", () => {
  const text = Buffer.from("a text that comes again and again, ".repeat(20_000));
  const mixed = Buffer.concat([text, Buffer.alloc(500_000), text.toReversed()]);
  const small = [
    zstd(text),
    zstd(mixed, "-19", "--check"),
    zstd(mixed, "--no-check", "--long=24"),
    zstd(new Uint8Array()),
    Buffer.concat([Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0), Buffer.from("notes")]),
  ];
  const large = zstd(mixed, "--long=27");
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 });

  it("pass while their windows are small, in any pieces", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...small), { maxLength: 5 }), sizes, (all, cuts) => {
        expect(passes(Buffer.concat(all), cuts)).toBe(true);
      }),
    );
  });

  it("are refused wherever one wants a large window", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...small), { maxLength: 4 }), sizes, (before, cuts) => {
        expect(passes(Buffer.concat([...before, large]), cuts)).toBe(false);
        expect(passes(Buffer.concat([...before, large]), cuts, 128 * MiB)).toBe(true);
      }),
    );
  });

  it("are left to the decoder when they are damaged", () => {
    const whole = Buffer.concat(small);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), sizes, (at, value, cuts) => {
        const bytes = Uint8Array.from(whole);
        bytes[at] = value;
        // No error but the one that `passes` knows.
        passes(bytes, cuts);
      }),
    );
  });

  it.skipIf(isNative)("are refused by the decoder that Node 20 needs, before it makes room", async () => {
    await expect(decompress(large, 10 * MiB)).rejects.toThrow(/looks back 134217728 bytes/);
    await expect(decompress(large, 10 * MiB)).rejects.toBeInstanceOf(SheafError);
    expect(Buffer.from(await decompress(small[1] as Uint8Array, 10 * MiB)).equals(mixed)).toBe(true);
  });
});
