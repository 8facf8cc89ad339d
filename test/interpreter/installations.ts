import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import type { Machine } from "../../src/interpreter/discover.ts";
import { openStore, type Store } from "../../src/store/store.ts";

export interface FakeOptions {
  version?: string;
  machine?: "x86_64" | "aarch64";
  /** Letters in the sysconfig data module's name: `t`, `d`. */
  flags?: string;
  libc?: "gnu" | "musl";
  /** Whether include/ is there, which says the version. */
  headers?: boolean;
  /** Extension modules besides twenty others; all that a service needs unless told. */
  extensions?: string[];
}

/** A folder that looks like a CPython installation to whoever doesn't run it. */
export function fakeInstallation(prefix: string, options: FakeOptions = {}): string {
  const { version = "3.12.4", machine = "x86_64", flags = "", libc = "gnu", headers = true } = options;
  const minor = version.split(".").slice(0, 2).join(".");
  const library = `python${minor}${flags.includes("t") ? "t" : ""}`;
  const write = (name: string, content: string | Uint8Array) => {
    const file = path.join(prefix, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  };
  write(`bin/${library}`, elfHeader(machine));
  fs.chmodSync(path.join(prefix, "bin", library), 0o755);
  write(`lib/${library}/os.py`, "# os\n");
  write(
    `lib/${library}/_sysconfigdata_${flags}_linux_${machine}-linux-${libc}.py`,
    `build_time_vars = {'prefix': '${prefix}'}\n`,
  );
  for (const name of options.extensions ?? ["_ssl", "_ctypes", "zlib"])
    write(`lib/${library}/lib-dynload/${name}.x.so`, "");
  for (let index = 0; index < 21; index++) write(`lib/${library}/lib-dynload/_other${index}.x.so`, "");
  if (headers) write(`include/${library}/patchlevel.h`, `#define PY_VERSION      "${version}"\n`);
  return prefix;
}

/** e_ident, e_type and e_machine. */
function elfHeader(machine: "x86_64" | "aarch64"): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes[16] = 3;
  bytes[18] = machine === "x86_64" ? 62 : 183;
  return bytes;
}

export interface Lab {
  root: string;
  machine: Machine;
  store: Store;
  uvFolder: string;
  pyenvFolder: string;
  dispose(): void;
}

/** A machine without anything on it, in a temporary folder. */
export function emptyLab(): Lab {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-interpreter-")));
  const home = path.join(root, "home");
  const bin = path.join(root, "bin");
  fs.mkdirSync(home);
  fs.mkdirSync(bin);
  return {
    root,
    machine: { environment: { PATH: bin }, home, systemPrefixes: [], systemCollections: [] },
    store: openStore(path.join(root, "store")),
    uvFolder: path.join(home, ".local", "share", "uv", "python"),
    pyenvFolder: path.join(home, ".pyenv", "versions"),
    dispose: () => fs.rmSync(root, { recursive: true, force: true }),
  };
}

/** Specifiers that tests use: `>=3.9`, `<3.13`, `==3.12.*`, comma-separated. */
export function matches(version: string, specifier: string): boolean {
  return specifier.split(",").every((part) => {
    const [, operator, bound = ""] = /^(>=|<|==)(.*)$/.exec(part.trim()) ?? [];
    if (operator === ">=") return key(version) >= key(bound);
    if (operator === "<") return key(version) < key(bound);
    return version.startsWith(bound.replace("*", ""));
  });
}

/** `3.9` and `3.9.0` as the same number. */
function key(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return (major * 1000 + minor) * 1000 + patch;
}
