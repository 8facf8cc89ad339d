import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { writeStub } from "../../src/cuda/stub/write-stub.ts";
import { SheafError } from "../../src/errors.ts";
import { trimFolder } from "../../src/ingest/trim-folder.ts";
import { readFolderCode } from "../../src/inspect/device-code.ts";
import { parseRecord } from "../../src/wheel/record.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";

const library = buildLibrary({
  fatBinaries: [buildFatBinary([50, 75, 86, 90].map((sm) => ({ sm, storage: "lz4" as const, size: 20_000 })))],
}).bytes;
const older = 1_600_000_000;

let folder = "";
let from = "";
let to = "";
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-trim-"));
  from = path.join(folder, "env");
  to = path.join(folder, "trimmed");
  write("torch/lib/libtorch_cuda.so", library);
  write("nvidia/cublas/lib/libcublas.so.12", library);
  write("torch/__init__.py", Buffer.from("import sys\n"));
  write("torch/lib/broken.so", library.subarray(0, 5000));
  write(
    "torch-2.dist-info/RECORD",
    Buffer.from("torch/lib/libtorch_cuda.so,sha256=abc,1\ntorch-2.dist-info/RECORD,,\n"),
  );
  fs.symlinkSync("libtorch_cuda.so", path.join(from, "torch/lib/link.so"));
  fs.chmodSync(path.join(from, "torch/lib/libtorch_cuda.so"), 0o755);
  fs.utimesSync(path.join(from, "torch/lib/libtorch_cuda.so"), older, older);
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true });
});

describe("trimFolder", () => {
  it("copies a folder with less device code, and says so in RECORD", async () => {
    const trimmed = await trimFolder(from, to, { targets: [86], pruneNvidia: false });
    expect(trimmed.libraries.map(({ path, outcome }) => [path, outcome])).toEqual([
      ["nvidia/cublas/lib/libcublas.so.12", "nvidia"],
      ["torch/lib/broken.so", "broken"],
      ["torch/lib/libtorch_cuda.so", "trimmed"],
    ]);
    const bytes = fs.readFileSync(path.join(to, "torch/lib/libtorch_cuda.so"));
    expect(library.length - bytes.length).toBeGreaterThan(50_000);
    expect(trimmed.before - trimmed.after).toBe(library.length - bytes.length);
    const [row] = parseRecord(fs.readFileSync(path.join(to, "torch-2.dist-info/RECORD"), "utf8")).filter(
      (each) => each.hash,
    );
    expect(row).toEqual({
      path: "torch/lib/libtorch_cuda.so",
      hash: `sha256=${createHash("sha256").update(bytes).digest("base64url")}`,
      size: bytes.length,
    });
    for (const same of ["nvidia/cublas/lib/libcublas.so.12", "torch/lib/broken.so", "torch/__init__.py"]) {
      expect(fs.readFileSync(path.join(to, same)).equals(fs.readFileSync(path.join(from, same))), same).toBe(true);
    }
    expect(fs.readlinkSync(path.join(to, "torch/lib/link.so"))).toBe("libtorch_cuda.so");
    const stat = fs.statSync(path.join(to, "torch/lib/libtorch_cuda.so"));
    expect([stat.mode & 0o777, stat.mtimeMs / 1000]).toEqual([0o755, older]);
  });

  it("changes NVIDIA's libraries only when it is told to", async () => {
    const trimmed = await trimFolder(from, to, { targets: [86], pruneNvidia: true });
    expect(trimmed.libraries.map(({ outcome }) => outcome)).toEqual(["trimmed", "broken", "trimmed"]);
  });

  it("refuses to write into itself, or over what is there", async () => {
    for (const place of [from, path.join(from, "x"), folder]) {
      await expect(trimFolder(from, place, { targets: [86], pruneNvidia: false })).rejects.toThrow(SheafError);
    }
    fs.mkdirSync(to);
    fs.writeFileSync(path.join(to, "file"), "");
    await expect(trimFolder(from, to, { targets: [86], pruneNvidia: false })).rejects.toThrow(/is there already/);
  });
});

describe("readFolderCode", () => {
  it("tells the device code of every library, and what GPUs find in it", async () => {
    const { libraries, broken } = await readFolderCode(from, { targets: [75, 120], check: true });
    expect(libraries.map((each) => each.path)).toEqual([
      "nvidia/cublas/lib/libcublas.so.12",
      "torch/lib/libtorch_cuda.so",
    ]);
    expect(libraries[1]).toMatchObject({
      size: library.length,
      binaries: 1,
      code: ["sm_50", "sm_75", "sm_86", "sm_90"].map((name) => ({ kind: "cubin", name, images: 1 })),
      coverage: [
        { target: 75, machineCode: 1, ptx: 0, nothing: 0 },
        { target: 120, machineCode: 0, ptx: 0, nothing: 1 },
      ],
      unknown: [],
    });
    expect(broken.map((each) => each.path)).toEqual(["torch/lib/broken.so"]);
    expect(
      (await readFolderCode(path.join(from, "torch/lib/libtorch_cuda.so"), { targets: [] })).libraries,
    ).toHaveLength(1);
  });
});

describe("trimFolder with parts of CUDA left out", () => {
  it("drops files with their rows, and writes stubs of libraries that others are linked to", async () => {
    const cufft = writeStub(
      {
        machine: 62,
        soname: "libcufft.so.11",
        versions: [],
        symbols: [{ name: "cufftPlan1d", kind: "function", size: 0, isWeak: false, version: 1 }],
      },
      { status: 0, setting: "none" },
    );
    write("nvidia/cufft/lib/libcufft.so.11", Buffer.concat([cufft, Buffer.alloc(100_000)]));
    write("nvidia/cufft/lib/libcufftw.so.11", library);
    write("nvidia/cufft/include/a/cufft.h", Buffer.from("// a header"));
    const rows = ["lib/libcufft.so.11", "lib/libcufftw.so.11", "include/a/cufft.h"];
    const info = "nvidia_cufft_cu12-11.0.2.dist-info/RECORD";
    write(info, Buffer.from([...rows.map((row) => `nvidia/cufft/${row},sha256=abc,1`), ""].join("\n")));
    const leaveOut = ["cufft", "cufftw", "headers", "nccl"];
    const trimmed = await trimFolder(from, to, { targets: [86], pruneNvidia: false, leaveOut });
    const gone = trimmed.libraries.filter(({ part }) => part !== undefined);
    expect(gone.map(({ path, outcome, part }) => [path, outcome, part])).toEqual([
      ["nvidia/cufft/include/a/cufft.h", "dropped", "headers"],
      ["nvidia/cufft/lib/libcufft.so.11", "stubbed", "cufft"],
      ["nvidia/cufft/lib/libcufftw.so.11", "dropped", "cufftw"],
    ]);
    expect(fs.readdirSync(path.join(to, "nvidia/cufft"))).toEqual(["lib"]);
    const stub = fs.readFileSync(path.join(to, "nvidia/cufft/lib/libcufft.so.11"));
    expect(stub.length).toBeLessThan(20_000);
    expect(stub.toString("latin1")).toContain("sheaf gpu trim --keep cufft brings it back");
    expect(parseRecord(fs.readFileSync(path.join(to, info), "utf8"))).toEqual([
      {
        path: "nvidia/cufft/lib/libcufft.so.11",
        hash: `sha256=${createHash("sha256").update(stub).digest("base64url")}`,
        size: stub.length,
      },
    ]);
    expect(trimmed.before - trimmed.after).toBeGreaterThan(100_000);
    expect(fs.existsSync(path.join(to, "nvidia/cublas/lib/libcublas.so.12"))).toBe(true);
  });
});

function write(name: string, bytes: Uint8Array): void {
  const file = path.join(from, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
}
