import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gunzipSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { segmentEnd } from "../../src/archive/segment.ts";
import { readTar, type TarEntry } from "../../src/archive/tar-read.ts";
import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { bytesSource, streamParts } from "../../src/cuda/random-access.ts";
import { writeStub } from "../../src/cuda/stub/write-stub.ts";
import { summarizeDeviceCode } from "../../src/cuda/summary.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { stripElf } from "../../src/elf/strip.ts";
import type { SheafEvent } from "../../src/events.ts";
import type { DeviceOptions } from "../../src/ingest/device.ts";
import { ingestWheel, knownWheel, type WheelFacts, type WheelTask } from "../../src/ingest/wheel.ts";
import { openStore, sha256, type Store } from "../../src/store/store.ts";
import { parseRecord } from "../../src/wheel/record.ts";
import { has, temporary } from "../archive/oracle.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";
import { buildElf } from "../elf/build-elf.ts";
import { buildWheel, layout, recordRow, type WheelSpec } from "../wheel/build-wheel.ts";

const library = libraryOf(20_000);
const cufft = writeStub(
  {
    machine: 62,
    soname: "libcufft.so.11",
    versions: [
      { name: "libcufft.so.11", flags: 1, parents: [] },
      { name: "libcufft.so.11", flags: 0, parents: [] },
    ],
    symbols: [{ name: "cufftPlan1d", kind: "function", size: 0, isWeak: false, version: 2 }],
  },
  { status: 16, setting: "the original", returnsText: () => false, returnsZero: () => false },
);
const root = layout.platlib;

describe("a wheel with device code", () => {
  const spec: WheelSpec = {
    name: "torch",
    purelib: false,
    files: { "torch/lib/libtorch_cuda.so": library, "torch/__init__.py": "import sys\n" },
  };

  it("loses what no target uses, and RECORD and the facts say so", async () => {
    const { store, facts } = await ingest(spec, { targets: [86], leaveOut: [] });
    const files = unpacked(store, facts);
    const bytes = files.get(`${root}/torch/lib/libtorch_cuda.so`)?.data ?? new Uint8Array();
    expect(await codeOf(bytes)).toEqual(["sm_86"]);
    expect(facts.device).toEqual({
      before: library.length,
      after: bytes.length,
      libraries: [
        { path: "torch/lib/libtorch_cuda.so", before: library.length, after: bytes.length, outcome: "trimmed" },
      ],
    });
    expectTrueRecord(files);
  });

  it("is prepared anew for other targets, and not touched without any", async () => {
    const first = await ingest(spec, { targets: [86], leaveOut: [] });
    expect(knownWheel(first.store, first.task)).toEqual(first.facts);
    const both = { ...first.task, device: { targets: [75, 86], leaveOut: [] } };
    expect(knownWheel(first.store, both)).toBeUndefined();
    const two = await ingestWheel(both);
    expect(two.device?.after).toBeGreaterThan(first.facts.device?.after ?? 0);
    const { device: _, ...untouched } = first.task;
    const whole = await ingestWheel(untouched);
    expect(whole.device).toBeUndefined();
    const installed = unpacked(first.store, whole).get(`${root}/torch/lib/libtorch_cuda.so`)?.data ?? new Uint8Array();
    expect(Buffer.compare(installed, library)).toBe(0);
  });

  it("gives the same bytes in another store", async () => {
    const [one, two] = await Promise.all([
      ingest(spec, { targets: [75, 90], leaveOut: [] }),
      ingest(spec, { targets: [75, 90], leaveOut: [] }),
    ]);
    expect(one.facts.segment).toEqual(two.facts.segment);
  });

  it("keeps NVIDIA's libraries as they are, unless it is told otherwise or NVIDIA's wheel is meant", async () => {
    const bundled = { ...spec, files: { "torch/lib/libcublas.so.12": library } };
    const kept = await ingest(bundled, { targets: [86], leaveOut: [] });
    expect(kept.facts.device?.libraries).toEqual([
      {
        path: "torch/lib/libcublas.so.12",
        before: library.length,
        after: library.length,
        outcome: "whole",
        note: "it is NVIDIA's own",
      },
    ]);
    const pruned = await ingest(bundled, { targets: [86], leaveOut: [], pruneNvidia: true });
    expect(pruned.facts.device?.libraries[0]?.outcome).toBe("trimmed");
    const files = { "nvidia/cublas/lib/libcublas.so.12": library };
    const own = await ingest({ name: "nvidia_cublas_cu12", purelib: false, files }, { targets: [86], leaveOut: [] });
    expect(own.facts.device?.libraries[0]?.outcome).toBe("trimmed");
  });

  it.skipIf(!has("gcc") || !has("strip"))(
    "loses symbols before device code, and none when it is not to be stripped (skipped without gcc and strip)",
    async () => {
      const folder = temporary();
      const fatBinary = buildFatBinary([50, 75, 86].map((sm) => ({ sm, size: 60_000 })));
      fs.writeFileSync(path.join(folder, "fat.bin"), fatBinary);
      // As nvcc registers it: a pointer in a section of its own.
      fs.writeFileSync(
        path.join(folder, "x.c"),
        `__asm__(".section .nv_fatbin,\\"a\\"\\n.align 8\\nfat: .incbin \\"fat.bin\\"\\n.text");
         extern const unsigned long long fat;
         __attribute__((section(".nvFatBinSegment"), used)) static struct { int magic, version; const void *data, *rest; }
           wrapper = {0x466243b1, 1, &fat, 0};
         ${Array.from({ length: 200 }, (_, index) => `static __attribute__((used)) int with_a_long_name_${index}(void) { return ${index}; }`).join("\n")}
         int answer(void) { return with_a_long_name_42(); }`,
      );
      const flags = ["-shared", "-fPIC", "-Wl,-z,max-page-size=4096", "-Wl,-z,separate-code"];
      execFileSync("gcc", [...flags, "-o", "libx.so", "x.c"], { cwd: folder });
      const files = { "torch/libx.so": fs.readFileSync(path.join(folder, "libx.so")) };
      const { store, task, facts } = await ingest({ ...spec, files }, { targets: [86], leaveOut: [] });
      const kept = await ingestWheel({ ...task, strip: false });
      expect([facts, kept].map(({ device }) => device?.libraries[0]?.outcome)).toEqual(["trimmed", "trimmed"]);
      const [stripped, whole] = [facts, kept].map((each) => unpacked(store, each).get(`${root}/torch/libx.so`)?.data);
      expect(Buffer.from(whole ?? []).includes("with_a_long_name_42")).toBe(true);
      expect(Buffer.from(stripped ?? []).includes("with_a_long_name_42")).toBe(false);
      for (const bytes of [stripped, whole]) {
        expect(await codeOf(bytes ?? new Uint8Array())).toEqual(["sm_86"]);
        fs.writeFileSync(path.join(folder, "installed.so"), bytes ?? "");
        const load = `import ctypes; print(ctypes.CDLL("./installed.so").answer())`;
        expect(execFileSync("python3", ["-c", load], { cwd: folder, encoding: "utf8" })).toBe("42\n");
      }
    },
  );

  it("keeps what is not understood, with the reason", async () => {
    const strange = buildLibrary({ fatBinaries: [buildFatBinary([{ sm: 50 }, { sm: 86 }])], wrapperMagic: 7 }).bytes;
    const files = { "torch/lib/libtorch_cuda.so": strange };
    const { store, facts } = await ingest({ ...spec, files }, { targets: [86], leaveOut: [] });
    expect(facts.device?.libraries).toMatchObject([{ outcome: "whole", note: expect.stringMatching(/./) }]);
    const installed = unpacked(store, facts).get(`${root}/torch/lib/libtorch_cuda.so`)?.data ?? new Uint8Array();
    expect(Buffer.compare(installed, strange)).toBe(0);
  });

  it("with a broken library has it installed as it is", async () => {
    const files = { "torch/lib/libtorch_cuda.so": library, "torch/lib/cut.so": library.subarray(0, 5000) };
    const { store, facts } = await ingest({ ...spec, files }, { targets: [86], leaveOut: [] });
    expect(facts.device?.libraries.map(({ path: file }) => file)).toEqual(["torch/lib/libtorch_cuda.so"]);
    expect(unpacked(store, facts).get(`${root}/torch/lib/cut.so`)?.data.length).toBe(5000);
  });
});

describe("a wheel without device code", () => {
  const spec: WheelSpec = {
    name: "numpy",
    purelib: false,
    files: { "numpy/core.so": buildElf({ soname: "core.so" }) },
  };

  it("is installed once, whatever the targets", async () => {
    const { store, task, facts } = await ingest(spec, { targets: [86], leaveOut: [] });
    expect(facts.device).toBeUndefined();
    const { device: _, ...untouched } = task;
    for (const other of [untouched, { ...task, device: { targets: [75, 90], leaveOut: [] } }]) {
      expect(knownWheel(store, other)).toEqual(facts);
    }
  });
});

describe("what is left out of a wheel", () => {
  const spec: WheelSpec = {
    name: "nvidia_cufft_cu12",
    purelib: false,
    files: {
      "nvidia/cufft/lib/libcufft.so.11": cufft,
      "nvidia/cufft/lib/libcufftw.so.11": cufft,
      "nvidia/cufft/include/cufft.h": "int cufft;\n",
      "nvidia/cufft/include/cufftw.h": "int cufftw;\n",
      "nvidia/cufft/__init__.py": "",
    },
  };
  const setting = 'keep = ["cufft"]';
  const leaveOut: DeviceOptions["leaveOut"] = [
    { path: "nvidia/cufft/include/*", how: "drop", library: "headers", setting },
    { path: "nvidia/cufft/lib/libcufft.so*", how: "stub", library: "cufft", setting },
    { path: "nvidia/cufft/lib/libcufftw.so.11", how: "drop", library: "cufftw", setting },
    { path: "nvidia/cufft/lib/nothing*", how: "drop", library: "nothing", setting },
  ];

  it("is gone from files and RECORD, or a stub that names its setting", async () => {
    const { store, facts } = await ingest(spec, { targets: [], leaveOut });
    const files = unpacked(store, facts);
    const below = [...files.keys()].filter((file) => file.startsWith(`${root}/nvidia/`));
    expect(below).toEqual([`${root}/nvidia/cufft/__init__.py`, `${root}/nvidia/cufft/lib/libcufft.so.11`]);
    const stub = files.get(`${root}/nvidia/cufft/lib/libcufft.so.11`)?.data ?? new Uint8Array();
    expect(Buffer.from(stub).includes(setting)).toBe(true);
    expect(facts.device?.libraries).toEqual([
      { path: "nvidia/cufft/include/*", before: 23, after: 0, outcome: "dropped" },
      { path: "nvidia/cufft/lib/libcufft.so.11", before: cufft.length, after: stub.length, outcome: "stubbed" },
      { path: "nvidia/cufft/lib/libcufftw.so.11", before: cufft.length, after: 0, outcome: "dropped" },
    ]);
    expect(facts.elf).toMatchObject([{ facts: { soname: "libcufft.so.11", needed: [] } }]);
    expectTrueRecord(files);
  });

  it("comes back with a task that has it", async () => {
    const { store, task } = await ingest(spec, { targets: [], leaveOut });
    const whole = await ingestWheel({ ...task, device: { targets: [], leaveOut: [] } });
    expect(unpacked(store, whole).get(`${root}/nvidia/cufft/include/cufft.h`)?.data.length).toBe(11);
  });

  it("stays where no stub is known, and the facts say so", async () => {
    const files = { "nvidia/cufft/lib/libcufft.so.11": library };
    const { facts } = await ingest({ ...spec, files }, { targets: [], leaveOut });
    expect(facts.device?.libraries).toMatchObject([{ outcome: "whole", note: expect.stringContaining("cufft") }]);
  });
});

describe("a large wheel", { timeout: 60_000 }, () => {
  // A library of more than 64 MiB in a wheel of more: nothing of it is held as a whole.
  const large = libraryOf(16 * 2 ** 20);
  const weights = Buffer.alloc(65 * 2 ** 20, "weights ");
  const spec: WheelSpec = {
    name: "torch",
    purelib: false,
    files: { "torch/weights.bin": weights },
    extra: [{ path: "torch/lib/libtorch_cuda.so", bytes: large, stored: true }],
    record: (rows) => [...rows, recordRow("torch/lib/libtorch_cuda.so", large)],
  };
  const wheel = buildWheel(spec);

  it("gives the bytes that a small one would, through a file that has no name", async () => {
    const { store, task } = put(wheel, { targets: [86], leaveOut: [] });
    const events: SheafEvent[] = [];
    const left: string[] = [];
    const facts = await ingestWheel(task, (event) => {
      events.push(event);
      left.push(...fs.readdirSync(path.join(store.root, "tmp")));
    });
    const files = unpacked(store, facts);
    const stripped = bytesSource(stripElf(large) ?? large);
    const trimmed = await trimLibrary(stripped, { targets: [86] });
    const expected: Uint8Array[] = [];
    for await (const chunk of streamParts(stripped, trimmed?.parts ?? [])) expected.push(chunk);
    const installed = files.get(`${root}/torch/lib/libtorch_cuda.so`)?.data ?? new Uint8Array();
    expect(Buffer.compare(installed, Buffer.concat(expected))).toBe(0);
    expect(Buffer.compare(files.get(`${root}/torch/weights.bin`)?.data ?? new Uint8Array(), weights)).toBe(0);
    expectTrueRecord(files);
    expect(events.filter(({ type }) => type === "work-start")).toMatchObject([
      { label: "weights.bin of torch" },
      { label: "libtorch_cuda.so of torch" },
    ]);
    expect([...left, ...fs.readdirSync(path.join(store.root, "tmp"))]).toEqual([]);
  });

  it("keeps deflate streams as they are, and gives the same bytes twice", async () => {
    const [one, two] = [put(wheel), put(wheel)];
    const [first, second] = [await ingestWheel(one.task), await ingestWheel(two.task)];
    expect(first.segment).toEqual(second.segment);
    const weightsAt = Buffer.from(wheel.bytes).indexOf("torch/weights.bin") + "torch/weights.bin".length;
    const stream = Buffer.from(wheel.bytes.buffer, wheel.bytes.byteOffset + weightsAt, 10_000);
    expect(fs.readFileSync(one.store.blobPath(first.segment.digest)).includes(stream)).toBe(true);
  });

  it("is stripped in places as it would be in memory", async () => {
    const debug = Buffer.from(buildElf({ soname: "libx.so", debug: 65 * 2 ** 20 }));
    const { store, facts } = await ingest({ name: "x", purelib: false, files: { "x/libx.so": debug } });
    expect(facts.strippedFiles).toBe(1);
    const installed = unpacked(store, facts).get(`${root}/x/libx.so`)?.data ?? new Uint8Array();
    expect(Buffer.compare(installed, stripElf(debug) ?? debug)).toBe(0);
    expect(facts.strippedBytes).toBe(debug.length - installed.length);
  });

  it("is refused when RECORD says something else of a large file", async () => {
    const record = (rows: string[]) => rows.map((row) => row.replace(/^(torch\/weights.bin,sha256=)./, "$1-"));
    const { task } = put(buildWheel({ ...spec, record }));
    await expect(ingestWheel(task)).rejects.toMatchObject({
      code: "SHEAF_WHEEL_RECORD",
      message: expect.stringMatching(/^torch-1\.0-py3-none-any\.whl: torch\/weights\.bin /),
    });
  });

  it("is forgotten when its copy in the store is damaged, so that it is fetched again", async () => {
    const { store, task } = put(wheel);
    const file = store.blobPath(task.digest);
    const bytes = fs.readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    await expect(ingestWheel(task)).rejects.toMatchObject({ code: "SHEAF_DAMAGED_INPUT" });
    expect(store.hasBlob(task.digest)).toBe(false);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });
});

function libraryOf(size: number): Buffer {
  return buildLibrary({ fatBinaries: [buildFatBinary([50, 75, 86, 90].map((sm) => ({ sm, size })))] }).bytes;
}

function put(
  { filename, bytes }: { filename: string; bytes: Uint8Array },
  device?: DeviceOptions,
): { store: Store; task: WheelTask } {
  const store = openStore(path.join(temporary(), "store"));
  const digest = store.putBlob(bytes);
  const task: WheelTask = { storeRoot: store.root, digest, filename, layout, strip: true, exclude: [], mtime: 0 };
  return { store, task: device ? { ...task, device } : task };
}

async function ingest(
  spec: WheelSpec,
  device?: DeviceOptions,
): Promise<{ store: Store; task: WheelTask; facts: WheelFacts }> {
  const { store, task } = put(buildWheel(spec), device);
  return { store, task, facts: await ingestWheel(task) };
}

/** The files of a segment, by path. */
function unpacked(store: Store, { segment }: WheelFacts): Map<string, TarEntry> {
  const compressed = fs.readFileSync(store.blobPath(segment.digest));
  expect([sha256(compressed), compressed.length]).toEqual([segment.digest, segment.compressed]);
  const archive = gunzipSync(Buffer.concat([compressed, segmentEnd]));
  expect(archive.length).toBe(segment.unpacked + 1024);
  return new Map(readTar(archive).map((entry) => [entry.path, entry]));
}

/** Every row of RECORD is a file with these bytes, and every file has a row. */
function expectTrueRecord(files: Map<string, TarEntry>): void {
  const [record] = [...files.keys()].filter((file) => file.endsWith(".dist-info/RECORD"));
  const rows = parseRecord(Buffer.from(files.get(record ?? "")?.data ?? []).toString());
  expect(rows.map((row) => path.posix.join(root, row.path)).toSorted()).toEqual([...files.keys()].toSorted());
  for (const { path: file, hash, size } of rows) {
    if (hash === undefined) continue;
    const data = files.get(path.posix.join(root, file))?.data ?? new Uint8Array();
    const expected = `sha256=${createHash("sha256").update(data).digest("base64url")}`;
    expect([file, hash, size]).toEqual([file, expected, data.length]);
  }
}

async function codeOf(bytes: Uint8Array): Promise<string[]> {
  const code = await readDeviceCode(bytesSource(bytes));
  return code ? summarizeDeviceCode(code).code.map(({ name }) => name) : [];
}
