import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { checkProgram } from "../../src/cuda/check/program.ts";
import type { ContainerOptions, Engine, RunningContainer } from "../../src/engine/engine.ts";
import { SheafError } from "../../src/errors.ts";
import { checkGpu } from "../../src/inspect/check-gpu.ts";
import { type GpuReport, parseGpuReport } from "../../src/inspect/gpu-report.ts";
import { gpuReportText } from "../../src/report/gpu-report-text.ts";
import { styleFor } from "../../src/report/text.ts";
import { anyPython } from "../bytecode/pythons.ts";
import { buildFakeDriver, driverEnvironment } from "../cuda/fake-driver.ts";
import { has } from "../elf/oracles.ts";

const operation = { name: "matmul", type: "fp32", verdict: "pass", difference: 1e-7, tolerance: 2e-4 } as const;
const report: GpuReport = {
  verdict: "pass",
  python: "3.12.1",
  driver: { version: "550.54.14", cuda: "12.4" },
  gpus: [{ name: "NVIDIA A10", capability: "8.6" }],
  torch: { version: "2.3.1", cuda: "12.1", architectures: ["sm_86"] },
  device: "cuda",
  operations: [operation],
  libraries: [{ path: "/x/libcufft.so.11", bytes: 9000, stub: true }],
};
const printed = (value: object = report) => `${JSON.stringify({ version: 1, ...value }).replace(":1,", ": 1,")}\n`;
const options = { python: "python3", cpu: false, models: false, signal: new AbortController().signal };

describe("checkGpu", () => {
  it("runs the program with the GPUs, and without a network", async () => {
    const { engine, runs } = fakeEngine({ stdout: `a library's own line\n${printed()}` });
    expect(await checkGpu(engine, "app:1", { ...options, models: true })).toMatchObject(report);
    expect(runs).toEqual([
      expect.objectContaining({
        image: "app:1",
        entrypoint: ["python3"],
        command: ["-c", checkProgram, "--json", "--models"],
        gpus: "engine",
        network: false,
      }),
    ]);
  });

  it("asks by the names of the device interface where the engine has no GPUs of its own", async () => {
    const { engine, runs } = fakeEngine({ stdout: printed(), refuses: ["engine"] });
    expect((await checkGpu(engine, "app:1", options)).verdict).toBe("pass");
    expect(runs.map(({ gpus }) => gpus)).toEqual(["engine", "cdi"]);
  });

  it("says that nothing ran where no GPU is given, and computes on the CPU only when told", async () => {
    const refuses: ContainerOptions["gpus"][] = ["engine", "cdi"];
    const { engine, runs } = fakeEngine({ stdout: printed({ ...report, verdict: "not run", device: "cpu" }), refuses });
    expect(await checkGpu(engine, "app:1", options)).toMatchObject({
      verdict: "not run",
      operations: [],
      reason: 'Docker 1 gives no GPU to containers: could not select device driver "" with capabilities: [[gpu]]',
    });
    expect(runs).toHaveLength(2);
    expect(await checkGpu(engine, "app:1", { ...options, cpu: true })).toMatchObject({
      verdict: "not run",
      reason: "Docker 1 gives no GPU to containers",
      operations: [operation],
    });
    const bare = fakeEngine({
      stdout: printed({ ...report, verdict: "not run", operations: [], reason: "no torch" }),
      refuses,
    });
    expect((await checkGpu(bare.engine, "app:1", { ...options, cpu: true })).reason).toBe(
      "Docker 1 gives no GPU to containers, and no torch",
    );
    expect(runs.at(-1)?.gpus).toBeUndefined();
    expect(runs.at(-1)?.command?.slice(2)).toEqual(["--json", "--cpu"]);
  });

  it("tells what an image said that gives no report", async () => {
    const { engine } = fakeEngine({ stdout: "", stderr: "exec: python3: not found\n", code: 127 });
    await expect(checkGpu(engine, "app:1", options)).rejects.toMatchObject({
      code: "SHEAF_GPU_CHECK",
      details: [["it said", "exec: python3: not found"]],
    });
  });

  it("passes on what has nothing to do with GPUs", async () => {
    const { engine } = fakeEngine({ stdout: "", fails: new SheafError("SHEAF_ENGINE", "no space left on device") });
    await expect(checkGpu(engine, "app:1", options)).rejects.toMatchObject({ message: "no space left on device" });
  });
});

describe("parseGpuReport", () => {
  it("takes nothing for a report that is none", () => {
    expect(parseGpuReport(printed())).toMatchObject(report);
    const wrong = [
      { verdict: "fine" },
      { operations: [{}] },
      { libraries: "x" },
      { gpus: [1] },
      { driver: 1 },
      { torch: {} },
    ];
    for (const each of wrong)
      expect(parseGpuReport(printed({ ...report, ...each })), JSON.stringify(each)).toBeUndefined();
    expect(parseGpuReport('{"version": 1, broken')).toBeUndefined();
    expect(parseGpuReport("")).toBeUndefined();
  });
});

describe("gpuReportText", () => {
  const textOf = (value: GpuReport) => gpuReportText(value, styleFor({}, {}), 80);

  it("is green for nothing but a GPU that agrees", () => {
    expect(textOf(report)).toContain("the GPU agrees with the CPU: all 1 operation");
    expect(textOf(report)).toContain("9.0 kB of files; left out: libcufft.so.11");
    const onCpu = textOf({ ...report, verdict: "not run", device: "cpu", reason: "no GPU" });
    expect(onCpu).toContain("not run on a GPU: no GPU. On the CPU 1 operation passed");
    expect(onCpu).not.toContain("agrees");
    const nothing = { driver: null, gpus: [], torch: null, device: null, operations: [], libraries: [] };
    expect(textOf({ ...report, ...nothing, verdict: "not run", reason: "no GPU" })).toBe("not run: no GPU");
  });

  it("tells of each operation what went wrong, and lets no control character through", () => {
    const operations = [
      { ...operation, type: "fp16" as const, verdict: "fail" as const, difference: 0.5 },
      { ...operation, name: "fft", verdict: "left out" as const, note: "not \u001b[31msupported" },
      { ...operation, name: "sort", verdict: "fail" as const, difference: null },
    ];
    const text = textOf({ ...report, verdict: "fail", operations });
    expect(text).toContain("✗ fail  matmul fp16: differs by 5.0e-1, of 0.0002 allowed");
    expect(text).toContain("✗ fail  sort fp32: its result is another");
    expect(text).toContain("2 operations failed, 0 passed; 1 left out by the image's profile");
    expect(text).not.toContain("\u001b");
  });
});

const python = anyPython()?.executable;

describe.skipIf(!python || !has("gcc"))("the program (needs a CPython and gcc)", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-check-gpu-"));
    buildFakeDriver(folder);
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const run = (words: string[], env: Record<string, string> = {}) =>
    spawnSync(python ?? "", ["-I", "-", ...words], { input: checkProgram, encoding: "utf8", env });

  it("tells of the driver and the GPUs, and calls nothing computed where there is no torch", () => {
    const gpus = [{ name: "NVIDIA A10", capability: "8.6" }];
    const { status, stdout } = run(["--json"], driverEnvironment(folder, { gpus }));
    expect(parseGpuReport(stdout)).toMatchObject({
      verdict: "not run",
      reason: "there is no torch",
      driver: { cuda: "12.4" },
      gpus,
      torch: null,
    });
    expect(status).toBe(3);
    expect(parseGpuReport(run(["--json"], driverEnvironment(folder, { init: 803 })).stdout)).toMatchObject({
      driver: { problem: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)" },
      gpus: [],
    });
    expect(run([]).stdout).toContain("driver    none: libcuda.so.1 is not here\nnot run: there is no torch");
  });

  it("calls nothing computed where torch sees no GPU, and fails where torch can't be imported", () => {
    const torch = [
      "__version__ = '9.1'",
      "class version: cuda = '12.1'",
      "class cuda:",
      "    is_available = staticmethod(lambda: False)",
      "    get_arch_list = staticmethod(lambda: ['sm_86'])",
      "class backends:",
      "    class cudnn: version = staticmethod(lambda: 8902)",
    ];
    const runWith = (lines: string[]) => {
      fs.mkdirSync(path.join(folder, "torch"), { recursive: true });
      fs.writeFileSync(path.join(folder, "torch/__init__.py"), lines.join("\n"));
      const { status, stdout } = spawnSync(python ?? "", ["-B", "-", "--json"], {
        input: checkProgram,
        encoding: "utf8",
        env: { PYTHONPATH: folder },
      });
      return { status, report: parseGpuReport(stdout) };
    };
    const { status, report: found } = runWith(torch);
    expect(status).toBe(3);
    expect(found).toMatchObject({
      verdict: "not run",
      reason: "torch sees no GPU",
      torch: { version: "9.1", cuda: "12.1", architectures: ["sm_86"] },
      device: null,
      operations: [],
    });
    const broken = runWith(["raise ImportError('libcufft.so.11: cannot open shared object file')"]);
    expect(broken.status).toBe(1);
    expect(broken.report?.verdict).toBe("fail");
    expect(broken.report?.reason).toContain("libcufft.so.11: cannot open shared object file");
    expect(runWith(["import os; os.abort()"]).report?.reason).toBe("the process ended with signal 6");
  });
});

describe.skipIf(!python)("the processes that the program computes in (needs a CPython)", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-check-gpu-"));
    fs.writeFileSync(path.join(folder, "check.py"), checkProgram);
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const inChild = (work: string) => {
    const lines = [
      "import os, sys, time",
      `sys.path.insert(0, ${JSON.stringify(folder)})`,
      "sys.dont_write_bytecode = True",
      "import check",
      "check.PATIENCE = 1",
      `child = check.Child(${work})`,
      "print(list(child), child.failed(), child.ended())",
    ];
    return spawnSync(python ?? "", ["-I", "-c", lines.join("\n")], { encoding: "utf8" }).stdout;
  };

  it("tell what they found, and how they ended", () => {
    expect(inChild("lambda send: [send({'a': each}) for each in range(2)]")).toMatch(
      /^\[\{'a': 0\}, \{'a': 1\}\] False /,
    );
    const dying =
      "lambda send: (send({'a': 1}), os.write(2, b'first\\nCould not load library libx.so\\nlast\\n'), os.abort())";
    expect(inChild(dying)).toBe("[{'a': 1}] True the process ended with signal 6: Could not load library libx.so\n");
    expect(inChild("lambda send: 1 / 0")).toContain("exit code 1: ZeroDivisionError: division by zero");
    expect(inChild("lambda send: (send({}), time.sleep(60))")).toBe("[{}] True it took longer than 1 s\n");
  });

  it("call left out what needs a library that is missing, and nothing else", () => {
    const lines = [
      "import sys",
      `sys.path.insert(0, ${JSON.stringify(folder)})`,
      "import check",
      "texts = ['Could not load library libcudnn_cnn_train.so.8', 'no kernel image is available', 'not implemented for Half']",
      "print([check.failure_of(text, needs, 'cuda', set())['verdict'] for text in texts for needs in ('cudnn-train', None)])",
    ];
    expect(spawnSync(python ?? "", ["-I", "-B", "-c", lines.join("\n")], { encoding: "utf8" }).stdout).toBe(
      "['left out', 'fail', 'fail', 'fail', 'skipped', 'skipped']\n",
    );
  });
});

interface Fake {
  stdout: string;
  stderr?: string;
  code?: number;
  /** Ways of asking for GPUs that it knows nothing of. */
  refuses?: ContainerOptions["gpus"][];
  fails?: SheafError;
}

function fakeEngine({ stdout, stderr = "", code = 0, refuses = [], fails }: Fake) {
  const runs: ContainerOptions[] = [];
  const run = async (container: ContainerOptions): Promise<RunningContainer> => {
    runs.push(container);
    if (fails) throw fails;
    if (container.gpus && refuses.includes(container.gpus)) {
      const message =
        'Docker refused POST /containers/1/start: could not select device driver "" with capabilities: [[gpu]]';
      throw new SheafError("SHEAF_ENGINE", message);
    }
    container.onOutput?.(Buffer.from(stdout), "stdout");
    container.onOutput?.(Buffer.from(stderr), "stderr");
    return { exited: Promise.resolve(code), signal: () => undefined } as unknown as RunningContainer;
  };
  const engine = { kind: "docker", describe: () => "Docker 1", run } as unknown as Engine;
  return { engine, runs };
}
