import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { compileBytecode } from "../../src/bytecode/compile.ts";
import { magicNumber } from "../../src/bytecode/magic.ts";
import type { Module } from "../../src/bytecode/subprocess.ts";
import { anyPython, hostPythons, type HostPython } from "./pythons.ts";

const pythons = hostPythons();
const python = anyPython();

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-bytecode-"));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Sources that make CPython share and mark objects differently from process to process. */
const tricky: Record<string, string> = {
  "sets.py": `def f(x):\n    return x in {None, "a", 1, ..., ("b", "a"), "ftp"}, x in {None, "", "b"}\n`,
  "shared.py": `A = ("ftp", "http", 1.5, b"raw", "ä")\nB = ("ftp", "http", 1.5, b"raw", "ä")\ndef f(ftp=A): return "not a name", "not a name", ftp\n`,
  "nested.py": `class A:\n    class B:\n        def f(self): return lambda: (self, [i for i in ((1, 2), (1, 2))])\n`,
  "numbers.py": `X = [0, -1, 10**30, -10**30, 1.0, -0.0, 1j, True, 256, 257, 1 << 40]\n`,
  "characters.py": `X = ["", "a", " ", "\\xe9", "\\n", "aa", "a b"]\n`,
  "encoded.py": `# -*- coding: utf-8 -*-\nnaïve = "naïve"\n`,
};

function trickyModules(): Module[] {
  return Object.entries(tricky).map(([name, source]) => ({ source: Buffer.from(source), path: `/app/${name}` }));
}

/** Every nth module of the standard library. */
function someModules({ prefix, minor }: HostPython, every: number): Module[] {
  const root = path.join(prefix, "lib", `python${minor}`);
  return fs
    .readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".py") && !/^(?:test|site-packages|lib2to3|idlelib)\//.test(name))
    .toSorted()
    .filter((_, index) => index % every === 0)
    .map((name) => ({
      source: fs.readFileSync(path.join(root, name)),
      path: `/usr/local/lib/python${minor}/${name}`,
    }));
}

function run(executable: string, program: string, input?: string): string {
  return execFileSync(executable, ["-I", "-S", "-c", program], { encoding: "utf8", input });
}

describe.each(pythons)("bytecode of Python $version", (python) => {
  const modules = [...trickyModules(), ...someModules(python, 37)];

  it("is the same alone, in a batch, in reverse order and in another process", async () => {
    const { executable, minor } = python;
    const batch = await compileBytecode({ python: executable, minor, modules, processes: 1 });
    const backwards = await compileBytecode({ python: executable, minor, modules: modules.toReversed(), processes: 2 });
    expect(backwards.toReversed()).toEqual(batch);
    const few = [0, 1, 2, 3, 4, 5, 9];
    const alone = await Promise.all(
      few.map((index) => compileBytecode({ python: executable, modules: modules.slice(index, index + 1) })),
    );
    expect(alone.flat()).toEqual(few.map((index) => batch[index]));
  });

  it("loads to the code object that the interpreter itself compiles", async () => {
    const compiled = await compileBytecode({ python: python.executable, modules });
    const frames = modules.map(({ source, path }, index) => ({
      path,
      source: Buffer.from(source).toString("base64"),
      pyc: Buffer.from(compiled[index] ?? []).toString("base64"),
    }));
    expect(JSON.parse(run(python.executable, comparingProgram, JSON.stringify(frames)))).toEqual([]);
  });

  it("is the same when it is taken from what the interpreter compiled before", async () => {
    const library = fs.mkdtempSync(path.join(folder, "library-"));
    const written = modules.map((module, index) => {
      const origin = path.join(library, `m${index}.py`);
      fs.writeFileSync(origin, module.source);
      return { ...module, origin };
    });
    run(python.executable, "import compileall, sys; compileall.compile_dir(sys.stdin.read(), quiet=2)", library);
    // What is taken from there, and what isn't: the second file has changed since.
    const marked = path.join(library, "marked.py");
    fs.writeFileSync(marked, "x = 'compiled before'");
    run(python.executable, "import py_compile, sys; py_compile.compile(sys.stdin.read())", marked);
    const other = Buffer.from("x = 'not looked at !'");
    const probe = { source: other, path: "/app/probe.py", origin: marked };
    const [before] = await compileBytecode({ python: python.executable, modules: [probe] });
    expect(Buffer.from(before ?? []).includes("compiled before")).toBe(true);
    fs.writeFileSync(marked, "x = 'longer than it was'");
    const [after] = await compileBytecode({ python: python.executable, modules: [probe] });
    expect(Buffer.from(after ?? []).includes("not looked at !")).toBe(true);

    const taken = await compileBytecode({ python: python.executable, modules: written });
    expect(taken).toEqual(await compileBytecode({ python: python.executable, modules }));
  });

  it("has the magic number of the minor's releases", () => {
    const program = "import importlib.util as u; print(int.from_bytes(u.MAGIC_NUMBER[:2], 'little'))";
    expect(magicNumber(python.minor)).toBe(Number(run(python.executable, program)));
  });
});

/** Compares field by field, types of constants included: 1, 1.0 and True are equal in Python but not the same code. */
const comparingProgram = `
import sys, json, base64, marshal, importlib.util, warnings
warnings.simplefilter("ignore")
def same(a, b):
    if type(a) is not type(b): return False
    if isinstance(a, type(same.__code__)):
        skip = ("co_lines", "co_positions", "co_branches", "co_lnotab")
        names = [n for n in dir(a) if n.startswith("co_") and n not in skip]
        return all(same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, tuple): return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, frozenset): return sorted(map(repr, a)) == sorted(map(repr, b))
    return repr(a) == repr(b)
bad = []
for frame in json.load(sys.stdin):
    source, pyc = base64.b64decode(frame["source"]), base64.b64decode(frame["pyc"])
    good = pyc[:4] == importlib.util.MAGIC_NUMBER and pyc[4:8] == bytes([1, 0, 0, 0])
    good = good and pyc[8:16] == importlib.util.source_hash(source)
    if not (good and same(marshal.loads(pyc[16:]), compile(source, frame["path"], "exec", dont_inherit=True))):
        bad.append(frame["path"])
print(json.dumps(bad))
`;

describe.skipIf(!python)("compileBytecode (needs a CPython on this machine)", () => {
  const executable = python?.executable ?? "";
  const compile = (modules: Module[]) => compileBytecode({ python: executable, modules });

  it("makes files that Python imports without looking at the source", async () => {
    const source = "def greet(name):\n    return f'hello {name}'\n";
    const [pyc] = await compile([{ source: Buffer.from(source), path: "/app/greeting.py" }]);
    const cache = path.join(folder, "__pycache__");
    fs.mkdirSync(cache, { recursive: true });
    // A source that differs: the unchecked file wins, as it does in an image whose times mean nothing.
    fs.writeFileSync(path.join(folder, "greeting.py"), "raise SystemExit('the source was read')");
    fs.writeFileSync(path.join(cache, `greeting.cpython-${python?.minor.replace(".", "")}.pyc`), pyc ?? "");
    const program = `import sys; sys.path.insert(0, ${JSON.stringify(folder)}); import greeting; print(greeting.greet("you"))`;
    expect(run(executable, program).trim()).toBe("hello you");
  });

  it("leaves out what isn't Python of this minor, and keeps the order", async () => {
    const results = await compile([
      { source: Buffer.from("print 'two'"), path: "/app/two.py" },
      { source: Buffer.from("x = 1"), path: "/app/one.py" },
      { source: Buffer.from("{{ template }}.{% if %}"), path: "/app/template.py" },
      { source: Buffer.from("x = '\0'"), path: "/app/nul.py" },
      { source: Buffer.from("# -*- coding: klingon -*-"), path: "/app/klingon.py" },
      { source: Buffer.from([0xff, 0xfe, 0x41]), path: "/app/broken.py" },
      { source: Buffer.from(""), path: "/app/empty.py" },
    ]);
    expect(results.map((result) => result !== undefined)).toEqual([false, true, false, false, false, false, true]);
  });

  it("goes on behind a module that the interpreter can't bear", async () => {
    const deep = Buffer.from(`x = ${"(".repeat(100_000)}1${")".repeat(100_000)}`);
    const results = await compile([
      { source: Buffer.from("a = 1"), path: "/app/a.py" },
      { source: deep, path: "/app/deep.py" },
      { source: Buffer.from("b = 1"), path: "/app/b.py" },
    ]);
    expect(results.map((result) => result !== undefined)).toEqual([true, false, true]);
  });

  it("takes paths that aren't ASCII", async () => {
    const [pyc] = await compile([{ source: Buffer.from("x = 1"), path: "/app/größe/模型.py" }]);
    expect(Buffer.from(pyc ?? []).includes(Buffer.from("/app/größe/模型.py"))).toBe(true);
  });

  it("ignores the caller's PYTHON variables and folder", async () => {
    fs.writeFileSync(path.join(folder, "marshal.py"), "raise SystemExit('hijacked')");
    const before = { path: process.env["PYTHONPATH"], optimize: process.env["PYTHONOPTIMIZE"] };
    process.env["PYTHONPATH"] = folder;
    process.env["PYTHONOPTIMIZE"] = "2";
    try {
      const [pyc] = await compile([{ source: Buffer.from('"""docstring"""\nassert True'), path: "/app/a.py" }]);
      expect(Buffer.from(pyc ?? []).includes("docstring")).toBe(true);
    } finally {
      restore("PYTHONPATH", before.path);
      restore("PYTHONOPTIMIZE", before.optimize);
    }
  });

  it("says when the interpreter is of another minor", async () => {
    const modules = [{ source: Buffer.from("x = 1"), path: "/app/a.py" }];
    await expect(compileBytecode({ python: executable, minor: "3.8", modules })).rejects.toMatchObject({
      code: "SHEAF_BYTECODE",
      message: expect.stringContaining(`is Python ${python?.minor}, the image has 3.8`),
    });
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

describe("compileBytecode", () => {
  it("starts no interpreter for nothing", async () => {
    expect(await compileBytecode({ python: "/nowhere/python", modules: [] })).toEqual([]);
  });

  it.each([
    ["that isn't there", "/nowhere/python"],
    ["that is another program", "/bin/true"],
  ])("names an interpreter %s", async (_, executable) => {
    const modules = [{ source: Buffer.from("x = 1"), path: "/app/a.py" }];
    await expect(compileBytecode({ python: executable, modules })).rejects.toMatchObject({ code: "SHEAF_BYTECODE" });
  });
});

/** An executable that answers as an interpreter would: facts, then one stream for the first module. */
function pretend(name: string, answers: { isRelease: boolean; minor: number; magic: number; stream: string }): string {
  const facts = Buffer.alloc(12);
  facts.writeInt32LE(answers.isRelease ? 1 : 0, 0);
  facts.writeInt32LE(answers.minor, 4);
  facts.writeUInt16LE(answers.magic, 8);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(answers.stream.length);
  const output = Buffer.concat([facts, length, Buffer.alloc(8), Buffer.from(answers.stream)]);
  const executable = path.join(folder, name);
  fs.writeFileSync(`${executable}.answer`, output);
  fs.writeFileSync(executable, `#!/bin/sh\ncat "$0.answer"\ncat > /dev/null\n`, { mode: 0o755 });
  return executable;
}

describe("a minor that isn't known yet", () => {
  const modules = [{ source: Buffer.from(""), path: "/app/a.py" }];
  const future = { isRelease: true, minor: 99, magic: 4242, stream: "N" };

  it("is taken at its word about its magic number when it is a final release", async () => {
    const [pyc] = await compileBytecode({ python: pretend("final", future), minor: "3.99", modules });
    expect(Buffer.from(pyc ?? []).readUInt16LE(0)).toBe(4242);
  });

  it("goes without bytecode where its streams can't be read", async () => {
    expect(await compileBytecode({ python: pretend("strange", { ...future, stream: "?" }), modules })).toEqual([
      undefined,
    ]);
  });

  it.each([
    ["a pre-release", { ...future, isRelease: false }],
    ["a known minor with another magic number", { ...future, minor: 12 }],
  ])("is refused as %s", async (name, answers) => {
    await expect(
      compileBytecode({ python: pretend(name.replaceAll(" ", "-"), answers), modules }),
    ).rejects.toMatchObject({
      code: "SHEAF_BYTECODE",
    });
  });
});
