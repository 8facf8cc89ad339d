import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SheafError } from "../../src/errors.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { installWheel } from "../../src/wheel/install.ts";
import type { InstalledWheel } from "../../src/wheel/install.ts";
import { parseRecord, recordHash } from "../../src/wheel/record.ts";
import { buildElf } from "../elf/build-elf.ts";
import { buildWheel, buildZip, layout, recordRow } from "./build-wheel.ts";
import type { BuiltWheel, WheelSpec } from "./build-wheel.ts";

const site = layout.purelib;

describe("installWheel", () => {
  it("puts files into the library folder and writes a RECORD of what is there", () => {
    const wheel = installed({ files: { "demo/__init__.py": "x = 1\n", "top.py": "" }, modes: { "top.py": 0o755 } });
    expect(modesOf(wheel)).toEqual({
      [`${site}/demo-1.0.dist-info/INSTALLER`]: 0o644,
      [`${site}/demo-1.0.dist-info/METADATA`]: 0o644,
      [`${site}/demo-1.0.dist-info/RECORD`]: 0o644,
      [`${site}/demo-1.0.dist-info/WHEEL`]: 0o644,
      [`${site}/demo/__init__.py`]: 0o644,
      [`${site}/top.py`]: 0o755,
    });
    expect(wheel).toMatchObject({ name: "demo", version: "1.0", distInfo: `${site}/demo-1.0.dist-info` });
    expect(wheel.modules).toEqual(["demo", "top"]);
    expect(wheel.pythonFiles).toEqual([`${site}/demo/__init__.py`, `${site}/top.py`]);
    expect(wheel.notes).toEqual([]);
    expect(textOf(wheel, `${site}/demo-1.0.dist-info/INSTALLER`)).toBe("sheaf\n");
    expectTrueRecord(wheel);
  });

  it("uses platlib for wheels with compiled parts", () => {
    expect(installed({ purelib: false }).distInfo).toBe(`${layout.platlib}/demo-1.0.dist-info`);
  });

  // Edge case 28: every scheme of *.data.
  it("spreads *.data through the layout", () => {
    const wheel = installed({
      name: "De.mo",
      distInfo: "de_mo-1.0.dist-info",
      files: {
        "de_mo-1.0.data/purelib/pure.py": "",
        "de_mo-1.0.data/platlib/plat.py": "",
        "de_mo-1.0.data/scripts/tool": "#!python -E\nprint(1)\n",
        "de_mo-1.0.data/scripts/shell": "#!/bin/sh\n",
        "de_mo-1.0.data/data/share/demo.txt": "",
        "de_mo-1.0.data/headers/demo.h": "",
      },
    });
    expect(Object.keys(modesOf(wheel)).filter((path) => !path.includes("dist-info"))).toEqual([
      "usr/local/bin/shell",
      "usr/local/bin/tool",
      "usr/local/include/python3.12/De.mo/demo.h",
      "usr/local/lib/python3.12/site-packages/pure.py",
      "usr/local/lib64/python3.12/site-packages/plat.py",
      "usr/local/share/demo.txt",
    ]);
    expect(modesOf(wheel)).toMatchObject({ "usr/local/bin/shell": 0o755, "usr/local/bin/tool": 0o755 });
    expect(textOf(wheel, "usr/local/bin/tool")).toBe("#!/usr/local/bin/python3.12\nprint(1)\n");
    expect(textOf(wheel, "usr/local/bin/shell")).toBe("#!/bin/sh\n");
    expect(wheel.modules).toEqual(["plat", "pure"]);
    expectTrueRecord(wheel);
  });

  it("makes scripts of entry points, in place of those that setuptools wrote for them", () => {
    const wheel = installed({
      files: { "demo-1.0.data/scripts/run": "#!python\nold\n", "demo-1.0.data/scripts/run-script.py": "#!python\n" },
      entryPoints:
        "[console_scripts]\nrun = demo.cli:App.main [fast]\n[gui_scripts]\nwin = demo:gui\n[demo.plugins]\nx = any thing\n",
    });
    expect(Object.keys(modesOf(wheel)).filter((path) => path.startsWith("usr/local/bin/"))).toEqual([
      "usr/local/bin/run",
      "usr/local/bin/win",
    ]);
    const script = textOf(wheel, "usr/local/bin/run");
    expect(script).toMatch(/^#!\/usr\/local\/bin\/python3\.12\nimport sys\n/);
    expect(script).toContain("from demo.cli import App\n");
    expect(script).toContain("sys.exit(App.main())\n");
    expect(wheel.entryPoints.map(({ name }) => name)).toEqual(["run", "win", "x"]);
    expectTrueRecord(wheel);
  });

  it.skipIf(!hasPython())(
    "makes scripts that call the function and exit with its result (skipped without python3)",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "sheaf scripts "));
      try {
        writeFileSync(
          join(folder, "demo.py"),
          "import sys\nclass App:\n  @staticmethod\n  def main():\n    print(sys.argv)\n    return 3\n",
        );
        const wheel = installed({ entryPoints: "[console_scripts]\nrun = demo:App.main\n" }, pythonOfThisMachine());
        writeFileSync(join(folder, "run"), textOf(wheel, "usr/local/bin/run"), { mode: 0o755 });
        const call = () =>
          execFileSync(join(folder, "run"), ["a"], { env: { ...process.env, PYTHONPATH: folder }, encoding: "utf8" });
        expect(call).toThrow(expect.objectContaining({ status: 3, stdout: `['${folder}/run', 'a']\n` }));
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it.skipIf(!hasPython())("uses the shell where the kernel can't read the first line (skipped without python3)", () => {
    const folder = mkdtempSync(join(tmpdir(), "sheaf with spaces "));
    try {
      const executable = join(folder, "python");
      writeFileSync(executable, `#!/bin/sh\nexec ${pythonOfThisMachine()} "$@"\n`, { mode: 0o755 });
      const wheel = installed({ files: { "demo-1.0.data/scripts/tool": "#!pythonw\nprint('ran')\n" } }, executable);
      writeFileSync(join(folder, "tool"), textOf(wheel, "usr/local/bin/tool"), { mode: 0o755 });
      expect(execFileSync(join(folder, "tool"), { encoding: "utf8" })).toBe("ran\n");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("rewrites over-long first lines with the shell form", () => {
    const executable = `/${"d".repeat(130)}/python3`;
    const wheel = installed({ entryPoints: "[console_scripts]\nrun = demo:main\n" }, executable);
    expect(textOf(wheel, "usr/local/bin/run")).toMatch(
      `#!/bin/sh\n'''exec' ${executable} "$0" "$@"\n' '''\nimport sys\n`,
    );
  });

  // Edge case 28: dist-info folders that are not named as the specification says.
  it.each(["De_Mo.X-1.0.dist-info", "de-mo-x-1.0.0.dist-info"])("accepts the dist-info folder %s", (distInfo) => {
    const wheel = installed({ name: "de_mo_x", distInfo });
    expect(wheel.distInfo).toBe(`${site}/${distInfo}`);
  });

  // Edge case 28: pyarrow's wheels have a directory entry `pyarrow./`.
  it("accepts odd directory entries", () => {
    expect(installed({ extra: [{ path: "pyarrow./", mode: 0o040755 }] }).entries.length).toBe(4);
  });

  // Edge case 29: namespace packages have no __init__.py, and several wheels share them.
  it("finds namespace packages and extension modules among the modules", () => {
    const wheel = installed({
      files: {
        "google/cloud/storage/__init__.py": "",
        "_cffi_backend.cpython-312-x86_64-linux-gnu.so": "",
        "fast.abi3.so": "",
        "demo.libs/libz-1234.so": "",
        "nvidia/cudnn/lib/libcudnn.so.8": "",
        "docs/readme.txt": "",
      },
    });
    expect(wheel.modules).toEqual(["_cffi_backend", "fast", "google"]);
  });

  it("leaves out what another distribution has put there, and keeps it in RECORD", () => {
    const path = `${site}/shared/data.py`;
    const { filename, bytes } = buildWheel({ files: { "shared/data.py": "1", "own.py": "" } });
    const wheel = installWheel(bytes, { filename, layout, strip: true, exclude: new Set([path]) });
    expect(wheel.entries.map((entry) => entry.path)).not.toContain(path);
    expect(wheel.pythonFiles).toEqual([`${site}/own.py`]);
    expect(wheel.modules).toEqual(["own", "shared"]);
    expect(recordOf(wheel).map((row) => row.path)).toContain("shared/data.py");
  });

  it("lets the later of two files at one path win, as pip does", () => {
    const wheel = installed({ files: { "demo-1.0.data/purelib/same.py": "data\n", "same.py": "root\n" } });
    expect(textOf(wheel, `${site}/same.py`)).toBe("data\n");
    expect(wheel.notes).toEqual([expect.stringContaining("same.py")]);
    expectTrueRecord(wheel);
  });

  it("writes its own files over those that the wheel smuggles to their places", () => {
    const program = buildElf({ type: "exec", debug: 9000 });
    const wheel = installed({
      files: { "demo-1.0.data/purelib/demo-1.0.dist-info/RECORD": "forged,,\n", "demo-1.0.data/data/bin/run": program },
      entryPoints: "[console_scripts]\nrun = demo:main\n",
    });
    expect(textOf(wheel, "usr/local/bin/run")).toContain("from demo import main");
    expect(wheel).toMatchObject({ elf: [], strippedFiles: 0, strippedBytes: 0 });
    expectTrueRecord(wheel);
  });

  it("notes paths that differ only in case", () => {
    expect(installed({ files: { "A.py": "", "a.py": "" } }).notes).toEqual([expect.stringContaining("only in case")]);
  });

  it("keeps a large file's own deflate stream", () => {
    const noise = randomBytes(60_000);
    const wheel = installed({ files: { "demo/noise.bin": noise } });
    const entry = wheel.entries.find(({ path }) => path.endsWith("noise.bin"));
    if (entry?.type !== "file" || entry.content.kind !== "deflated") throw new Error("not kept deflated");
    expect(inflateRawSync(entry.content.deflated).equals(noise)).toBe(true);
    expect(entry.content.size).toBe(noise.length);
  });
});

describe("installWheel and RECORD", () => {
  it("drops signatures of RECORD and marks of other installers", () => {
    const files = Object.fromEntries(
      ["RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"].map((name) => [
        `demo-1.0.dist-info/${name}`,
        "x",
      ]),
    );
    const wheel = installed({ files, record: (rows) => rows.filter((row) => !row.includes("/RECORD.")) });
    expect(wheel.entries.map(({ path }) => path.split("/").at(-1))).toEqual([
      "INSTALLER",
      "METADATA",
      "RECORD",
      "WHEEL",
    ]);
    expect(wheel.notes).toEqual([]);
  });

  it.each([
    ["another hash", (row: string) => row.replace(/sha256=..../, "sha256=AAAA")],
    ["another size", (row: string) => row.replace(/,\d+$/, ",77")],
    ["a hash that proves nothing", (row: string) => row.replace(/sha256=[\w-]+/, "md5=AAAA")],
  ])("refuses a file for which it has %s", (_, change) => {
    const spec: WheelSpec = {
      files: { "demo.py": "x = 1\n" },
      record: (rows) => rows.map((row) => (row.startsWith("demo.py,") ? change(row) : row)),
    };
    const error = errorOf(spec);
    expect(error.code).toBe("SHEAF_WHEEL_RECORD");
    expect(error.message).toContain("demo-1.0-py3-none-any.whl");
    expect(error.message).toContain("demo.py");
  });

  it("takes hashes in the ordinary base64 alphabet, with padding", () => {
    const ordinary = (row: string) =>
      row.replace(/sha256=([\w-]+)/, (_, hash: string) => `sha256=${hash.replaceAll("-", "+").replaceAll("_", "/")}=`);
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`m${index}.py`, `x = ${index}\n`]));
    expect(installed({ files, record: (rows) => rows.map((row) => ordinary(row)) }).notes).toEqual([]);
  });

  it("refuses a wheel without one, and one that contradicts itself", () => {
    expect(errorOf({ record: () => undefined }).code).toBe("SHEAF_WHEEL_RECORD");
    const other = recordRow("demo-1.0.dist-info/WHEEL", Buffer.from("other"));
    expect(errorOf({ record: (rows) => [...rows, other] }).message).toContain("two different rows");
  });

  it("installs files that it does not know and forgets rows without a file, with a note, as pip does", () => {
    const wheel = installed({
      files: { "known.py": "", "unknown.py": "" },
      record: (rows) => [...rows.filter((row) => !row.startsWith("unknown.py")), "absent.py,,"],
    });
    expect(wheel.notes).toEqual([expect.stringContaining("unknown.py"), expect.stringContaining("absent.py")]);
    expect(recordOf(wheel).map(({ path }) => path)).toEqual(expect.arrayContaining(["known.py", "unknown.py"]));
    expectTrueRecord(wheel);
  });
});

describe("installWheel refuses", () => {
  it.each<[string, WheelSpec]>([
    ["paths with ..", { files: { "../evil.py": "" } }],
    ["absolute paths", { files: { "/etc/passwd": "" } }],
    ["paths that leave their scheme", { files: { "demo-1.0.data/scripts/../../evil": "" } }],
    ["backslashes", { files: { "a\\b.py": "" } }],
    ["symbolic links", { extra: [{ path: "link", bytes: Buffer.from("/etc"), mode: 0o120777 }] }],
    ["unknown schemes", { files: { "demo-1.0.data/etc/passwd": "" } }],
    ["files directly in *.data", { files: { "demo-1.0.data/scripts": "" } }],
    ["a second dist-info", { files: { "other-1.0.dist-info/METADATA": "" } }],
    ["a dist-info of another project", { distInfo: "other-1.0.dist-info" }],
    ["METADATA of another project", { metadata: "Name: other\nVersion: 1.0\n" }],
    ["METADATA of another version", { metadata: "Name: demo\nVersion: 1.1\n" }],
    ["a newer format", { wheel: "Wheel-Version: 2.0\nRoot-Is-Purelib: true\n" }],
    ["a file that is a folder too", { files: { demo: "", "demo/x.py": "" } }],
    ["scripts that leave their folder", { entryPoints: "[console_scripts]\n../evil = demo:main\n" }],
    ["scripts that call nothing", { entryPoints: "[console_scripts]\nrun = demo\n" }],
    ["scripts that are source text", { entryPoints: "[console_scripts]\nrun = demo:main(__import__('os'))\n" }],
  ])("%s", (_, spec) => {
    const error = errorOf(spec);
    expect(error.code).toBe("SHEAF_WHEEL");
    expect(error.message).toMatch(/^demo-1\.0-py3-none-any\.whl: /);
  });

  it("duplicate entries", () => {
    expect(errorOf({ files: { "a.py": "" }, extra: [{ path: "a.py" }] }).code).toBe("SHEAF_ZIP");
  });

  it("a wheel without dist-info, and what is no zip archive", () => {
    const filename = "demo-1.0-py3-none-any.whl";
    const wheels: BuiltWheel[] = [
      { filename, bytes: buildZip([{ path: "demo.py" }]) },
      { filename, bytes: Buffer.from("not a zip archive") },
    ];
    for (const { bytes } of wheels) {
      expect(() => installWheel(bytes, { filename, layout, strip: true })).toThrow(SheafError);
    }
  });

  it("archives that claim to unpack to far more than they are", () => {
    const extra = [{ path: "bomb", bytes: randomBytes(2 ** 21), declaredSize: 2 ** 31 - 1 }];
    expect(errorOf({ extra })).toMatchObject({ code: "SHEAF_ZIP", message: expect.stringContaining("bomb") });
  });

  it("nothing with another kind of error, whatever its own files say", () => {
    const text = fc.array(
      fc.constantFrom(
        "Name: demo\n",
        "Version: 1.0\n",
        "Wheel-Version: 1.0\n",
        "[console_scripts]\n",
        "run = demo:main\n",
        ",",
        "=",
        "demo.py",
        '"',
        "\n",
        "sha256=",
        "a",
        "\0",
        "é",
        "../",
        "/",
      ),
      { maxLength: 12 },
    );
    const spec = fc.record({ metadata: text, wheel: text, entryPoints: text, record: text });
    fc.assert(
      fc.property(spec, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), (texts, [metadata, wheel, record]) => {
        try {
          installed({
            files: { "demo.py": "" },
            entryPoints: texts.entryPoints.join(""),
            ...(metadata ? { metadata: texts.metadata.join("") } : {}),
            ...(wheel ? { wheel: texts.wheel.join("") } : {}),
            ...(record ? { record: (rows) => [...rows, ...texts.record] } : {}),
          });
        } catch (error) {
          expect(error).toBeInstanceOf(SheafError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("nothing with another kind of error, however the bytes are changed", () => {
    const { filename, bytes } = buildWheel({
      files: {
        "demo.py": "x = 1\n".repeat(50),
        "demo-1.0.data/scripts/run": "#!python\n",
        "lib.so": buildElf({ needed: ["libc.so.6"] }),
      },
      entryPoints: "[console_scripts]\nrun = demo:main\n",
    });
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const changed = Uint8Array.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        try {
          installWheel(changed, { filename, layout, strip: true });
        } catch (error) {
          expect(error).toBeInstanceOf(SheafError);
        }
      }),
      { numRuns: 400 },
    );
  });
});

// Edge case 32: what the dynamic linker needs to know travels with the wheel.
describe("installWheel and ELF files", () => {
  const library = buildElf({
    soname: "libx.so.1",
    needed: ["libc.so.6"],
    runpath: "$ORIGIN/../demo.libs",
    debug: 50_000,
  });

  it("reports facts and strips, with RECORD brought up to date", () => {
    const wheel = installed({ files: { "demo/_x.abi3.so": library } });
    expect(wheel.elf).toEqual([
      {
        path: `${site}/demo/_x.abi3.so`,
        facts: expect.objectContaining({ soname: "libx.so.1", runpath: ["$ORIGIN/../demo.libs"] }),
      },
    ]);
    expect(wheel.strippedFiles).toBe(1);
    expect(wheel.strippedBytes).toBeGreaterThan(49_000);
    expectTrueRecord(wheel);
  });

  it("leaves them whole when asked", () => {
    const { filename, bytes } = buildWheel({ files: { "demo/_x.abi3.so": library } });
    const wheel = installWheel(bytes, { filename, layout, strip: false });
    expect(wheel).toMatchObject({ strippedFiles: 0, strippedBytes: 0 });
    expect(bytesOf(wheel, `${site}/demo/_x.abi3.so`).equals(Buffer.from(library))).toBe(true);
  });

  it("leaves a broken one as it is, with a note", () => {
    const wheel = installed({ files: { "tests/broken.so": library.subarray(0, 40) } });
    expect(wheel.elf).toEqual([]);
    expect(wheel.notes).toEqual([expect.stringContaining("tests/broken.so is left as it is")]);
  });

  it("knows programs among the scripts", () => {
    const wheel = installed({ files: { "demo-1.0.data/scripts/ruff": buildElf({ type: "exec", debug: 9000 }) } });
    expect(wheel.elf.map(({ path }) => path)).toEqual(["usr/local/bin/ruff"]);
    expect(wheel.strippedFiles).toBe(1);
  });
});

function installed(spec: WheelSpec, executable: string = layout.executable): InstalledWheel {
  const { filename, bytes } = buildWheel(spec);
  return installWheel(bytes, { filename, layout: { ...layout, executable }, strip: true });
}

function errorOf(spec: WheelSpec): SheafError {
  try {
    installed(spec);
  } catch (error) {
    if (error instanceof SheafError) return error;
    throw error;
  }
  throw new Error("it was installed");
}

function modesOf(wheel: InstalledWheel): Record<string, number> {
  return Object.fromEntries(wheel.entries.map((entry) => [entry.path, entry.mode]));
}

function bytesOf(wheel: InstalledWheel, path: string): Buffer {
  return contentOf(wheel.entries.find((entry) => entry.path === path));
}

function contentOf(entry: Entry | undefined): Buffer {
  if (entry?.type !== "file") throw new Error("no such file");
  if (entry.content.kind === "disk" || entry.content.kind === "large") throw new Error("on disk");
  return entry.content.kind === "bytes" ? Buffer.from(entry.content.bytes) : inflateRawSync(entry.content.deflated);
}

function textOf(wheel: InstalledWheel, path: string): string {
  return bytesOf(wheel, path).toString("utf8");
}

function recordOf(wheel: InstalledWheel) {
  return parseRecord(textOf(wheel, `${wheel.distInfo}/RECORD`));
}

/** Every file has one row with its hash and size, RECORD itself an empty one. */
function expectTrueRecord(wheel: InstalledWheel): void {
  const folder = wheel.distInfo.slice(0, wheel.distInfo.lastIndexOf("/"));
  const rows = recordOf(wheel).map((row) => ({ ...row, path: join(folder, row.path) }));
  const expected = wheel.entries.map((entry) => {
    if (entry.path === `${wheel.distInfo}/RECORD`) return { path: entry.path };
    const bytes = contentOf(entry);
    return { path: entry.path, hash: recordHash(bytes), size: bytes.length };
  });
  expect(rows.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual(expected);
}

function pythonOfThisMachine(): string {
  return execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();
}

function hasPython(): boolean {
  try {
    return pythonOfThisMachine() !== "";
  } catch {
    return false;
  }
}
