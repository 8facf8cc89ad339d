/**
 * Images for GPUs over an index of their own: wheels as torch's and NVIDIA's are laid out, with libraries of a few kilobytes.
 * The real ones are gigabytes: test/e2e/gpu-worker.test.ts.
 */
import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { openImageReference } from "../../src/assemble/open-reference.ts";
import { writeStub } from "../../src/cuda/stub/write-stub.ts";
import type { ImagePlan } from "../../src/plan/image-plan.ts";
import { openStore } from "../../src/store/store.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { buildWheel, type BuiltWheel } from "../wheel/build-wheel.ts";
import { builtExample, buildJson } from "./example.ts";
import { requirementsOf, serveWheels } from "./local-index.ts";
import { refused } from "./refusal.ts";
import { copyStore, sheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

beforeAll(() => builtExample(), 300_000);

/** A library as NVIDIA's are: a soname and functions. */
function library(soname: string, functions: string[]): Uint8Array {
  return writeStub(
    {
      machine: 62,
      soname,
      versions: [
        { name: soname, flags: 1, parents: [] },
        { name: soname, flags: 0, parents: [] },
      ],
      symbols: functions.map((name) => ({ name, kind: "function", size: 0, isWeak: false, version: 2 })),
    },
    { status: 0, setting: "none" },
  );
}

const withCode = (sms: number[]) =>
  buildLibrary({ fatBinaries: [1, 2].map(() => buildFatBinary(sms.map((sm) => ({ sm, size: 40_000 })))) }).bytes;

/** A wheel for Linux alone. */
function platformWheel(spec: Parameters<typeof buildWheel>[0]): BuiltWheel {
  const wheel = buildWheel({
    ...spec,
    purelib: false,
    wheel: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux2014_x86_64\n",
  });
  return { ...wheel, filename: wheel.filename.replace("py3-none-any", "cp312-cp312-manylinux2014_x86_64") };
}

const wheels = [
  buildWheel({
    name: "celery",
    files: {
      "celery/__init__.py": [
        "class Celery:\n    def __init__(self, *a, **k): pass\n    def task(self, f): return f\n",
        "def main():\n    import jobs; print('at work')\n",
      ].join("\n"),
    },
    entryPoints: "[console_scripts]\ncelery = celery:main\n",
  }),
  platformWheel({
    name: "torch",
    version: "2.3.1",
    files: {
      "torch/__init__.py": "",
      "torch/fft/__init__.py": "",
      "torch/linalg/__init__.py": "",
      "torch/include/ATen/ATen.h": "#pragma once\n",
      "torch/lib/libtorch_cuda.so": withCode([70, 75, 80, 86, 90]),
      "torch/lib/libtorch_cuda_linalg.so": withCode([80]),
    },
  }),
  platformWheel({
    name: "nvidia_cuda_runtime_cu12",
    version: "12.1.105",
    files: { "nvidia/cuda_runtime/lib/libcudart.so.12": library("libcudart.so.12", ["cudaMalloc"]) },
  }),
  platformWheel({
    name: "nvidia_cufft_cu12",
    version: "11.0.2.54",
    files: {
      "nvidia/cufft/lib/libcufft.so.11": library("libcufft.so.11", ["cufftPlan1d"]),
      "nvidia/cufft/lib/libcufftw.so.11": library("libcufftw.so.11", ["fftw_execute"]),
      "nvidia/cufft/include/cufft.h": "#pragma once\n",
    },
  }),
  platformWheel({
    name: "nvidia_cublas_cu12",
    version: "12.1.3.1",
    files: { "nvidia/cublas/lib/libcublasLt.so.12": withCode([80, 86, 90]) },
  }),
];

function project(gpu: string, jobs = "import torch\n"): string {
  return writeFiles(temporaryFolder(), {
    "jobs.py": `${jobs}\nfrom celery import Celery\n\ncelery = Celery()\n`,
    "requirements.txt": requirementsOf(wheels),
    "pyproject.toml": [
      '[project]\nname = "plants"\n\n',
      '[tool.sheaf.images.worker]\ncommand = ["celery", "-A", "jobs", "worker"]\n',
      `gpu = ${gpu}\n`,
    ].join(""),
    ".python-version": "3.12\n",
  });
}

async function planned(
  folder: string,
  env: Record<string, string | undefined>,
  store = copyStore(),
): Promise<ImagePlan> {
  const outcome = await sheaf(["plan", folder, "--json"], { env, store });
  expect(outcome.code, outcome.stderr).toBe(0);
  return (JSON.parse(outcome.stdout) as { images: ImagePlan[] }).images[0] as ImagePlan;
}

const inference = '{ cuda = "12.1", targets = ["a10"], profile = "inference" }';

describe("an image for a GPU", () => {
  it(
    "has device code for its targets, stubs for what its profile leaves out, and says so in labels and variables",
    { timeout: 120_000 },
    async () => {
      const { env } = await serveWheels(wheels);
      const folder = project(inference);
      const store = copyStore();
      const plan = await planned(folder, env, store);
      expect(plan.gpu?.value).toMatchObject({ cuda: "12.1", capabilities: ["8.6"], minDriver: "525.60.13" });
      expect(plan.device?.leftOut.map(({ name, dropped, stubbed }) => [name, dropped, stubbed])).toEqual([
        ["cufft", 0, 1],
        ["cufftw", 1, 0],
        ["cusolver", 1, 0],
        ["headers", 2, 0],
      ]);
      expect(plan.device?.libraries.map(({ path: file, outcome }) => `${outcome} ${path.basename(file)}`)).toEqual([
        "dropped *",
        "stubbed libcufft.so.11",
        "dropped libcufftw.so.11",
        "dropped *",
        "trimmed libtorch_cuda.so",
        "dropped libtorch_cuda_linalg.so",
      ]);
      await buildJson([folder, "-t", "gpu-image-test:latest"], { env, store });
      const opened = await openImageReference("gpu-image-test:latest", { store: openStore(store), offline: true });
      const config = opened.image.config.config ?? {};
      expect(config.Labels).toMatchObject({
        "sheaf.cuda.version": "12.1",
        "sheaf.cuda.min-driver": "525.60.13",
        "sheaf.cuda.targets": "8.6",
        "sheaf.cuda.profile": "inference",
        "sheaf.cuda.left-out": "cufft,cufftw,cusolver",
      });
      expect(config.Labels).not.toHaveProperty("sheaf.cuda.nvidia-modified");
      expect(config.Env).toEqual(
        expect.arrayContaining([
          "CUDA_MODULE_LOADING=LAZY",
          "NVIDIA_REQUIRE_CUDA=cuda>=12.0",
          "CUDA_VISIBLE_DEVICES=0",
        ]),
      );
      await opened.close();
      const code = await sheaf(["gpu", "inspect", "gpu-image-test:latest", "--json"], { env, store });
      expect(code.code, code.stderr).toBe(0);
      expect(code.stdout).toMatch(/sm_?86/);
      const text = await sheaf(["plan", folder], { env, store });
      expect(text.stdout).toMatch(/gpu +CUDA 12\.1, for 8\.6 +a10; driver 525\.60\.13 or newer/);
      expect(text.stdout).toMatch(/left out +4 parts of CUDA/);
    },
  );

  it(
    "keeps what the code calls, with the place; NVIDIA's own change only where that is asked for",
    { timeout: 120_000 },
    async () => {
      const { env } = await serveWheels(wheels);
      const jobs = "import torch\n\n\ndef spectrum(x):\n    return torch.fft.rfft(x)\n";
      const plan = await planned(project(inference, jobs), env);
      expect(plan.device?.kept).toEqual([{ name: "cufft", source: "jobs.py:5 uses torch.fft.rfft" }]);
      expect(plan.device?.libraries.map(({ path: file }) => file)).not.toContain("nvidia/cublas/lib/libcublasLt.so.12");
      const pruned = await planned(project('{ targets = ["a10"], prune-nvidia = true }'), env);
      const cublas = pruned.device?.libraries.find(({ path: file }) => file.endsWith("libcublasLt.so.12"));
      expect(cublas?.outcome).toBe("trimmed");
      expect(pruned.config.labels["sheaf.cuda.nvidia-modified"]?.value).toBe("true");
      expect(pruned.notes).toContainEqual(
        expect.objectContaining({ level: "warning", message: expect.stringMatching(/licence/) }),
      );
      expect(pruned.device?.leftOut).toEqual([]);
    },
  );

  it(
    "warns of a target that a library has no code for, and of targets that are not set",
    { timeout: 120_000 },
    async () => {
      const { env } = await serveWheels(wheels);
      const old = await planned(project('{ targets = ["p100", "a10"] }'), env);
      expect(old.notes).toContainEqual(
        expect.objectContaining({
          level: "warning",
          message: "libtorch_cuda.so has no device code for 6.0: its wheel was not built for such a GPU",
        }),
      );
      const all = await planned(project("{}"), env);
      expect(all.device).toBeUndefined();
      expect(all.notes.map(({ message }) => message)).toContain(
        "device code for all GPUs stays: targets says which are meant",
      );
    },
  );

  it("changes one layer of packages with another target, and none with the code", { timeout: 180_000 }, async () => {
    const { env } = await serveWheels(wheels);
    const store = copyStore();
    const folder = project(inference);
    const first = await buildJson([folder], { env, store });
    const both = await buildJson([project(inference.replace('"a10"', '"a10", "h100"'))], { env, store });
    const changed = both.layers.filter(({ digest }) => !first.layers.some((layer) => layer.digest === digest));
    // The app's layer has the preflight, which knows the targets.
    expect(changed.map(({ kind }) => kind).toSorted()).toEqual(["app", "packages"]);
    const edited = await buildJson([project(inference, "import torch  # as before\n")], { env, store });
    expect(edited.layers.filter(({ reused }) => !reused).map(({ kind }) => kind)).toEqual(["app"]);
  });

  it("lets Dockerfile.gpu leave out the same where that is asked for", { timeout: 120_000 }, async () => {
    const { env } = await serveWheels(wheels);
    const out = temporaryFolder();
    const words = ["dockerfile", project(inference), "--trim", "-o", out];
    const outcome = await sheaf(words, { env, store: copyStore() });
    expect(outcome.code, outcome.stderr).toBe(0);
    const text = fs.readFileSync(path.join(out, "Dockerfile.gpu"), "utf8");
    expect(text).toMatch(/gpu trim \/opt\/venv --targets 8\.6 \\\n +--drop cufft,cufftw,cusolver,headers \\\n/);
    expect(text).toContain("sheaf.cuda.left-out=cufft,cufftw,cusolver ");
  });

  it("is refused for another CUDA than the wheels bring", { timeout: 60_000 }, async () => {
    const { env } = await serveWheels(wheels);
    const { codes, text } = await refused(["plan", project('{ cuda = "11.8" }')], { env, store: copyStore() });
    expect(codes).toEqual(["SHEAF_CUDA"]);
    expect(text).toMatch(/is to have CUDA 11\.8, and its wheels bring 12\.1/);
  });

  it.skipIf(!namespacesWork())(
    "starts its command behind the preflight, and loads the stub (skipped where namespaces are refused)",
    { timeout: 180_000 },
    async () => {
      const { env } = await serveWheels(wheels);
      const store = copyStore();
      await buildJson([project(inference), "-t", "gpu-image-run:latest"], { env, store });
      const worker = await sheaf(["run", "gpu-image-run:latest"], { env, store });
      expect(worker.stdout).toBe("at work\n");
      expect(worker.stderr).toContain("sheaf: no GPU: working on the CPU");
      const program = [
        "import ctypes, sysconfig",
        "cufft = ctypes.CDLL(sysconfig.get_path('platlib') + '/nvidia/cufft/lib/libcufft.so.11')",
        "print(cufft.cufftPlan1d())",
      ].join("; ");
      const stub = await sheaf(["run", "gpu-image-run:latest", "--", "python3", "-c", program], { env, store });
      expect(stub.stdout).toBe("16\n");
      expect(stub.stderr).toContain(
        'cufftPlan1d was called, but libcufft.so.11 was left out of this image; keep = ["cufft"] brings it back',
      );
    },
  );
});
