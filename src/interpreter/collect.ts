import * as fs from "node:fs";
import * as path from "node:path";

import { elfFacts, type ElfFacts } from "../elf/facts.ts";
import { isElf } from "../elf/read.ts";
import { stripElf } from "../elf/strip.ts";
import { SheafError } from "../errors.ts";
import type { DirectoryEntry, Entry, FileEntry, SymlinkEntry } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { InterpreterChoice } from "./choose.ts";
import { interpreterFingerprint } from "./fingerprint.ts";
import { buildFolders, configuredPrefix, imagePrefix, mendBinary, mendBuildText } from "./host-paths.ts";
import { listFolder } from "./inspect.ts";
import { pythonLayout } from "./layout.ts";
import { mendRunpath } from "./runpath.ts";
import { reasonLeftOut } from "./stdlib.ts";
import { byCodeUnit, byPath } from "../order.ts";

export interface CollectOptions {
  /** Names of parts in `leftOut` that go in all the same, such as `curses`. */
  keep?: readonly string[];
  /** Whether symbol tables and debug sections stay out; they do unless told. */
  strip?: boolean;
}

export interface Interpreter {
  layout: PythonLayout;
  /** Sorted by path, directories before what is in them. */
  entries: Entry[];
  /** Names the result without its bytes: the fingerprint of what was read and how. */
  key: string;
  /** Facts of every ELF file as it goes into the image, by path. */
  elf: { path: string; facts: ElfFacts }[];
  /** The symbolic links among the entries: `usr/local/bin/python` → `python3.12`. */
  links: { path: string; target: string }[];
  /** The newest glibc whose symbols it needs: `2.34`. */
  glibcNeeded?: string;
  /** What stayed out, in bytes as they are on this machine. */
  leftOut: { name: string; reason: string; size: number }[];
  /** Bytes of symbol tables and debug sections that were taken off. */
  stripped: number;
}

/** Raised when the same installation gives other entries. */
const recipe = 1;

/** The key that `collectInterpreter` gives, without reading files: takes about a millisecond. */
export function interpreterKey(choice: InterpreterChoice, options: CollectOptions = {}): string {
  const keep = [...(options.keep ?? [])].toSorted().join(",");
  return `${recipe}:${interpreterFingerprint(choice)}:${keep}:${(options.strip ?? true) ? "stripped" : "whole"}`;
}

/**
 * Copies an installation of this machine into /usr/local of an image: executable, shared library if it is used, standard
 * library and extension modules. Names of this machine's folders are taken out of them; libraries find each other through
 * $ORIGIN.
 *
 * @throws SheafError SHEAF_INTERPRETER when the installation can't be read
 */
export function collectInterpreter(choice: InterpreterChoice, options: CollectOptions = {}): Interpreter {
  if (choice.prefix === undefined) throw new Error(`${choice.kind} interpreters come as packages, not from a folder`);
  try {
    return new Collector(choice, choice.prefix, options).collect();
  } catch (error) {
    if (error instanceof SheafError || !(error instanceof Error && "code" in error)) throw error;
    throw new SheafError("SHEAF_INTERPRETER", `Python ${choice.version} can't be read: ${error.message}`, {
      hint: ["install it anew, for example with uv python install", "or choose another with --python"],
      cause: error,
    });
  }
}

class Collector {
  readonly #choice: InterpreterChoice;
  readonly #prefix: string;
  readonly #layout: PythonLayout;
  readonly #keep: ReadonlySet<string>;
  readonly #strip: boolean;
  readonly #key: string;
  readonly #entries = new Map<string, Entry>();
  readonly #elf: Interpreter["elf"] = [];
  readonly #leftOut = new Map<string, { name: string; reason: string; size: number }>();
  /** The installation's own folder under each of its names. */
  #hostPrefixes: string[] = [];
  /** All folders of this machine that must not show in the image. */
  #hostFolders: string[] = [];
  #stripped = 0;

  constructor(choice: InterpreterChoice, prefix: string, options: CollectOptions) {
    this.#choice = choice;
    this.#prefix = prefix;
    this.#layout = pythonLayout(choice.minor);
    this.#keep = new Set(options.keep);
    this.#strip = options.strip ?? true;
    this.#key = interpreterKey(choice, options);
  }

  collect(): Interpreter {
    const buildData = this.#readBuildData();
    this.#hostPrefixes = this.#findHostPrefixes(buildData);
    this.#hostFolders = [...this.#hostPrefixes, ...buildData.flatMap(buildFolders)];
    this.#addStandardLibrary("");
    this.#addExecutable();
    this.#addDirectory(this.#layout.purelib);
    this.#addDirectory(`${this.#layout.stdlib}/lib-dynload`);
    const entries = [...this.#entries.values()].toSorted(byPath);
    const elf = this.#elf.toSorted(byPath);
    return {
      layout: this.#layout,
      entries,
      key: this.#key,
      elf,
      links: entries.flatMap((entry) => (entry.type === "symlink" ? [{ path: entry.path, target: entry.target }] : [])),
      glibcNeeded: newestGlibc(elf.map(({ facts }) => facts)),
      leftOut: [...this.#leftOut.values()].toSorted((a, b) => b.size - a.size || byCodeUnit(a.name, b.name)),
      stripped: this.#stripped,
    };
  }

  /** Where it lies, under both names of a linked folder, and where it was configured to lie; longest first. */
  #findHostPrefixes(buildData: string[]): string[] {
    const prefixes = [this.#prefix, fs.realpathSync(this.#prefix), ...buildData.map(configuredPrefix)];
    return [...new Set(prefixes.filter((one): one is string => one !== undefined && one !== imagePrefix))].toSorted(
      (a, b) => b.length - a.length || byCodeUnit(a, b),
    );
  }

  #readBuildData(): string[] {
    const standard = path.join(this.#prefix, "lib", `python${this.#choice.minor}`);
    return listFolder(standard)
      .filter((name) => isBuildData(name))
      .toSorted()
      .map((name) => fs.readFileSync(path.join(standard, name), "utf8"));
  }

  #addExecutable(): void {
    const name = `python${this.#choice.minor}`;
    this.#addFile(path.join(this.#prefix, "bin", name), `${this.#layout.scripts}/${name}`);
    this.#addLink(`${this.#layout.scripts}/python3`, name);
    this.#addLink(`${this.#layout.scripts}/python`, "python3");
    const needed = new Set(this.#elf.flatMap(({ facts }) => facts.needed));
    for (const soname of listFolder(path.join(this.#prefix, "lib"))) {
      if (!soname.startsWith("libpython") || !needed.has(soname)) continue;
      this.#addFile(path.join(this.#prefix, "lib", soname), `usr/local/lib/${soname}`);
      this.#addUnversionedLink(soname);
    }
  }

  /** `libpython3.12.so`, which ctypes.util and programs that embed Python look for. */
  #addUnversionedLink(soname: string): void {
    const plain = soname.replace(/\.so\..*$/, ".so");
    if (plain !== soname) this.#addLink(`usr/local/lib/${plain}`, soname);
  }

  #addStandardLibrary(folder: string): void {
    const root = path.join(this.#prefix, "lib", `python${this.#choice.minor}`);
    const names = fs.readdirSync(path.join(root, folder)).toSorted();
    for (const name of names) {
      const relative = folder === "" ? name : `${folder}/${name}`;
      const file = path.join(root, relative);
      const out = reasonLeftOut(relative, this.#keep);
      if (out) {
        this.#countLeftOut(out, file);
        continue;
      }
      const stat = fs.statSync(file, { throwIfNoEntry: false });
      if (stat?.isDirectory()) {
        if (relative !== "site-packages") this.#addStandardLibrary(relative);
      } else if (stat?.isFile()) this.#addFile(file, `${this.#layout.stdlib}/${relative}`);
    }
  }

  #addFile(file: string, target: string): void {
    const isLibrary = /\.so(\.|$)/.test(path.basename(target));
    const isExecutable = target.startsWith(`${this.#layout.scripts}/`);
    const content = isLibrary || isExecutable ? this.#binaryContent(file, target) : this.#textContent(file);
    this.#put({ type: "file", path: target, mode: isLibrary || isExecutable ? 0o755 : 0o644, uid: 0, gid: 0, content });
  }

  #textContent(file: string): FileEntry["content"] {
    if (!isBuildData(path.basename(file))) return { kind: "disk", file, size: fs.statSync(file).size };
    const text = mendBuildText(fs.readFileSync(file, "utf8"), this.#hostPrefixes);
    return { kind: "bytes", bytes: Buffer.from(text, "utf8") };
  }

  #binaryContent(file: string, target: string): FileEntry["content"] {
    const original = fs.readFileSync(file);
    if (!isElf(original)) return { kind: "disk", file, size: original.length };
    const stripped = this.#strip ? stripElf(original) : undefined;
    const bytes = Uint8Array.from(stripped ?? original);
    this.#stripped += original.length - bytes.length;
    mendRunpath(bytes, (element) => this.#relocate(element, path.posix.dirname(target)));
    mendBinary(bytes, this.#hostFolders);
    const facts = elfFacts(bytes);
    if (facts) this.#elf.push({ path: target, facts });
    return { kind: "bytes", bytes };
  }

  /** Run path elements inside the installation become relative to the file, other absolute ones lead nowhere in an image. */
  #relocate(element: string, folder: string): string | undefined {
    if (!element.startsWith("/")) return element === "" ? undefined : element;
    const home = this.#hostPrefixes.find((prefix) => element === prefix || element.startsWith(`${prefix}/`));
    if (home === undefined) return element.startsWith(`${imagePrefix}/`) ? element : undefined;
    const inside = path.posix.join("usr/local", element.slice(home.length));
    const relative = path.posix.relative(folder, inside);
    return relative === "" ? "$ORIGIN" : `$ORIGIN/${relative}`;
  }

  #countLeftOut({ name, reason }: { name: string; reason: string }, file: string): void {
    const before = this.#leftOut.get(name);
    const size = (before?.size ?? 0) + sizeOf(file);
    this.#leftOut.set(name, { name, reason, size });
  }

  #addLink(from: string, target: string): void {
    this.#put({ type: "symlink", path: from, mode: 0o777, uid: 0, gid: 0, target });
  }

  #addDirectory(folder: string): void {
    if (folder === "." || this.#entries.has(folder)) return;
    this.#put({ type: "directory", path: folder, mode: 0o755, uid: 0, gid: 0 });
  }

  #put(entry: FileEntry | SymlinkEntry | DirectoryEntry): void {
    this.#addDirectory(path.posix.dirname(entry.path));
    this.#entries.set(entry.path, entry);
  }
}

function isBuildData(name: string): boolean {
  return /^_sysconfig(?:data|_vars)_.*\.(?:py|json)$/.test(name) || name === "build-details.json";
}

/** Bytes under a path, links not followed. */
function sizeOf(file: string): number {
  const stat = fs.lstatSync(file);
  if (!stat.isDirectory()) return stat.isFile() ? stat.size : 0;
  return listFolder(file).reduce((sum, name) => sum + sizeOf(path.join(file, name)), 0);
}

/** The highest GLIBC_x.y that any file demands. */
function newestGlibc(facts: ElfFacts[]): string | undefined {
  let newest: [number, number] | undefined;
  for (const version of facts.flatMap((one) => one.versionsNeeded.flatMap(({ versions }) => versions))) {
    const match = /^GLIBC_(\d+)\.(\d+)/.exec(version);
    if (!match) continue;
    const [major, minor] = [Number(match[1]), Number(match[2])];
    if (!newest || major > newest[0] || (major === newest[0] && minor > newest[1])) newest = [major, minor];
  }
  return newest?.join(".");
}
