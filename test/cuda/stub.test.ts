import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { cudaLibraryOf, isNvidiaLibrary } from "../../src/cuda/libraries.ts";
import { bytesSource } from "../../src/cuda/random-access.ts";
import { readInterface } from "../../src/cuda/stub/interface.ts";
import type { ExportedSymbol, LibraryInterface } from "../../src/cuda/stub/interface.ts";
import { stubLibrary } from "../../src/cuda/stub/stub-library.ts";
import { writeStub } from "../../src/cuda/stub/write-stub.ts";
import { elfFacts } from "../../src/elf/facts.ts";
import { SheafError } from "../../src/errors.ts";
import { buildLibrary } from "./build-library.ts";

const exported = (name: string, more: Partial<ExportedSymbol> = {}): ExportedSymbol => ({
  name,
  kind: "function",
  size: 0,
  isWeak: false,
  version: 2,
  ...more,
});

const cufft: LibraryInterface = {
  machine: 62,
  soname: "libcufft.so.11",
  versions: [
    { name: "libcufft.so.11", flags: 1, parents: [] },
    { name: "CUFFT_10", flags: 0, parents: [] },
    { name: "CUFFT_11", flags: 0, parents: ["CUFFT_10"] },
  ],
  symbols: [
    exported("cufftPlan1d"),
    exported("cufftExecC2C", { version: 3 }),
    exported("cufftOld", { version: 0x8002 }),
    exported("cufftWeak", { isWeak: true }),
    exported("cufftErrorText"),
    exported("cufftNumber"),
    exported("cufft_table", { kind: "object", size: 100 }),
    exported("CUFFT_10", { kind: "absolute" }),
  ],
};
const options = {
  status: 16,
  setting: 'keep = ["cufft"]',
  returnsText: (name: string) => name === "cufftErrorText",
  returnsZero: (name: string) => name === "cufftNumber",
};

describe("cuDNN's stubs", () => {
  it("say that they fit, and no to everything else", () => {
    const { returnsZero } = cudaLibraryOf("libcudnn_adv.so.9") ?? {};
    for (const name of ["cudnnAdvVersionCheck", "cudnnOpsInferVersionCheck", "cudnnGetVersion"])
      expect(returnsZero?.test(name), name).toBe(true);
    expect(returnsZero?.test("cudnnRNNForward")).toBe(false);
  });
});

describe("writeStub", () => {
  it("has the interface that it was written from", async () => {
    const bytes = writeStub(cufft, options);
    expect(await readInterface(bytesSource(bytes))).toEqual(cufft);
    expect(elfFacts(bytes)).toMatchObject({
      soname: "libcufft.so.11",
      needed: [],
      versionsDefined: ["libcufft.so.11", "CUFFT_10", "CUFFT_11"],
    });
    expect(writeStub(cufft, options)).toEqual(bytes);
  });

  it("does without versions, and for aarch64", async () => {
    const plain: LibraryInterface = {
      ...cufft,
      machine: 183,
      versions: [],
      symbols: cufft.symbols.slice(0, 2).map((each) => ({ ...each, version: 1 })),
    };
    expect(await readInterface(bytesSource(writeStub(plain, options)))).toEqual(plain);
  });

  it("refuses processors that it has no code for", () => {
    expect(() => writeStub({ ...cufft, machine: 21 }, options)).toThrow(SheafError);
  });
});

describe("stubLibrary", () => {
  it("knows CUDA's libraries by their sonames", async () => {
    const found = await stubLibrary(bytesSource(writeStub(cufft, options)));
    expect(found).toMatchObject({ soname: "libcufft.so.11", name: "cufft" });
    expect(Buffer.from(found?.bytes ?? []).includes('keep = ["cufft"]')).toBe(true);
    const custom = await stubLibrary(bytesSource(writeStub(cufft, options)), { setting: "profile = training" });
    expect(Buffer.from(custom?.bytes ?? []).includes("profile = training")).toBe(true);
    expect(await stubLibrary(bytesSource(buildLibrary({ fatBinaries: [] }).bytes))).toBeUndefined();
    expect(cudaLibraryOf("libcusparseLt-f80c68d1.so.0")?.name).toBe("cusparselt");
    expect([8, 9].map((major) => cudaLibraryOf("libcudnn.so.8")?.status(`libcudnn.so.${major}`))).toEqual([9, 3000]);
  });

  it("leaves out what C++ exports beside the functions", async () => {
    const symbols = [...cufft.symbols, exported("_ZN5cufft4planE", { kind: "object", size: 4 })];
    const found = await stubLibrary(bytesSource(writeStub({ ...cufft, symbols }, options)));
    expect(await readInterface(bytesSource(found?.bytes ?? new Uint8Array()))).toEqual(cufft);
  });
});

describe("isNvidiaLibrary", () => {
  it.each([
    "nvidia/cublas/lib/libcublas.so.12",
    "torch/lib/libcusparseLt-f80c68d1.so.0",
    "torch/lib/libcudart-d0da41ae.so.11.0",
    "torchvision.libs/libnvjpeg.f00ca762.so.12",
    "lib/libnccl.so.2",
    "lib/libcudnn_cnn_infer.so.8",
  ])("%s is", (path) => {
    expect(isNvidiaLibrary(path)).toBe(true);
  });
  it.each([
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libc10_cuda.so",
    "torchvision/_C.so",
    "x/libcustom.so",
    "cupy/_core.so",
  ])("%s is not", (path) => {
    expect(isNvidiaLibrary(path)).toBe(false);
  });
});

const hasPython = works("python3", ["-c", "import ctypes"]);
const hasReadelf = works("readelf", ["--version"]);

describe("a stub", () => {
  let folder = "";
  let file = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-stub-"));
    file = path.join(folder, "libcufft.so.11");
    fs.writeFileSync(file, writeStub(cufft, options));
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true });
  });

  it.skipIf(!hasPython || os.arch() !== "x64")(
    "answers with its status after one line (needs python3 on x86-64)",
    () => {
      const script = [
        "import ctypes, sys",
        "library = ctypes.CDLL(sys.argv[1])",
        "print(library.cufftPlan1d(1, 2, 3, 4, 5, 6, 7), library.cufftPlan1d(), library.cufftExecC2C(), library.cufftWeak())",
        "library.cufftErrorText.restype = ctypes.c_char_p",
        "print(library.cufftErrorText().decode(), library.cufftNumber())",
        "table = (ctypes.c_char * 100).in_dll(library, 'cufft_table')",
        "table.value = b'writable'",
        "find = ctypes.CDLL(None).dlvsym",
        "find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]",
        "for name, version in ((b'cufftExecC2C', b'CUFFT_11'), (b'cufftExecC2C', b'CUFFT_10'), (b'cufftOld', b'CUFFT_10')):",
        "    print(find(library._handle, name, version) is not None)",
      ].join("\n");
      const { stdout, stderr } = spawnSync("python3", ["-c", script, file], { encoding: "utf8" });
      const missing = 'libcufft.so.11 was left out of this image; keep = ["cufft"] brings it back';
      expect(stdout.trim().split("\n")).toEqual(["16 16 16 16", `${missing} 0`, "True", "False", "True"]);
      const called = ["cufftPlan1d", "cufftExecC2C", "cufftWeak", "cufftErrorText", "cufftNumber"];
      expect(stderr.trim().split("\n")).toEqual(called.map((name) => `sheaf: ${name} was called, but ${missing}`));
    },
  );

  it.skipIf(!hasReadelf)("is without fault to readelf (needs binutils)", () => {
    const output = execFileSync("sh", ["-c", 'exec readelf -aW "$1" 2>&1', "sh", file], { encoding: "utf8" });
    expect(output).not.toMatch(/readelf: (?:Error|Warning)/i);
    expect(output).toMatch(/cufftExecC2C@@CUFFT_11/);
    expect(output).toMatch(/cufftOld@CUFFT_10/);
    expect(output).toMatch(/Parent 1: CUFFT_10/);
    expect(output).toMatch(/GNU_STACK .* RW /);
  });
});

function works(program: string, args: string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}
