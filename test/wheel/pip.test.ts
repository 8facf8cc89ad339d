import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tmpdir } from "node:os";
import { inflateRawSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FileEntry } from "../../src/filesystem/entry.ts";
import type { PythonLayout } from "../../src/filesystem/layout.ts";
import { installWheel } from "../../src/wheel/install.ts";
import type { InstalledWheel } from "../../src/wheel/install.ts";
import { parseRecord } from "../../src/wheel/record.ts";

/** Scripts of both kinds, headers, *.data, namespaces, compiled parts with and without libraries of their own. */
const projects = [
  "fastapi",
  "uvicorn",
  "celery",
  "alembic",
  "jmespath",
  "greenlet",
  "asyncpg",
  "uvloop",
  "pydantic-core",
  "psycopg2-binary",
  "pyyaml",
  "pillow",
  "googleapis-common-protos",
  "tzdata",
  "typing-extensions",
];

/** pip writes these for files that a user names on its command line. */
const aboutTheInstaller = /\.dist-info\/(?:REQUESTED|direct_url\.json)$/;

const folder = realpathSync(mkdtempSync(join(tmpdir(), "sheaf-pip-")));
const wheels = downloadWheels();

describe.skipIf(wheels.length === 0)(
  "installWheel beside pip (skipped when pip 22.3 or its index does not answer)",
  () => {
    const venv = join(folder, "venv");
    let layout: PythonLayout;

    beforeAll(() => {
      execFileSync("python3", ["-m", "venv", "--without-pip", venv]);
      layout = layoutOf(venv);
      const before = new Set(filesBelow(venv));
      pip("--python", join(venv, "bin/python"), "install", "--no-deps", "--no-compile", "--no-index", ...wheels);
      byPip = new Map(
        filesBelow(venv)
          .filter((path) => !before.has(path) && !aboutTheInstaller.test(path))
          .map((path) => [path, readFileSync(path)]),
      );
      installed = wheels.map((file) =>
        installWheel(readFileSync(file), { filename: file.slice(folder.length + 1), layout, strip: false }),
      );
      byUs = new Map(
        installed.flatMap(({ entries }) => entries.map((entry) => [`/${entry.path}`, entry as FileEntry])),
      );
    });

    let byPip: Map<string, Buffer>;
    let byUs: Map<string, FileEntry>;
    let installed: InstalledWheel[];

    it("installs the same files", () => {
      expect(byPip.size).toBeGreaterThan(500);
      expect([...byUs.keys()].toSorted()).toEqual([...byPip.keys()].toSorted());
    });

    it("gives them the same bytes, save what names the installer", () => {
      const ours = /\.dist-info\/(?:RECORD|INSTALLER)$/;
      for (const [path, bytes] of byPip) {
        const entry = byUs.get(path);
        if (!entry || ours.test(path) || isGenerated(path)) continue;
        expect(contentOf(entry).equals(bytes), path).toBe(true);
      }
    });

    it("gives them the same right to run", () => {
      for (const [path, entry] of byUs)
        expect([path, entry.mode & 0o111], path).toEqual([path, statSync(path).mode & 0o111]);
    });

    it("makes scripts that mean the same", () => {
      const scripts = [...byPip].filter(([path]) => isGenerated(path));
      expect(scripts.length).toBeGreaterThan(3);
      for (const [path, bytes] of scripts) {
        const entry = byUs.get(path);
        expect(entry && meaningOf(contentOf(entry).toString())).toEqual(meaningOf(bytes.toString()));
      }
    });

    it("writes the same RECORD, save what names the installer", () => {
      for (const { distInfo } of installed) {
        const rows = (text: string) =>
          parseRecord(text)
            .filter(({ path }) => !path.endsWith(".dist-info/INSTALLER") && !aboutTheInstaller.test(path))
            .map((row) => (isGenerated(join("/", dirname(distInfo), row.path)) ? { path: row.path } : row))
            .toSorted((a, b) => (a.path < b.path ? -1 : 1));
        const record = `/${distInfo}/RECORD`;
        const entry = byUs.get(record);
        expect(entry && rows(contentOf(entry).toString())).toEqual(rows(byPip.get(record)?.toString() ?? ""));
      }
    });

    it("makes compiled modules that load after stripping", () => {
      let stripped = 0;
      for (const file of wheels) {
        const wheel = installWheel(readFileSync(file), {
          filename: file.slice(folder.length + 1),
          layout,
          strip: true,
        });
        stripped += wheel.strippedFiles;
        for (const { path } of wheel.elf) {
          const entry = wheel.entries.find((candidate) => candidate.path === path) as FileEntry;
          writeFileSync(`/${path}`, contentOf(entry));
        }
      }
      expect(stripped).toBeGreaterThan(2);
      const script =
        "import asyncpg.protocol.protocol, uvloop, pydantic_core, psycopg2, greenlet, yaml, PIL._imaging, PIL._imagingft, PIL._webp; print(uvloop.new_event_loop())";
      expect(execFileSync(join(venv, "bin/python"), ["-c", script], { encoding: "utf8" })).toContain("uvloop.Loop");
    });

    /** pip's own words for a script that it wrote. */
    function isGenerated(path: string): boolean {
      return (
        path.startsWith(`/${layout.scripts}/`) &&
        /sys\.exit\([\w.]+\(\)\)/.test(byPip.get(path)?.toString("latin1") ?? "")
      );
    }
  },
);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pip(...args: string[]): void {
  const quiet = ["--disable-pip-version-check", "--retries", "0", "--timeout", "10", "-q"];
  execFileSync("python3", ["-m", "pip", ...quiet, ...args], { stdio: ["ignore", "ignore", "ignore"], timeout: 90_000 });
}

function downloadWheels(): string[] {
  try {
    const version = execFileSync("python3", ["-m", "pip", "--version"], { encoding: "utf8" });
    if (Number.parseFloat(/\d+\.\d+/.exec(version)?.[0] ?? "0") < 22.3) return [];
    pip("download", "--no-deps", "--only-binary", ":all:", "-d", folder, ...projects);
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

function layoutOf(venv: string): PythonLayout {
  const script = "import json, sysconfig; print(json.dumps([sysconfig.get_paths(), sysconfig.get_python_version()]))";
  const output = execFileSync(join(venv, "bin/python"), ["-c", script], { encoding: "utf8" });
  const [paths, version] = JSON.parse(output) as [Record<string, string>, string];
  return {
    executable: join(venv, "bin/python"),
    purelib: relative(paths["purelib"]),
    platlib: relative(paths["platlib"]),
    scripts: relative(paths["scripts"]),
    data: relative(paths["data"]),
    // pip's own choice in a virtual environment.
    include: relative(join(venv, "include", "site", `python${version}`)),
    stdlib: relative(paths["stdlib"]),
    cacheTag: "",
  };
}

function relative(path = ""): string {
  return path.slice(1);
}

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function contentOf({ content }: FileEntry): Buffer {
  if (content.kind === "disk" || content.kind === "large") throw new Error("on disk");
  return content.kind === "bytes" ? Buffer.from(content.bytes) : inflateRawSync(content.deflated);
}

function meaningOf(script: string): (string | undefined)[] {
  return [/^#!.*/.exec(script)?.[0], /^from .* import .*$/m.exec(script)?.[0], /sys\.exit\(.*\)/.exec(script)?.[0]];
}
