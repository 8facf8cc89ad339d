import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { payloadProblems, readPayload } from "../../src/cuda/check-payloads.ts";
import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { readFatBinaries } from "../../src/cuda/fat-binary.ts";
import type { FatBinary } from "../../src/cuda/fat-binary.ts";
import { decompressLz4 } from "../../src/cuda/lz4.ts";
import { bytesSource } from "../../src/cuda/random-access.ts";
import { coverageOf, summarizeDeviceCode } from "../../src/cuda/summary.ts";
import { fatBinaryHeader, placeholderEntry } from "../../src/cuda/write-fat-binary.ts";
import { buildFatBinary, payloadOf } from "./build-fat-binary.ts";
import type { ImageSpec } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";

const read = (bytes: Uint8Array) => readFatBinaries(bytesSource(bytes), { offset: 0, size: bytes.length });

describe("readFatBinaries", () => {
  const images: ImageSpec[] = [
    { sm: 80 },
    { sm: 86, storage: "lz4", size: 5000 },
    { sm: 90, variant: "a", storage: "zstd", size: 70_000 },
    { sm: 100, variant: "f", identifier: "kernels.cu" },
    { kind: "ptx", sm: 90, storage: "lz4", size: 100 },
    // Incompressible code begins with the number of its literals, in many bytes.
    { sm: 120, storage: "lz4", size: 300_000 },
  ];

  it("reads the three forms of storage, architectures and names", async () => {
    const bytes = Buffer.concat([buildFatBinary(images.slice(0, 2)), buildFatBinary(images.slice(2))]);
    const { binaries, unknown } = await read(bytes);
    expect(unknown).toBeUndefined();
    expect(binaries.map(({ entries }) => entries.length)).toEqual([2, 4]);
    const found = binaries.flatMap(({ offset, entries }) => entries.map((entry) => ({ offset, entry })));
    for (const [index, { offset, entry }] of found.entries()) {
      const { sm = 0, kind = "cubin", variant = "", storage = "raw", identifier = "" } = images[index] ?? {};
      expect(entry).toMatchObject({ storage, images: [{ kind, architecture: { sm, variant }, identifier }] });
      const expected = payloadOf(images[index] ?? { sm: 0 });
      const payload = Buffer.from((await readPayload(bytesSource(bytes), offset, entry)) ?? []);
      expect(payload.subarray(0, expected.length).equals(expected)).toBe(true);
    }
  });

  it("reads images that are compressed together", async () => {
    const together = buildFatBinary([[{ sm: 80 }, { sm: 90, variant: "f" }, { kind: "ptx", sm: 90 }], { sm: 75 }]);
    const { binaries } = await read(together);
    expect(binaries[0]?.unknown).toBeUndefined();
    expect(
      binaries[0]?.entries.map(({ kind, images }) => [kind, images.map(({ architecture }) => architecture.sm)]),
    ).toEqual([
      ["concatenated", [80, 90, 90]],
      ["cubin", [75]],
    ]);
  });

  it.each<[string, Buffer, RegExp]>([
    ["another magic number", Buffer.alloc(32, 7), /no fat binary begins at 0/],
    ["an end inside of it", buildFatBinary([{ sm: 80 }]).subarray(0, 100), /ends after its section/],
    ["a size of no multiple of 8", changed(8, 3), /no multiple of 8/],
    ["another version", changed(4, 2), /version 2/],
    ["an entry that is too long", changed(16 + 8, 0xff), /an entry that ends elsewhere/],
    ["an entry without a length", changed(16 + 4, 0), /an entry that ends elsewhere/],
    [
      "something behind the last",
      Buffer.concat([buildFatBinary([{ sm: 80 }]), Buffer.of(1, 2, 3)]),
      /3 bytes are left over/,
    ],
  ])("describes %s", async (_, bytes, reason) => {
    expect((await read(bytes)).unknown).toMatch(reason);
  });
});

describe("what is said of a library", () => {
  const built = buildLibrary({
    fatBinaries: [
      buildFatBinary([
        { sm: 80, storage: "zstd" },
        { kind: "ptx", sm: 90 },
      ]),
      buildFatBinary([{ sm: 75 }, { sm: 90, variant: "a" }, { sm: 90, kind: 8 }]),
    ],
  });

  it("tells the code by architecture, and what GPUs find", async () => {
    const code = await readDeviceCode(bytesSource(built.bytes));
    if (!code) throw new Error("there is device code");
    const summary = summarizeDeviceCode(code);
    expect(summary.code.map(({ name }) => name)).toEqual(["sm_75", "sm_80", "sm_90a", "compute_90"]);
    expect(summary).toMatchObject({ binaries: 2, zstd: true, unknown: ["device code of kind 8 (entry 2)"] });
    expect(coverageOf(code, 86)).toEqual({ machineCode: 1, ptx: 0, nothing: 1 });
    expect(coverageOf(code, 90)).toEqual({ machineCode: 1, ptx: 1, nothing: 0 });
  });

  it("finds code that is not what its header says", async () => {
    const right = payloadOf({ sm: 80 });
    const library = buildLibrary({
      fatBinaries: [
        buildFatBinary([
          { sm: 80 },
          { sm: 86, payload: right },
          { sm: 90, storage: "lz4", payload: Buffer.concat([Buffer.of(0xf0, 0), right.subarray(0, 30)]), size: 900 },
          { kind: "ptx", sm: 90, payload: Buffer.from(".version 8.4\n.target sm_80, debug\n\n\n\n\n\n") },
          { kind: "ptx", sm: 90, variant: "a", payload: Buffer.from(".version 8.4\n.target sm_90a\n.x 64\n\n\n\n\n") },
        ]),
      ],
    }).bytes;
    const code = await readDeviceCode(bytesSource(library));
    expect(code && (await payloadProblems(bytesSource(library), code))).toEqual([
      ".nv_fatbin, fat binary 0: sm_86 is code for sm_80",
      ".nv_fatbin, fat binary 0: sm_90 can't be decompressed",
      ".nv_fatbin, fat binary 0: compute_90 is for 80",
    ]);
  });
});

describe("decompressLz4", () => {
  it("copies matches, also those that overlap themselves", () => {
    // "abcd", then 3 back for 8 bytes, then "x".
    const block = Uint8Array.of(0x44, 0x61, 0x62, 0x63, 0x64, 3, 0, 0x10, 0x78);
    expect(Buffer.from(decompressLz4(block, 13) ?? []).toString()).toBe("abcdbcdbcdbcx");
    expect(decompressLz4(block, 12)).toBeUndefined();
    expect(decompressLz4(Uint8Array.of(0x14, 0x61, 2, 0, 0), 9)).toBeUndefined();
  });

  it("never fails in another way", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(5000), (block, size) => {
        const result = decompressLz4(block, size);
        expect(result === undefined || result.length === size).toBe(true);
      }),
    );
  });

  it.skipIf(!works("lz4"))("agrees with the lz4 program (needs lz4)", () => {
    const text = fs.readFileSync(new URL(import.meta.url));
    const frame = execFileSync("lz4", ["-9", "--no-frame-crc", "-c"], { input: text });
    // Magic number, flags, block size, header checksum; then the first block's size, and the block.
    const size = frame.readUInt32LE(7);
    expect(decompressLz4(frame.subarray(11, 11 + size), text.length)).toEqual(text);
  });
});

describe("placeholderEntry", () => {
  const binary: FatBinary = { offset: 0, size: 0, entries: [] };
  const entryFor = async (images: ImageSpec[]) => {
    const { binaries } = await read(buildFatBinary(images));
    return placeholderEntry(binaries[0] ?? binary);
  };

  it("is machine code of the lowest architecture that was there", async () => {
    const entry = await entryFor([
      { kind: "ptx", sm: 100, variant: "f" },
      { sm: 90, variant: "a" },
    ]);
    const bytes = Buffer.concat([fatBinaryHeader(entry.length), entry]);
    const { binaries } = await read(bytes);
    expect(binaries[0]?.entries.flatMap(({ images }) => images)).toEqual([
      { kind: "cubin", architecture: { sm: 90, variant: "a" }, identifier: "" },
    ]);
    expect(placeholderEntry(binary)).toHaveLength(0);
  });

  it.skipIf(!works("readelf"))("has an ELF file without fault (needs binutils)", async () => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-cubin-")), "empty.cubin");
    fs.writeFileSync(file, (await entryFor([{ sm: 80 }])).subarray(64));
    const output = execFileSync("sh", ["-c", 'exec readelf -aW "$1" 2>&1', "sh", file], { encoding: "utf8" });
    fs.rmSync(path.dirname(file), { recursive: true });
    expect(output).not.toMatch(/readelf: (?:Error|Warning)/i);
    expect(output).toMatch(/Machine: +NVIDIA CUDA/);
  });
});

/** A fat binary with one byte changed. */
function changed(at: number, value: number): Buffer {
  const bytes = buildFatBinary([{ sm: 80 }]);
  bytes[at] = value;
  return bytes;
}

function works(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}
