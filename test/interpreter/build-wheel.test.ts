import { execFile, execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { tarEnd, tarHeader, tarPadding } from "../../src/archive/tar-write.ts";
import { runInSandbox } from "../../src/engine/sandbox.ts";
import { buildWheel, type BuildCommand, type BuildWheelServices } from "../../src/interpreter/build-wheel.ts";
import { collectInterpreter } from "../../src/interpreter/collect.ts";
import { pythonLayout } from "../../src/interpreter/layout.ts";
import { buildSystemOf, readSdist } from "../../src/interpreter/sdist.ts";
import { anyPython } from "../bytecode/pythons.ts";
import { emptyLab, type Lab } from "./installations.ts";

const python = anyPython();
const minor = python?.minor ?? "3.12";

/** A .tar.gz of files by path. */
function sdist(files: Record<string, string>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, text] of Object.entries(files)) {
    const bytes = Buffer.from(text);
    parts.push(tarHeader({ path: name, type: "file", mode: 0o644, uid: 0, gid: 0, size: bytes.length, mtime: 0 }));
    parts.push(bytes, tarPadding(bytes.length));
  }
  return gzipSync(Buffer.concat([...parts, tarEnd]));
}

/** A backend in the source itself: writes a wheel with the zipfile module, so nothing needs to be fetched. */
const backend = `
import os, zipfile
def build_wheel(out, settings=None, metadata=None):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(out, name), "w") as wheel:
        wheel.writestr("tiny.py", open("tiny.py").read() + "built = %r" % os.environ["SOURCE_DATE_EPOCH"])
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n")
    return name
`;

const pyproject = `[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["_build"]\n`;
const tiny = {
  "tiny-1.0/pyproject.toml": pyproject,
  "tiny-1.0/_build/backend.py": backend,
  "tiny-1.0/tiny.py": "x = 1\n",
};

let lab: Lab;
beforeEach(() => {
  lab = emptyLab();
});
afterEach(() => lab.dispose());

/** Runs on this machine, with the folders of the sandbox put in place of its names. */
function runHere({ command, binds, env, workdir }: BuildCommand): ReturnType<BuildWheelServices["run"]> {
  const translate = (text: string) => binds.reduce((result, bind) => result.replaceAll(bind.target, bind.source), text);
  const temporary = fs.mkdtempSync(path.join(lab.root, "tmp-"));
  const [, ...rest] = command.map(translate);
  const environment = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, translate(value)]));
  return new Promise((resolve) => {
    const options = { env: { ...environment, TMPDIR: temporary }, cwd: workdir };
    execFile(python?.executable ?? "", rest, options, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : error ? 1 : 0, stdout, stderr }),
    );
  });
}

function build(files: Record<string, string>, services: Partial<BuildWheelServices> = {}) {
  const request = {
    sdist: sdist(files),
    filename: "tiny-1.0.tar.gz",
    name: "tiny",
    version: "1.0",
    layout: pythonLayout(minor),
    sourceDateEpoch: 42,
  };
  const nothing = () => Promise.resolve([]);
  return buildWheel(request, { store: lab.store, wheelsFor: nothing, run: runHere, ...services });
}

describe("readSdist and buildSystemOf", () => {
  const systemOf = async (files: Record<string, string>) =>
    buildSystemOf(await readSdist(sdist(files), "tiny-1.0.tar.gz"), "tiny-1.0.tar.gz");

  it("gives requirements, backend and backend-path", async () => {
    expect(await systemOf(tiny)).toEqual({ requires: [], backend: "backend", backendPath: ["_build"] });
  });

  it("falls back on setuptools as PEP 517 says", async () => {
    const legacy = { requires: ["setuptools>=40.8.0"], backend: "setuptools.build_meta:__legacy__", backendPath: [] };
    expect(await systemOf({ "a-1/setup.py": "" })).toEqual(legacy);
    expect(await systemOf({ "a-1/pyproject.toml": "[tool.black]\n" })).toEqual(legacy);
    const table = '[build-system]\nrequires = ["setuptools", "cython"]\n';
    expect(await systemOf({ "a-1/pyproject.toml": table })).toMatchObject({
      requires: ["setuptools", "cython"],
      backend: "setuptools.build_meta:__legacy__",
    });
  });

  it.each([
    ["a path that leaves", { "a-1/setup.py": "", "a-1/../../etc/passwd": "" }],
    ["an absolute path", { "a-1/setup.py": "", "/etc/passwd": "" }],
    ["two top folders", { "a-1/setup.py": "", "b-1/setup.py": "" }],
    ["no build files", { "a-1/README": "" }],
    ["broken TOML", { "a-1/pyproject.toml": "[build-system" }],
    ["no requires", { "a-1/pyproject.toml": '[build-system]\nbuild-backend = "x"' }],
    ["code as backend", { "a-1/pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "os;x"' }],
    ["a backend-path outside", { "a-1/pyproject.toml": '[build-system]\nrequires = []\nbackend-path = ["../x"]' }],
  ])("refuses %s", async (_, files) => {
    await expect(systemOf(files)).rejects.toMatchObject({ code: "SHEAF_SDIST" });
  });

  it("refuses links", async () => {
    const link = tarHeader({
      path: "a-1/x",
      type: "symlink",
      target: "/etc",
      mode: 0o777,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: 0,
    });
    const bytes = gzipSync(Buffer.concat([link, tarEnd]));
    await expect(readSdist(bytes, "a-1.tar.gz")).rejects.toMatchObject({ code: "SHEAF_SDIST" });
  });
});

describe.skipIf(!python)("buildWheel (needs a CPython on this machine)", () => {
  it("builds with a backend of the source itself", async () => {
    const { filename, bytes } = await build(tiny);
    expect(filename).toBe("tiny-1.0-py3-none-any.whl");
    expect(Buffer.from(bytes).includes("built = '42'")).toBe(true);
  });

  it("leaves nothing behind", async () => {
    await build(tiny);
    expect(fs.readdirSync(path.join(lab.store.root, "tmp"))).toEqual([]);
  });

  it("installs what the backend asks for beyond [build-system]", async () => {
    const asking = `${backend}\ndef get_requires_for_build_wheel(settings=None): return ["helper>=1"]\nimport importlib.util\nif importlib.util.find_spec("helper"): import helper\n`;
    const helper = await build({ ...tiny });
    const asked: string[][] = [];
    const wheelsFor = async (requirements: string[]) => {
      asked.push(requirements);
      return [{ filename: "tiny-1.0-py3-none-any.whl", bytes: helper.bytes }];
    };
    // The helper that comes is another distribution, so that the second attempt asks again: that is an error, not a loop.
    await expect(build({ ...tiny, "tiny-1.0/_build/backend.py": asking }, { wheelsFor })).rejects.toMatchObject({
      code: "SHEAF_BUILD",
      details: [["output", expect.stringContaining("asks for helper>=1")]],
    });
    expect(asked).toEqual([["helper>=1"]]);
    const satisfied = asking.replaceAll("helper>=1", "tiny>=1");
    const { filename } = await build({ ...tiny, "tiny-1.0/_build/backend.py": satisfied }, { wheelsFor });
    expect(filename).toBe("tiny-1.0-py3-none-any.whl");
  });

  it.each([
    ["raises", "def build_wheel(*_): raise RuntimeError('no rule to make it')", "no rule to make it"],
    ["makes nothing", "def build_wheel(*_): pass", "it left 0 wheels"],
    ["makes another distribution", backend.replace('"tiny-1.0-py3', '"other-1.0-py3'), "another distribution"],
    [
      "makes a link",
      "import os\ndef build_wheel(out, *_): os.symlink('/etc/passwd', out + '/tiny-1.0-py3-none-any.whl')",
      "isn't a wheel",
    ],
  ])("names the build that %s", async (_, code, expected) => {
    await expect(build({ ...tiny, "tiny-1.0/_build/backend.py": code })).rejects.toMatchObject({
      code: "SHEAF_BUILD",
      details: [["output", expect.stringContaining(expected)]],
    });
  });
});

const canUnshare = ((): boolean => {
  try {
    execFileSync("unshare", ["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** The collected interpreter and the libraries of this machine that it loads. */
function rootWithPython(root: string): void {
  if (!python) return;
  const interpreter = collectInterpreter({ kind: "host", ...python, reason: "", tried: [] });
  for (const entry of interpreter.entries) {
    const file = path.join(root, entry.path);
    if (entry.type === "directory") fs.mkdirSync(file, { recursive: true });
    else if (entry.type === "symlink") fs.symlinkSync(entry.target, file);
    else if (entry.type === "file" && entry.content.kind === "bytes") {
      fs.writeFileSync(file, entry.content.bytes, { mode: entry.mode });
    } else if (entry.type === "file" && entry.content.kind === "disk") fs.copyFileSync(entry.content.file, file);
  }
  const binaries = interpreter.elf.map(({ path: name }) => path.join(root, name));
  const output = execFileSync("ldd", binaries, { encoding: "utf8" });
  for (const [, library = ""] of output.matchAll(/[ \t](\/(?:lib|lib64|usr\/lib)\/\S+) \(0x/g)) {
    const target = path.join(root, library);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (!fs.existsSync(target)) fs.copyFileSync(library, target);
  }
}

describe.skipIf(!python || !canUnshare)("buildWheel in the sandbox (needs user namespaces and a CPython)", () => {
  it("builds without network, as a user who owns nothing", async () => {
    const root = path.join(lab.root, "root");
    fs.mkdirSync(root);
    rootWithPython(root);
    const curious = `${backend}
import socket
def get_requires_for_build_wheel(settings=None):
    assert os.getuid() not in (0, ${process.getuid?.()}), os.getuid()
    try: socket.create_connection(("192.0.2.1", 80), 1)
    except OSError as error: assert error.errno == 101, error
    else: raise AssertionError("there is a network")
    return []
`;
    const { filename } = await build(
      { ...tiny, "tiny-1.0/_build/backend.py": curious },
      { run: (command) => runInSandbox({ store: lab.store, rootfs: root, ...command }) },
    );
    expect(filename).toBe("tiny-1.0-py3-none-any.whl");
  });
});
