import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { architectureName, cubinRunsOn, ptxRunsOn, type Architecture } from "../../src/cuda/architecture.ts";
import { gpuFamilies } from "../../src/cuda/gpus.ts";
import { preflightCommand, preflightFile, type PreflightImage } from "../../src/cuda/preflight/preflight.ts";
import { anyPython, hostPythons } from "../bytecode/pythons.ts";
import { has } from "../elf/oracles.ts";
import { buildFakeDriver, driverEnvironment, type FakeDriver } from "./fake-driver.ts";

const image: PreflightImage = { cuda: "12.1", minDriver: "525.60.13", targets: [75, 86] };
const a10 = { name: "NVIDIA A10", capability: "8.6" };
const h100 = { name: "NVIDIA H100 80GB HBM3", capability: "9.0" };

describe("preflightFile", () => {
  it("tells what the image has, and is the same for the same", () => {
    const text = preflightFile({ ...image, targets: [86, 75, 86], ptx: 90 });
    const end = text.indexOf("}\n");
    expect(JSON.parse(text.slice("IMAGE = ".length, end + 1))).toEqual({
      cuda: "12.1",
      "min-driver": "525.60.13",
      "driver-cuda": "12.0",
      targets: ["7.5", "8.6"],
      code: ["sm_75", "sm_86", "compute_90"],
    });
    expect(preflightFile({ ...image, targets: [75, 86], ptx: 90 })).toBe(text);
  });

  it("asks for the driver that knows zstd where the image needs one", () => {
    expect(preflightFile({ ...image, minDriver: "550.54.14" })).toContain('"driver-cuda": "12.4"');
  });
});

const python = anyPython()?.executable;
const reason = "needs a CPython and gcc";

describe.skipIf(!python || !has("gcc"))(`the preflight (${reason})`, () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-preflight-"));
    buildFakeDriver(folder);
    fs.writeFileSync(path.join(folder, "preflight.py"), preflightFile(image));
  });
  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const start = (words: string[], more: Record<string, string> = {}, file = "preflight.py") =>
    spawnSync(python ?? "", ["-I", "-S", path.join(folder, file), ...words], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], LANG: "C.UTF-8", ...more },
    });
  const startOn = (driver: FakeDriver, more: Record<string, string> = {}) =>
    start(["echo", "started"], { ...driverEnvironment(folder, driver), ...more });

  it("says nothing when all is well", () => {
    expect(startOn({ gpus: [a10] })).toMatchObject({ status: 0, stdout: "started\n", stderr: "" });
    // A higher minor of the same major runs the code too.
    expect(startOn({ gpus: [{ name: "NVIDIA L4", capability: "8.9" }] }).stderr).toBe("");
  });

  it.each<[string, FakeDriver, string]>([
    [
      "a driver that is too old",
      { version: 11040, gpus: [a10] },
      "the driver knows CUDA 11.4: CUDA 12.1 in this image needs driver 525.60.13 or newer",
    ],
    [
      "a GPU that there is no code for",
      { gpus: [a10, h100] },
      "this image has no code for NVIDIA H100 80GB HBM3 (9.0): it is made for 7.5, 8.6",
    ],
    [
      "a GPU below all that there is code for",
      { gpus: [{ name: "NVIDIA A100", capability: "8.0" }] },
      "this image has no code for NVIDIA A100 (8.0): it is made for 7.5, 8.6",
    ],
    ["no GPU", { init: 100 }, "no GPU: working on the CPU (the driver shows none)"],
    ["no GPU among those that are visible", {}, "no GPU: working on the CPU (the driver shows none)"],
    [
      "a driver that refuses",
      { init: 803 },
      "no GPU: working on the CPU (the driver answers CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803))",
    ],
    ["an error without a name", { init: 999 }, "no GPU: working on the CPU (the driver answers error 999)"],
    ["a driver that dies", { trouble: "crashes" }, "the GPU's driver broke down as it was asked (signal 6)"],
  ])("says in one line of %s, and starts", (_, driver, line) => {
    const stderr = `sheaf: ${line}\n`;
    expect(startOn(driver)).toMatchObject({ status: 0, stdout: "started\n", stderr });
    expect(startOn(driver, { SHEAF_GPU_PREFLIGHT: "off" })).toMatchObject({
      status: 0,
      stdout: "started\n",
      stderr: "",
    });
    expect(startOn(driver, { SHEAF_GPU_PREFLIGHT: "strict" })).toMatchObject({
      status: 69,
      stdout: "",
      stderr: `${stderr}sheaf: SHEAF_GPU_PREFLIGHT is strict: the command is not started\n`,
    });
  });

  it("does not wait for a driver that hangs", () => {
    const text = preflightFile(image).replace("SECONDS = 20", "SECONDS = 1");
    fs.writeFileSync(path.join(folder, "hasty.py"), text);
    const env = driverEnvironment(folder, { trouble: "hangs" });
    const { status, stdout, stderr } = start(["echo", "started"], env, "hasty.py");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "started\n" });
    expect(stderr).toBe("sheaf: the GPU's driver did not answer in 1 s\n");
  });

  it("tells where there is no driver, and which variable hides the GPUs", () => {
    expect(start(["true"]).stderr).toBe(
      "sheaf: no GPU: working on the CPU (the driver's libcuda.so.1 is not in this container; docker run --gpus all brings it)\n",
    );
    expect(startOn({ init: 100 }, { CUDA_VISIBLE_DEVICES: "" }).stderr).toContain("; CUDA_VISIBLE_DEVICES is empty)");
    expect(startOn({ init: 100 }, { NVIDIA_VISIBLE_DEVICES: "void" }).stderr).toContain(
      "; NVIDIA_VISIBLE_DEVICES is void)",
    );
  });

  it("refuses no GPU when all code was kept", () => {
    fs.writeFileSync(path.join(folder, "all.py"), preflightFile({ ...image, targets: [] }));
    expect(start(["true"], driverEnvironment(folder, { gpus: [h100] }), "all.py").stderr).toBe("");
  });

  it("starts the command whatever happens to itself", () => {
    // No ctypes, no fork, a standard error that can't be written.
    const broken = preflightFile(image).replace("import ctypes", "import no_such_module");
    fs.writeFileSync(path.join(folder, "broken.py"), broken);
    expect(start(["echo", "started"], {}, "broken.py")).toMatchObject({ status: 0, stdout: "started\n", stderr: "" });
    fs.writeFileSync(path.join(folder, "alone.py"), preflightFile(image).replace("os.fork()", "os.no_fork()"));
    expect(start(["echo", "started"], {}, "alone.py")).toMatchObject({ status: 0, stdout: "started\n", stderr: "" });
    const closed = spawnSync(
      "sh",
      ["-c", 'exec "$@" 2>&-', "sh", python ?? "", "-I", "-S", path.join(folder, "preflight.py"), "echo", "started"],
      { encoding: "utf8" },
    );
    expect(closed).toMatchObject({ status: 0, stdout: "started\n" });
  });

  it("leaves words, variables, exit codes and signals as they would have been", () => {
    const words = ["", "two words", "$HOME", "ünï", "--", "-c"];
    const show = ["sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", ...words];
    expect(start(show)).toMatchObject({ status: 7, stdout: `${words.join("|")}|` });
    const state = ["sh", "-c", "grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status; ls /proc/self/fd; env | sort"];
    const env = { PATH: process.env["PATH"], LANG: "C.UTF-8", ODD: "a=b\nc\u00ff" };
    const [program = "", ...rest] = state;
    const plain = spawnSync(program, rest, { encoding: "latin1", env });
    const after = spawnSync(python ?? "", ["-I", "-S", path.join(folder, "preflight.py"), ...state], {
      encoding: "latin1",
      env,
    });
    const seen = (text: string) => text.split("\n").filter((line) => !/^(?:_|SHLVL)=/.test(line));
    expect(seen(after.stdout)).toEqual(seen(plain.stdout));
  });

  it("becomes the command: same process, same parent", async () => {
    const child = spawn(python ?? "", [
      "-I",
      "-S",
      path.join(folder, "preflight.py"),
      "sh",
      "-c",
      "echo $$ $PPID; sleep 60 & wait",
    ]);
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    expect(String(line).trim()).toBe(`${child.pid} ${process.pid}`);
    child.kill("SIGTERM");
    const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
    expect({ code, signal }).toEqual({ code: null, signal: "SIGTERM" });
    child.stdout.destroy();
  });

  it("ends as a shell does when a command can't be started", () => {
    expect(start(["no-such-command"])).toMatchObject({ status: 127 });
    expect(start(["no-such-command"]).stderr).toMatch(/sheaf: no-such-command: there is no such program\n$/);
    expect(start([folder])).toMatchObject({ status: 126 });
    const script = path.join(folder, "script");
    fs.writeFileSync(script, 'echo "$0" "$1"\n', { mode: 0o755 });
    expect(start([script, "word"])).toMatchObject({ status: 0, stdout: `${script} word\n` });
    expect(start(["script", "word"], { PATH: `${folder}:${process.env["PATH"]}` }).stdout).toBe(`${script} word\n`);
    expect(start([]).status).toBe(127);
  });

  it("has the rule by which code was chosen", () => {
    const gpus = [...gpuFamilies.map(({ sm }) => sm), 52, 53, 62, 101, 109];
    const codes = gpus.flatMap((sm) => (["", "a", "f"] as const).map((variant): Architecture => ({ sm, variant })));
    const cases = codes.flatMap((code) =>
      gpus.flatMap((gpu) => [
        [architectureName(code), gpu, cubinRunsOn(code, gpu)],
        [architectureName(code, "compute_"), gpu, ptxRunsOn(code, gpu)],
      ]),
    );
    fs.writeFileSync(path.join(folder, "cases.json"), JSON.stringify(cases));
    const program =
      "import json, sys; sys.path.insert(0, sys.argv[1]); import preflight; " +
      "print([each for each in json.load(open(sys.argv[1] + '/cases.json')) if preflight.runs_on(each[0], each[1]) != each[2]])";
    expect(spawnSync(python ?? "", ["-c", program, folder], { encoding: "utf8" }).stdout).toBe("[]\n");
    expect(cases.some(([, , runs]) => runs)).toBe(true);
  });

  it.each(hostPythons().map(({ minor, executable }) => [minor, executable]))("works in Python %s", (_, executable) => {
    const words = preflightCommand(executable).slice(0, -1);
    const [program = "", ...rest] = [...words, path.join(folder, "preflight.py"), "echo", "started"];
    const env = driverEnvironment(folder, { gpus: [h100] });
    expect(spawnSync(program, rest, { encoding: "utf8", env: { PATH: process.env["PATH"], ...env } })).toMatchObject({
      status: 0,
      stdout: "started\n",
      stderr: expect.stringContaining("no code for NVIDIA H100") as string,
    });
  });
});
