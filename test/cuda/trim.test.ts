import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { bytesSource, partsSource, streamParts } from "../../src/cuda/random-access.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import type { TrimResult } from "../../src/cuda/trim.ts";
import { stripElf } from "../../src/elf/strip.ts";
import { buildFatBinary } from "./build-fat-binary.ts";
import type { ImageSpec } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";
import type { BuiltLibrary, LibrarySpec } from "./build-library.ts";
import { driverLoads, MemoryImage } from "./memory-image.ts";

const sms = [50, 60, 70, 75, 80, 86, 90];

/** One fat binary as torch has them: an image for each architecture. */
function torchLike(size = 3000, storage: ImageSpec["storage"] = "lz4"): Buffer {
  return buildFatBinary(sms.map((sm) => ({ sm, storage, size: size + sm })));
}

describe("trimLibrary", () => {
  const forms: [string, Partial<LibrarySpec>][] = [
    ["RELA", { relocations: "rela" }],
    ["RELR", { relocations: "relr" }],
    ["both kinds of relocations", { relocations: "both" }],
    ["pages of 2 MB", { align: 2 ** 21, after: 2 ** 21 }],
    ["aarch64", { machine: 183, align: 65_536 }],
    ["fat binaries that are aligned to 256", { fatAlign: 256 }],
    ["linkable device code beside it", { relocatable: [torchLike(4000), torchLike(5000)] }],
    ["nothing after the device code", { after: 1 }],
    ["symbols", { symbolAt: 0, exportedAt: 0 }],
    ["other pointers to fat binaries", { otherPointers: [0] }],
  ];

  it.each(forms)("takes out what no target uses, with %s", async (_, form) => {
    const size = form.align ? 400_000 : 4000;
    const built = buildLibrary({ fatBinaries: [torchLike(size), torchLike(size + 7), torchLike(size)], ...form });
    const trimmed = await expectTrimmed(built, [86]);
    expect(trimmed.length).toBeLessThan(built.bytes.length - (form.align ?? 4096));
    expectSameLoads(built, trimmed, [86]);
    expectSameOutside(built, trimmed);
  });

  it("keeps what each of several targets loads", async () => {
    const built = buildLibrary({
      fatBinaries: [
        torchLike(),
        buildFatBinary([
          { sm: 80, size: 9000 },
          { sm: 90, variant: "a", size: 9000 },
          { sm: 90, size: 20_000 },
        ]),
        buildFatBinary([
          { sm: 70, size: 20_000 },
          { kind: "ptx", sm: 70 },
          { kind: "ptx", sm: 90, size: 20_000 },
        ]),
        buildFatBinary([
          { sm: 100, variant: "f", size: 9000 },
          { sm: 100, size: 9000 },
          { sm: 120, size: 9000 },
        ]),
      ],
    });
    for (const targets of [[75], [80, 90], [89], [90, 103], [120], [75, 80, 86, 89, 90]]) {
      const trimmed = await expectTrimmed(built, targets);
      expectSameLoads(built, trimmed, targets);
      expectSameOutside(built, trimmed);
    }
  });

  it("leaves a small stand-in where no target has code", async () => {
    const built = buildLibrary({ fatBinaries: [buildFatBinary([{ sm: 90, size: 50_000 }]), torchLike()] });
    const result = await trimLibrary(bytesSource(built.bytes), { targets: [75] });
    expect(result?.sections[0]?.unserved).toEqual([{ target: 75, binaries: 1 }]);
    const trimmed = await write(built, result);
    expect(built.bytes.length - trimmed.length).toBeGreaterThan(49_000);
    expectSameLoads(built, trimmed, [75]);
    // A GPU that it was not trimmed for finds code without kernels, not a broken fat binary.
    expect(driverLoads(new MemoryImage(trimmed), pointerOf(built, trimmed, 0), 90)).toMatch(/^2 90 \x7fELF/);
  });

  it("gives the same bytes when it is trimmed again, or for more targets at once", async () => {
    const built = buildLibrary({ fatBinaries: [torchLike(8000), torchLike(9000)] });
    const once = await expectTrimmed(built, [75, 86]);
    expect((await trimLibrary(bytesSource(once), { targets: [75, 86] }))?.parts).toBeUndefined();
    expect(await expectTrimmed(built, [86, 75])).toEqual(once);
    const twice = await expectTrimmed({ ...built, bytes: once }, [86]);
    expect(new MemoryImage(twice).read(built.address[".after"] ?? 0, 5000)).toEqual(
      new MemoryImage(built.bytes).read(built.address[".after"] ?? 0, 5000),
    );
    expectSameLoads(built, twice, [86]);
  });

  it("can be stripped afterwards", async () => {
    const built = buildLibrary({ fatBinaries: [torchLike(8000)], symbolAt: 0 });
    const trimmed = await expectTrimmed(built, [86]);
    const stripped = stripElf(trimmed);
    expect(stripped?.length).toBeLessThan(trimmed.length);
    expectSameLoads(built, stripped ?? new Uint8Array(), [86]);
  });

  it("streams what random access reads", async () => {
    const built = buildLibrary({ fatBinaries: [torchLike(8000)] });
    const result = await trimLibrary(bytesSource(built.bytes), { targets: [86] });
    const source = partsSource(bytesSource(built.bytes), result?.parts ?? []);
    const trimmed = await write(built, result);
    expect(source.size).toBe(result?.after);
    for (const [offset, length] of [
      [0, trimmed.length],
      [17, 5000],
      [trimmed.length - 9, 9],
    ] as const) {
      expect(Buffer.from(await source.read(offset, length))).toEqual(trimmed.subarray(offset, offset + length));
    }
  });

  it("says nothing about libraries without device code", async () => {
    expect(await trimLibrary(bytesSource(Buffer.from("#!/bin/sh\n")), { targets: [86] })).toBeUndefined();
    expect(await trimLibrary(bytesSource(buildLibrary({ fatBinaries: [] }).bytes), { targets: [86] })).toBeUndefined();
  });

  it("holds for any mix of architectures and targets", async () => {
    const variant = fc.constantFrom<"" | "a" | "f">("", "", "", "a", "f");
    const image = fc.record({
      sm: fc.constantFrom(50, 75, 80, 86, 89, 90, 100, 103, 120),
      variant,
      kind: fc.constantFrom<"cubin" | "ptx">("cubin", "cubin", "ptx"),
      storage: fc.constantFrom<"raw" | "lz4" | "zstd">("raw", "lz4", "zstd"),
      size: fc.integer({ min: 64, max: 9000 }),
    });
    const property = fc.asyncProperty(
      fc.array(fc.array(image, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
      fc.uniqueArray(fc.constantFrom(75, 80, 86, 89, 90, 100, 103, 120), { minLength: 1, maxLength: 3 }),
      fc.constantFrom<LibrarySpec["relocations"]>("rela", "relr", "both"),
      async (binaries, targets, relocations) => {
        const built = buildLibrary({ fatBinaries: binaries.map((images) => buildFatBinary(images)), relocations });
        const result = await trimLibrary(bytesSource(built.bytes), { targets });
        expect(result?.leftWhole).toEqual([]);
        const trimmed = await write(built, result);
        expectSameLoads(built, trimmed, targets);
        expectSameOutside(built, trimmed);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });
});

describe("what trimLibrary leaves alone", () => {
  const lea: LibrarySpec["code"] = ({ text, fatbin }) => {
    const code = Buffer.from([0x48, 0x8d, 0x3d, 0, 0, 0, 0]);
    code.writeInt32LE(fatbin - (text + 7), 3);
    return code;
  };
  const adrp: LibrarySpec["code"] = ({ text, fatbin }) => {
    const pages = Math.floor(fatbin / 4096) - Math.floor(text / 4096);
    const code = Buffer.alloc(12);
    code.writeUInt32LE((0x90000000 | ((pages & 3) << 29) | ((pages >> 2) << 5) | 3) >>> 0, 0);
    code.writeUInt32LE(0xd503201f, 4);
    code.writeUInt32LE((0x91000000 | ((fatbin % 4096) << 10) | (3 << 5) | 3) >>> 0, 8);
    return code;
  };
  const one = torchLike(20_000);
  const wholes: [string, LibrarySpec, RegExp][] = [
    ["an instruction refers to", { fatBinaries: [one], code: lea }, /code refers to a fat binary directly/],
    ["aarch64's instructions refer to", { fatBinaries: [one], machine: 183, align: 65_536, code: adrp }, /code refers/],
    ["a pointer leads into", { fatBinaries: [one], otherPointers: [80] }, /the middle of a fat binary/],
    ["an exported symbol is inside of", { fatBinaries: [one], exportedAt: 40 }, /the middle of a fat binary/],
    ["nothing registers", { fatBinaries: [one], unregistered: [0] }, /nothing that is known refers to a fat binary/],
    ["another kind of wrapper registers", { fatBinaries: [one], wrapperMagic: 1 }, /the wrapper at 0 begins with 0x1/],
    ["bytes follow", { fatBinaries: [one, Buffer.alloc(24, 1)], unregistered: [1] }, /no fat binary begins at/],
    ["a program has that is linked to an address", { fatBinaries: [one], type: 2 }, /linked to a fixed address/],
    ["another machine has", { fatBinaries: [one], machine: 8 }, /machine 8/],
  ];
  it.each(wholes)("device code that %s", async (_, spec, reason) => {
    const result = await trimLibrary(bytesSource(buildLibrary(spec).bytes), { targets: [86] });
    expect(result?.parts).toBeUndefined();
    expect(result?.leftWhole.join()).toMatch(reason);
    expect(result?.after).toBe(result?.before);
  });

  it("is what comes before, when the rest can be trimmed", async () => {
    const built = buildLibrary({ fatBinaries: [torchLike(500), torchLike(20_000)], unregistered: [0] });
    const trimmed = await expectTrimmed(built, [86]);
    const start = built.address[".nv_fatbin"] ?? 0;
    expect(new MemoryImage(trimmed).read(start, torchLike(500).length)).toEqual(torchLike(500));
    expectSameLoads(built, trimmed, [86]);
  });

  const unknown: [string, ImageSpec, RegExp][] = [
    ["code of another kind", { sm: 90, kind: 8 }, /device code of kind 8/],
    ["flags that are not known", { sm: 90, flags: 0x10000 }, /flags 0x10011/],
    ["two storage forms at once", { sm: 90, storage: "lz4", flags: 0x8000 }, /flags 0xa011/],
    ["a payload that is no ELF file", { sm: 90, payload: Buffer.alloc(80, "?") }, /does not begin as one/],
    ["no architecture", { sm: 0 }, /architecture 0/],
  ];
  it.each(unknown)("a fat binary with %s, but not its neighbours", async (_, image, reason) => {
    const strange = buildFatBinary([{ sm: 50, size: 5000 }, image]);
    const built = buildLibrary({ fatBinaries: [torchLike(20_000), strange, torchLike(20_000)] });
    const result = await trimLibrary(bytesSource(built.bytes), { targets: [86] });
    expect(result?.leftWhole.join()).toMatch(reason);
    const trimmed = await write(built, result);
    const moved = pointerOf(built, trimmed, 1);
    expect(new MemoryImage(trimmed).read(moved, strange.length)).toEqual(strange);
    expectSameLoads(built, trimmed, [86]);
  });

  it("images that are compressed together, as long as one of them is used", async () => {
    const used = buildFatBinary([
      [
        { sm: 80, size: 6000 },
        { sm: 90, variant: "f", size: 6000 },
      ],
      { sm: 50, size: 20_000 },
    ]);
    const unused = buildFatBinary([[{ sm: 50, size: 30_000 }, { sm: 60 }], { sm: 86, size: 4000 }]);
    const built = buildLibrary({ fatBinaries: [used, unused] });
    const result = await trimLibrary(bytesSource(built.bytes), { targets: [86] });
    expect(result?.leftWhole).toEqual([]);
    const trimmed = await write(built, result);
    const memory = new MemoryImage(trimmed);
    const sizes = [0, 1].map((index) => memory.u64(pointerOf(built, trimmed, index) + 8));
    expect(sizes[0]).toBeGreaterThan(12_000);
    expect(sizes[0]).toBeLessThan(13_000);
    expect(sizes[1]).toBe(4064);
  });
});

const hasPython = works("python3", ["-c", "import ctypes"]);
const hasReadelf = works("readelf", ["--version"]);

describe("a trimmed library", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-cuda-"));
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true });
  });

  const forms: [string, Partial<LibrarySpec>][] = [
    ["RELA", {}],
    ["two sections", { relocatable: [torchLike(9000), torchLike(9000)] }],
    ["pages of 2 MB", { align: 2 ** 21, after: 2 ** 21, fatBinaries: [torchLike(600_000)] }],
  ];
  it.skipIf(!hasPython || os.arch() !== "x64").each(forms)(
    "is loaded by this machine's ld.so: %s (needs python3 on x86-64)",
    async (_, form) => {
      const built = buildLibrary({ fatBinaries: [torchLike(9000), torchLike(9001)], exportedAt: 0, ...form });
      const trimmed = await expectTrimmed(built, [86]);
      const file = path.join(folder, "libsynthetic.so");
      fs.writeFileSync(file, trimmed);
      const script = [
        "import ctypes, struct, sys",
        "library = ctypes.CDLL(sys.argv[1])",
        "assert library.code() is not None",
        "base = ctypes.cast(library.code, ctypes.c_void_p).value - int(sys.argv[2])",
        "for i in range(int(sys.argv[4])):",
        "    pointer, = struct.unpack('<Q', ctypes.string_at(base + int(sys.argv[3]) + 24 * i + 8, 8))",
        "    print(pointer - base, ctypes.string_at(pointer, 4).hex())",
        "print(ctypes.string_at(base + int(sys.argv[5]), 21).decode())",
      ].join("\n");
      const words = [".text", ".nvFatBinSegment"].map((name) => String(built.address[name]));
      const args = ["-c", script, file, ...words, String(built.wrappers), String(built.address[".after"])];
      const lines = execFileSync("python3", args, { encoding: "utf8" }).trim().split("\n");
      const expected = Array.from(
        { length: built.wrappers },
        (_, index) => `${pointerOf(built, trimmed, index)} 50ed55ba`,
      );
      expect(lines).toEqual([...expected, "after the device code"]);
    },
  );

  it.skipIf(!hasReadelf)("is without fault to readelf (needs binutils)", async () => {
    const built = buildLibrary({
      fatBinaries: [torchLike(9000), torchLike(9001)],
      relocatable: [torchLike(9000)],
      symbolAt: 0,
    });
    const file = path.join(folder, "libread.so");
    fs.writeFileSync(file, await expectTrimmed(built, [86]));
    const output = execFileSync("sh", ["-c", 'exec readelf -aW "$1" 2>&1', "sh", file], { encoding: "utf8" });
    expect(output).not.toMatch(/readelf: (?:Error|Warning)/i);
    expect(output).toMatch(/\.nv_fatbin +PROGBITS/);
  });
});

/** What the driver would load, for each registration and target, is the same in both. */
function expectSameLoads(built: BuiltLibrary, trimmed: Uint8Array, targets: readonly number[]): void {
  const [before, after] = [new MemoryImage(built.bytes), new MemoryImage(trimmed)];
  for (let index = 0; index < built.wrappers; index++) {
    const slot = (built.address[".nvFatBinSegment"] ?? 0) + index * 24 + 8;
    for (const target of targets) {
      expect(driverLoads(after, after.u64(slot), target)).toBe(driverLoads(before, before.u64(slot), target));
    }
  }
}

/** Every other address has the bytes that it had, but for pointers and the values of symbols. */
function expectSameOutside(built: BuiltLibrary, trimmed: Uint8Array): void {
  const [before, after] = [new MemoryImage(built.bytes), new MemoryImage(trimmed)];
  for (const [name, size] of [
    [".hash", 8],
    [".dynstr", 30],
    [".text", 4],
    [".rodata", 777],
    [".after", 1],
    [".dynamic", 96],
    [".bss", 9000],
  ] as const) {
    const address = built.address[name] ?? 0;
    expect(after.read(address, size).equals(before.read(address, size)), name).toBe(true);
  }
  const constants = built.address[".rodata"];
  const data = built.address[".data"] ?? 0;
  expect([0, 8, 16].map((offset) => after.u64(data + offset))).toContain(constants);
}

/** The address that a registration leads to. */
function pointerOf(built: BuiltLibrary, library: Uint8Array, index: number): number {
  return new MemoryImage(library).u64((built.address[".nvFatBinSegment"] ?? 0) + index * 24 + 8);
}

async function expectTrimmed(built: BuiltLibrary, targets: readonly number[]): Promise<Buffer> {
  const result = await trimLibrary(bytesSource(built.bytes), { targets });
  expect(result?.parts, result?.leftWhole.join()).toBeDefined();
  return write(built, result);
}

async function write(built: BuiltLibrary, result: TrimResult | undefined): Promise<Buffer> {
  if (!result?.parts) return built.bytes;
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamParts(bytesSource(built.bytes), result.parts)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBe(result.after);
  return bytes;
}

function works(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
