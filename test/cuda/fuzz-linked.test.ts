import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { hasFatSection, readDeviceCode } from "../../src/cuda/device-code.ts";
import { readElfHeaders } from "../../src/cuda/elf-headers.ts";
import { bytesSource, streamParts } from "../../src/cuda/random-access.ts";
import { StreamedCodeReader, streamedCodeOf } from "../../src/cuda/streamed-code.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { SheafError } from "../../src/errors.ts";
import { has } from "../elf/oracles.ts";
import { buildFatBinary } from "./build-fat-binary.ts";
import { linkLibrary } from "./linked-library.ts";
import { driverLoads, MemoryImage } from "./memory-image.ts";

const targets = [75, 86];
const runs = Number(process.env["SHEAF_FUZZ_RUNS"] ?? 250);
const fatBinaries = [0, 1, 2, 3].map((index) =>
  buildFatBinary([
    { sm: 50, size: 6000 + index, storage: "lz4" },
    { sm: 75, size: 900 },
    { sm: 80, size: 7000, storage: "zstd" },
    { sm: 86, size: 800 + index, storage: "lz4" },
    { sm: 90, variant: "a", size: 5000 },
    { kind: "ptx", sm: 90, size: 3000 },
  ]),
);

describe.skipIf(!has("gcc"))("a library that a linker made (needs gcc)", () => {
  let folder = "";
  let libraries: { bytes: Buffer; wrappers: number }[] = [];
  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-linked-"));
    const forms = [[], ["-Wl,-z,separate-code,-z,relro,-z,now"], ["-Wl,-z,noseparate-code", "-Wl,--hash-style=both"]];
    for (const flags of forms) {
      const bytes = linkLibrary(folder, { fatBinaries, flags });
      const headers = await readElfHeaders(bytesSource(bytes));
      const wrappers = headers?.sections.find(({ name }) => name === ".nvFatBinSegment")?.address ?? 0;
      libraries.push({ bytes, wrappers });
    }
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it("is trimmed, and loads what it loaded", async () => {
    for (const { bytes, wrappers } of libraries) {
      const trimmed = await trim(bytes);
      expect(trimmed?.length).toBeLessThan(bytes.length - 60_000);
      expectAlike(bytes, trimmed ?? Buffer.alloc(0), wrappers);
    }
  });

  it.skipIf(!has("python3"))("is taken by ld.so, and answers (needs python3)", async () => {
    const trimmed = await trim(libraries[0]?.bytes ?? Buffer.alloc(0));
    const file = path.join(folder, "trimmed.so");
    fs.writeFileSync(file, trimmed ?? "");
    const program =
      "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); f = l.fat_binary; f.restype = ctypes.c_void_p; " +
      "print(l.answer(), [hex(ctypes.c_uint32.from_address(f(index)).value) for index in range(4)])";
    const magic = "'0xba55ed50'";
    expect(execFileSync("python3", ["-c", program, file], { encoding: "utf8" })).toBe(
      `42 [${[magic, magic, magic, magic].join(", ")}]\n`,
    );
  });

  it("is refused, left whole, or loads the same, whichever bytes are wrong", async () => {
    const flip = fc.record({
      // As a share of the file, of its first kilobyte, or of its last ones: headers and tables are there.
      part: fc.constantFrom("all", "head", "tail", "device code"),
      place: fc.nat(2 ** 30),
      value: fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(0x80, 0xff, 1)),
    });
    const property = fc.asyncProperty(
      fc.nat(2),
      fc.array(flip, { minLength: 1, maxLength: 6 }),
      async (index, flips) => {
        const { bytes, wrappers } = libraries[index] ?? { bytes: Buffer.alloc(0), wrappers: 0 };
        const damaged = Buffer.from(bytes);
        for (const { part, place, value } of flips) {
          const at = placeIn(damaged, part, place);
          damaged[at] = (damaged[at] ?? 0) ^ value;
        }
        const trimmed = await trim(damaged);
        if (trimmed) expectAlike(damaged, trimmed, wrappers);
        await expectReadable(damaged);
      },
    );
    await fc.assert(property, { numRuns: runs });
  });

  it("is refused or left whole when pieces of it are missing or twice there", async () => {
    const { bytes, wrappers } = libraries[0] ?? { bytes: Buffer.alloc(0), wrappers: 0 };
    const property = fc.asyncProperty(
      fc.nat(bytes.length),
      fc.nat(20_000),
      fc.nat(bytes.length),
      async (at, size, to) => {
        const piece = bytes.subarray(at, at + size);
        for (const damaged of [
          Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]),
          Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to)]),
          Buffer.concat([bytes.subarray(0, to), piece, bytes.subarray(to + size)]),
        ]) {
          const trimmed = await trim(damaged);
          if (trimmed) expectAlike(damaged, trimmed, wrappers);
          await expectReadable(damaged);
        }
      },
    );
    await fc.assert(property, { numRuns: Math.ceil(runs / 3) });
  });
});

describe("bytes of no form at all", () => {
  it("have no device code, or some that can be told", () => {
    const magic = [0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0];
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => [...bytes]),
      fc.constant(magic),
      fc.nat(300).map((size) => [...magic, size & 0xff, size >> 8, 0, 0, 0, 0, 0, 0]),
      fc.nat(3).map((kind) => [kind, 0, 1, 1, 64, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 1, max: 100 }), (pieces, step) => {
        const bytes = Buffer.from(pieces.flat());
        const reader = new StreamedCodeReader(bytes.length);
        for (let at = 0; at < bytes.length; at += step) reader.add(bytes.subarray(at, at + step));
        expect(reader.finish()).toEqual(streamedCodeOf(bytes));
      }),
      { numRuns: runs * 2 },
    );
  });
});

async function trim(bytes: Buffer): Promise<Buffer | undefined> {
  const source = bytesSource(bytes);
  try {
    const result = await trimLibrary(source, { targets });
    if (!result?.parts) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamParts(source, result.parts)) chunks.push(chunk);
    const trimmed = Buffer.concat(chunks);
    expect(trimmed.length).toBe(result.after);
    return trimmed;
  } catch (error) {
    if (error instanceof SheafError) return undefined;
    throw error;
  }
}

/** Each registration leads to the same code for each target as before. */
function expectAlike(before: Buffer, after: Buffer, wrappers: number): void {
  const [old, trimmed] = [before, after].map(memoryOf);
  if (!old) return;
  expect(trimmed).toBeDefined();
  for (let slot = wrappers + 8; slot < wrappers + 8 + 24 * fatBinaries.length; slot += 24) {
    for (const gpu of targets) {
      expect(trimmed && loads(trimmed, slot, gpu)).toBe(loads(old, slot, gpu));
    }
  }
}

async function expectReadable(bytes: Buffer): Promise<void> {
  hasFatSection(bytes);
  const found = streamedCodeOf(bytes);
  expect(found === undefined || found.bytes <= bytes.length).toBe(true);
  await readDeviceCode(bytesSource(bytes)).catch((error: unknown) => expect(error).toBeInstanceOf(SheafError));
}

function loads(memory: MemoryImage, slot: number, gpu: number): string {
  try {
    return driverLoads(memory, memory.u64(slot), gpu);
  } catch {
    return "nothing that can be read";
  }
}

/** Undefined for what no loader takes. */
function memoryOf(bytes: Buffer): MemoryImage | undefined {
  try {
    return new MemoryImage(bytes);
  } catch {
    return undefined;
  }
}

function placeIn(bytes: Buffer, part: string, place: number): number {
  if (part === "head") return place % 1500;
  if (part === "tail") return bytes.length - 1 - (place % 3500);
  if (part === "all") return place % bytes.length;
  // Headers of entries, which lie among thousands of bytes of code.
  const magic = Buffer.from([0x50, 0xed, 0x55, 0xba]);
  let at = 0;
  for (let count = place % 4; count >= 0; count--) at = bytes.indexOf(magic, at + 1);
  return Math.max(0, at) + (Math.floor(place / 4) % 90);
}
