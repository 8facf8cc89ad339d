import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Entry, FileEntry } from "../../src/filesystem/entry.ts";
import type { InterpreterChoice } from "../../src/interpreter/choose.ts";
import { collectInterpreter, interpreterKey, type Interpreter } from "../../src/interpreter/collect.ts";
import { sha256 } from "../../src/store/store.ts";
import { hostPythons, type HostPython } from "../bytecode/pythons.ts";
import { fakeInstallation } from "./installations.ts";

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-collect-"));
});
afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

function choiceOf({ prefix, version, minor }: HostPython): InterpreterChoice {
  return { kind: "host", version, minor, prefix, reason: "", tried: [] };
}

function bytesOf(entry: FileEntry): Uint8Array {
  if (entry.content.kind === "bytes") return entry.content.bytes;
  if (entry.content.kind === "disk") return fs.readFileSync(entry.content.file);
  throw new Error("an interpreter has no deflated files");
}

function digestOf(entry: Entry): string {
  const bytes = entry.type === "file" ? sha256(bytesOf(entry)) : "";
  return `${entry.type} ${entry.path} ${entry.mode} ${bytes}`;
}

function writeEntries(entries: Entry[], root: string): void {
  for (const entry of entries) {
    const file = path.join(root, entry.path);
    if (entry.type === "directory") fs.mkdirSync(file, { recursive: true });
    else if (entry.type === "symlink") fs.symlinkSync(entry.target, file);
    else if (entry.type === "file") fs.writeFileSync(file, bytesOf(entry), { mode: entry.mode });
  }
}

function run(executable: string, program: string): string {
  return execFileSync(executable, ["-I", "-B", "-c", program], { encoding: "utf8", env: {}, cwd: "/" }).trim();
}

describe.each(hostPythons())("Python $version of this machine in an image", (python) => {
  let interpreter: Interpreter;
  let executable: string;
  let root: string;
  beforeAll(() => {
    interpreter = collectInterpreter(choiceOf(python));
    root = path.join(folder, python.version);
    fs.mkdirSync(root);
    writeEntries(interpreter.entries, root);
    executable = path.join(root, interpreter.layout.executable);
  });

  it("runs from its new place, with its own library and standard library", () => {
    const program = `
import sys, os, json
maps = open("/proc/self/maps").read()
libraries = sorted({line.split()[-1] for line in maps.splitlines() if "libpython" in line})
print(json.dumps([sys.prefix, os.__file__, libraries, sys.version.split()[0]]))`;
    const [prefix, file, libraries, version] = JSON.parse(run(executable, program));
    expect(prefix).toBe(path.join(root, "usr/local"));
    expect(file).toBe(path.join(root, interpreter.layout.stdlib, "os.py"));
    for (const library of libraries) expect(library).toContain(`${root}/usr/local/lib/`);
    expect(version).toBe(python.version);
  });

  it("imports what a service needs", () => {
    const modules =
      "ssl, sqlite3, ctypes, zlib, bz2, lzma, hashlib, uuid, asyncio, multiprocessing, decimal, zoneinfo, unittest.mock, xml.etree.ElementTree, shelve, dbm, sysconfig, venv, pdb, doctest, pydoc";
    expect(run(executable, `import ${modules}; print(sysconfig.get_config_var("prefix"))`)).toContain("/usr/local");
  });

  it("finds every module that isn't left out", () => {
    const names = interpreter.entries
      .map(({ path }) => /lib-dynload\/([^./]+)\.[^/]*so$/.exec(path)?.[1])
      .filter((name) => name !== undefined);
    expect(names.length).toBeGreaterThan(30);
    const program = `import importlib\nfor name in ${JSON.stringify(names)}: importlib.import_module(name)\nprint("all")`;
    expect(run(executable, program)).toBe("all");
  });

  it("names no folder of this machine", () => {
    const prefix = Buffer.from(python.prefix);
    const parent = Buffer.from(path.dirname(python.prefix));
    const leaking = interpreter.entries.filter((entry) => {
      if (entry.type === "symlink") return path.isAbsolute(entry.target);
      if (entry.type !== "file") return false;
      const bytes = Buffer.from(bytesOf(entry));
      return bytes.includes(prefix) || bytes.includes(parent) || bytes.includes("/tmp/python-build");
    });
    expect(leaking.map(({ path }) => path)).toEqual([]);
  });

  it("keeps the version string that linkers store as the tail of the prefix", () => {
    expect(run(executable, "import platform; print(platform.python_version())")).toBe(python.version);
  });

  it("is small and well-formed", () => {
    const size = interpreter.entries.reduce(
      (sum, entry) => sum + (entry.type === "file" ? bytesOf(entry).length : 0),
      0,
    );
    expect(size).toBeLessThan(32e6);
    const paths = interpreter.entries.map(({ path }) => path);
    expect(paths).toEqual([...new Set(paths)].toSorted());
    for (const entry of interpreter.entries) {
      expect(entry.path).toMatch(/^usr(\/local(\/(bin|lib)(\/.+)?)?)?$/);
      expect([0o755, 0o644, 0o777]).toContain(entry.mode);
    }
    expect(paths.filter((name) => /__pycache__|\.a$|idlelib|\/test\/|_tkinter|ensurepip/.test(name))).toEqual([]);
  });

  it("tells libraries that must come from elsewhere, and the C library's version", () => {
    const own = new Set(interpreter.entries.map(({ path: name }) => path.posix.basename(name)));
    const foreign = new Set(interpreter.elf.flatMap(({ facts }) => facts.needed).filter((soname) => !own.has(soname)));
    expect([...foreign]).toContain("libc.so.6");
    expect([...foreign].filter((soname) => /readline|ncurses|tinfo|gdbm|tk8|tcl8|nsl/.test(soname))).toEqual([]);
    expect(interpreter.glibcNeeded).toMatch(/^2\.\d+$/);
    for (const { facts } of interpreter.elf) {
      for (const element of facts.runpath) expect(element).toMatch(/^\$ORIGIN/);
    }
  });

  it("is the same each time, under a key that needs no reading", () => {
    const again = collectInterpreter(choiceOf(python));
    expect(again.key).toBe(interpreter.key);
    expect(interpreterKey(choiceOf(python))).toBe(interpreter.key);
    expect(again.entries.map(digestOf)).toEqual(interpreter.entries.map(digestOf));
  });
});

const [python] = hostPythons().slice(-1);

describe.skipIf(!python)("collectInterpreter (needs a CPython on this machine)", () => {
  const choice = python ? choiceOf(python) : ({} as InterpreterChoice);

  it("keeps what it is told to keep", () => {
    const without = collectInterpreter(choice);
    const kept = collectInterpreter(choice, { keep: ["pydoc_data"] });
    const has = ({ entries }: Interpreter) => entries.some(({ path }) => path.endsWith("pydoc_data/topics.py"));
    expect([has(without), has(kept)]).toEqual([false, true]);
    expect(kept.key).not.toBe(without.key);
    expect(without.leftOut.find(({ name }) => name === "pydoc_data")?.size).toBeGreaterThan(100_000);
  });

  it("leaves libraries whole when it is told not to strip", () => {
    const whole = collectInterpreter(choice, { strip: false });
    expect(whole.stripped).toBe(0);
    expect(whole.key).not.toBe(interpreterKey(choice));
  });

  it("names an installation that is gone", () => {
    expect(() => collectInterpreter({ ...choice, prefix: path.join(folder, "gone") })).toThrow(
      expect.objectContaining({ code: "SHEAF_INTERPRETER" }),
    );
  });
});

/** Any dynamic program that needs no libpython, as a relocatable build's executable does. */
const someProgram = "/bin/true";

describe.skipIf(!fs.existsSync(someProgram))("a relocatable build, as uv manages them (needs /bin/true)", () => {
  const relocatable = () => {
    const prefix = fakeInstallation(path.join(folder, "uv", "cpython-3.12.4-linux-x86_64-gnu"), { version: "3.12.4" });
    const write = (name: string, content: string) => {
      fs.mkdirSync(path.dirname(path.join(prefix, name)), { recursive: true });
      fs.writeFileSync(path.join(prefix, name), content);
    };
    fs.copyFileSync(someProgram, path.join(prefix, "bin", "python3.12"));
    write("lib/libpython3.12.so.1.0", "used by programs that embed Python alone");
    write("lib/tcl8.6/init.tcl", "");
    write("share/terminfo/x/xterm", "");
    write("lib/python3.12/EXTERNALLY-MANAGED", "");
    write("lib/python3.12/config-3.12-x86_64-linux-gnu/libpython3.12.a", "");
    write(
      "lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py",
      "build_time_vars = {'prefix': '/install', 'INSTALL': '/usr/bin/install -c'}\n",
    );
    return collectInterpreter({ kind: "uv", version: "3.12.4", minor: "3.12", prefix, reason: "", tried: [] });
  };

  it("comes without the library that its executable doesn't use, Tcl, terminals and pip's marker", () => {
    const names = relocatable().entries.map((entry) => entry.path);
    expect(names).toContain("usr/local/bin/python3.12");
    expect(names.filter((name) => /libpython|tcl|terminfo|EXTERNALLY|config-/.test(name))).toEqual([]);
  });

  it("has /usr/local for the prefix that it was built with", () => {
    const data = relocatable().entries.find((entry) => entry.path.includes("_sysconfigdata"));
    expect(Buffer.from(data?.type === "file" ? bytesOf(data) : []).toString()).toBe(
      "build_time_vars = {'prefix': '/usr/local', 'INSTALL': '/usr/bin/install -c'}\n",
    );
  });
});
