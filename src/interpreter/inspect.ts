import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { minorOf, oldestMinor } from "./version.ts";

/** A CPython installation as it lies on a disk, read without running it. */
export interface Installation {
  prefix: string;
  /** `3.12.1`, with `rc1` and the like for pre-releases. */
  version: string;
  minor: string;
  machine: "x86_64" | "aarch64";
}

/** A folder that looked like an interpreter and why it isn't taken, in the user's words. */
export interface Rejection {
  what: string;
  whyNot: string;
}

/**
 * Every CPython under one prefix (`/usr/local` may hold several minors). The name of the sysconfig data module says
 * what was built: `_sysconfigdata_{abiflags}_{platform}_{multiarch}.py`, with `t` and `d` for free-threaded and debug builds.
 */
export function inspectPrefix(prefix: string): { found: Installation[]; rejected: Rejection[] } {
  const found: Installation[] = [];
  const rejected: Rejection[] = [];
  for (const library of standardLibraries(prefix)) {
    const result = inspectLibrary(prefix, library);
    if (typeof result === "string") rejected.push({ what: path.join(prefix, "bin", library), whyNot: result });
    else if (result) found.push(result);
  }
  return { found, rejected };
}

function standardLibraries(prefix: string): string[] {
  return listFolder(path.join(prefix, "lib"))
    .filter((name) => /^python3\.\d+t?$/.test(name))
    .toSorted();
}

/** An installation, a reason against it, or undefined where there is only a folder and no interpreter. */
function inspectLibrary(prefix: string, library: string): Installation | string | undefined {
  const minor = library.slice("python".length);
  const executable = path.join(prefix, "bin", `python${minor}`);
  if (!fs.existsSync(path.join(prefix, "lib", library, "os.py")) || !fs.existsSync(executable)) return undefined;
  if (library.endsWith("t")) return "is a free-threaded build, for which few wheels exist";
  if (Number(minor.slice(2)) < oldestMinor) return `is older than Python 3.${oldestMinor}`;
  if (fs.existsSync(path.join(prefix, "conda-meta"))) return "belongs to conda, whose libraries can't be taken along";
  if (fs.existsSync(path.join(prefix, "pyvenv.cfg"))) return "is a virtual environment, not an interpreter";
  if (!isInside(prefix, executable)) return "links to an interpreter elsewhere";
  if (!startsAsElf(executable)) return "is not a Linux program";
  const build = readBuild(prefix, library);
  if (typeof build === "string") return build;
  const missing = missingModules(path.join(prefix, "lib", library, "lib-dynload"));
  if (missing.length > 0) return `was built without ${missing.join(", ")}`;
  const version = readVersion(prefix, minor);
  if (!version) return "doesn't say which patch release it is";
  return { prefix, version, minor, machine: build.machine };
}

function readBuild(prefix: string, library: string): { machine: Installation["machine"] } | string {
  const pattern = /^_sysconfigdata_([a-z]*)_linux_(.*)\.py$/;
  const names = listFolder(path.join(prefix, "lib", library)).flatMap((name) => {
    const match = pattern.exec(name);
    return match ? [{ flags: match[1] ?? "", multiarch: match[2] ?? "" }] : [];
  });
  const plain = names.find((name) => name.flags === "");
  if (!plain) {
    if (names.some((name) => name.flags.includes("d"))) return "is a debug build";
    if (names.some((name) => name.flags.includes("t"))) return "is a free-threaded build, for which few wheels exist";
    return "is not CPython for Linux";
  }
  if (plain.multiarch.endsWith("-musl")) return "is built for musl, the image has glibc";
  const machine = /^(x86_64|aarch64)\b/.exec(plain.multiarch)?.[1];
  if (machine === "x86_64" || machine === "aarch64") return { machine };
  return machineOfElf(path.join(prefix, "bin", library)) ?? `is built for ${plain.multiarch || "an unknown machine"}`;
}

/** ELF header, e_machine at 18: 62 is x86-64, 183 is AArch64. */
function machineOfElf(file: string): { machine: Installation["machine"] } | undefined {
  const machine = readStart(file, 20)?.readUInt16LE(18);
  if (machine === 62) return { machine: "x86_64" };
  if (machine === 183) return { machine: "aarch64" };
  return undefined;
}

/** Interpreters built on a machine without the development packages lack modules that every service needs. */
function missingModules(folder: string): string[] {
  const names = listFolder(folder);
  const manyShared = names.filter((name) => name.endsWith(".so")).length > 20;
  if (!manyShared) return [];
  const has = (module: string) => names.some((name) => name.startsWith(`${module}.`));
  return ["_ssl", "_ctypes", "zlib"].filter((module) => !has(module)).map((module) => module.replace(/^_/, ""));
}

function readVersion(prefix: string, minor: string): string | undefined {
  const header = path.join(prefix, "include", `python${minor}`, "patchlevel.h");
  const fromHeader = /^#define\s+PY_VERSION\s+"([^"]+)"/m.exec(readText(header) ?? "")?.[1];
  if (fromHeader) return fromHeader;
  const fromName = /(?:^|-)(\d+\.\d+\.\d+[a-z0-9]*)(?:-|$)/.exec(path.basename(prefix))?.[1];
  if (fromName && minorOf(fromName) === minor) return fromName;
  return askVersion(path.join(prefix, "bin", `python${minor}`));
}

/** Only for installations without headers whose folder isn't named after the version. */
function askVersion(executable: string): string | undefined {
  try {
    const program = "import sys; print('.'.join(map(str, sys.version_info[:3])))";
    const output = execFileSync(executable, ["-I", "-S", "-c", program], {
      encoding: "utf8",
      timeout: 5000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return /^\d+\.\d+\.\d+$/.exec(output.trim())?.[0];
  } catch {
    return undefined;
  }
}

function isInside(prefix: string, file: string): boolean {
  return fs.realpathSync(file).startsWith(`${fs.realpathSync(prefix)}${path.sep}`);
}

function startsAsElf(file: string): boolean {
  return readStart(file, 4)?.toString("latin1") === "\x7fELF";
}

function readStart(file: string, length: number): Buffer | undefined {
  try {
    const descriptor = fs.openSync(file, "r");
    try {
      const bytes = Buffer.alloc(length);
      return fs.readSync(descriptor, bytes, 0, length, 0) === length ? bytes : undefined;
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Names in a folder, none when it isn't there or can't be read. */
export function listFolder(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}
