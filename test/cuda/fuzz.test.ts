import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { RandomAccess } from "../../src/cuda/random-access.ts";
import { streamParts } from "../../src/cuda/random-access.ts";
import { readInterface } from "../../src/cuda/stub/interface.ts";
import { writeStub } from "../../src/cuda/stub/write-stub.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { SheafError } from "../../src/errors.ts";
import { buildFatBinary } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";
import { driverLoads, MemoryImage } from "./memory-image.ts";

const fat = buildFatBinary([
  { sm: 50, size: 9000 },
  { sm: 80, storage: "lz4", size: 9000 },
  { sm: 86, storage: "zstd", size: 500 },
  { kind: "ptx", sm: 90, size: 300 },
  [
    { sm: 60, size: 4000 },
    { sm: 70, size: 400 },
  ],
]);
const libraries = (["rela", "relr", "both"] as const).map((relocations) =>
  buildLibrary({ fatBinaries: [fat, fat], relocatable: [fat], relocations, exportedAt: 0, symbolAt: 0 }),
);
const targets = [80, 86];

describe("a damaged library", () => {
  it("is refused or left whole when it is cut short", async () => {
    for (const { bytes } of libraries) {
      for (let size = 0; size < bytes.length; size += size < 1000 ? 13 : 997) {
        await expectHarmless(bytes.subarray(0, size));
      }
    }
  });

  // Absurd numbers wherever a table has one, and two of them at once.
  const numbers = fc.oneof(
    fc.constantFrom(
      0n,
      1n,
      7n,
      8n,
      0xffn,
      0xffffn,
      0x7fffffffn,
      0xffffffffn,
      0x100000000n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ),
    fc.bigInt({ min: 0n, max: 70_000n }),
  );
  const change = fc.record({
    place: fc.nat(),
    part: fc.constantFrom("headers", "sections", "tables", "wrappers", "device code"),
    size: fc.constantFrom(1, 2, 4, 8),
    value: numbers,
  });

  it("is refused, left whole, or trimmed so that it loads the same", async () => {
    const property = fc.asyncProperty(
      fc.nat(libraries.length - 1),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      async (index, changes) => {
        const library = libraries[index];
        if (!library) return;
        const bytes = Buffer.from(library.bytes);
        for (const { place, part, size, value } of changes) {
          const [start, length] = partOf(library, part);
          const at = Math.min(bytes.length - 8, start + (place % length));
          for (let index = 0; index < size; index++) bytes[at + index] = Number((value >> BigInt(8 * index)) & 0xffn);
        }
        await expectHarmless(bytes, library.address[".nvFatBinSegment"]);
      },
    );
    await fc.assert(property, { numRuns: Number(process.env["SHEAF_FUZZ_RUNS"] ?? 400) });
  });
});

describe("a damaged library for a stub", () => {
  it("is refused, or gives a stub", async () => {
    const { bytes } = libraries[0] ?? { bytes: Buffer.alloc(0) };
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(8000), fc.nat(255)), { maxLength: 8 }),
      async (changes) => {
        const damaged = Buffer.from(bytes);
        for (const [at, value] of changes) damaged[at] = value;
        try {
          const stub = writeStub(await readInterface(strict(damaged)), { status: 1, setting: "keep" });
          expect(stub.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(SheafError);
        }
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });
});

async function expectHarmless(bytes: Buffer, wrappers?: number): Promise<void> {
  const source = strict(bytes);
  const result = await trimLibrary(source, { targets }).catch((error: unknown) => {
    expect(error).toBeInstanceOf(SheafError);
    return undefined;
  });
  if (!result?.parts) return;
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamParts(source, result.parts)) chunks.push(chunk);
  const before = memoryOf(bytes);
  if (!before || wrappers === undefined) return;
  const after = new MemoryImage(Buffer.concat(chunks));
  for (let slot = wrappers + 8; slot < wrappers + 72; slot += 24) {
    for (const target of targets) {
      expect(loads(after, slot, target)).toBe(loads(before, slot, target));
    }
  }
}

function loads(memory: MemoryImage, slot: number, target: number): string {
  try {
    return driverLoads(memory, memory.u64(slot), target);
  } catch {
    return "nothing that can be read";
  }
}

/** A file of which nothing outside can be read. */
function strict(bytes: Buffer): RandomAccess {
  return {
    size: bytes.length,
    read(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
        throw new Error(`a read of ${length} bytes at ${offset} in a file of ${bytes.length}`);
      }
      return Buffer.from(bytes.subarray(offset, offset + length));
    },
  };
}

/** Undefined for what no loader takes. */
function memoryOf(bytes: Buffer): MemoryImage | undefined {
  try {
    return new MemoryImage(bytes);
  } catch {
    return undefined;
  }
}

function partOf({ bytes, address }: (typeof libraries)[number], part: string): [start: number, length: number] {
  const offset = (name: string, base: number) => (address[name] ?? 0) - base;
  if (part === "headers") return [0, 64 + 7 * 56];
  if (part === "sections") return [Number(bytes.readBigUInt64LE(40)), 64 * 20];
  if (part === "tables") return [64 + 7 * 56, 600];
  if (part === "wrappers") return [offset(".nvFatBinSegment", 3 * 4096), 400];
  return [offset(".nv_fatbin", 2 * 4096), fat.length * 3];
}
