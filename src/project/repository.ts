import { createHash } from "node:crypto";
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Dirent,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { SheafError } from "../errors.ts";
import { decodePython } from "./python/decode.ts";
import { byPath } from "../order.ts";

/** A file, link or other thing that isn't a folder. */
export interface RepositoryEntry {
  /** Path from the root, POSIX. */
  path: string;
  type: "file" | "symlink" | "special";
}

const MAX_TEXT_BYTES = 8_000_000;
const MAX_ENTRIES = 1_000_000;

/** Folders that hold nothing of the project's own and are not looked into. */
const foreign: Record<string, "vcs" | "virtualenv" | "cache" | undefined> = {
  ".git": "vcs",
  ".hg": "vcs",
  ".svn": "vcs",
  ".venv": "virtualenv",
  venv: "virtualenv",
  ".virtualenv": "virtualenv",
  __pycache__: "cache",
  node_modules: "cache",
  ".tox": "cache",
  ".nox": "cache",
  ".mypy_cache": "cache",
  ".pytest_cache": "cache",
  ".ruff_cache": "cache",
  ".hypothesis": "cache",
  ".ipynb_checkpoints": "cache",
  ".eggs": "cache",
  ".terraform": "cache",
};

export interface ForeignFolder {
  path: string;
  reason: "vcs" | "virtualenv" | "cache" | "special";
}

/** The files of a directory, read once, with their texts on demand. */
export class Repository {
  readonly root: string;
  readonly entries: RepositoryEntry[] = [];
  readonly folders = new Set<string>();
  readonly foreign: ForeignFolder[] = [];
  readonly #paths = new Map<string, RepositoryEntry>();
  readonly #texts = new Map<string, string | undefined>();
  readonly #bytes = new Map<string, Buffer | undefined>();
  #real: string | undefined;

  /**
   * Walks the directory.
   *
   * @param root absolute path
   * @throws SheafError SHEAF_NO_PROJECT when it is no directory, SHEAF_NAME for a file name that isn't UTF-8
   */
  constructor(root: string) {
    this.root = root;
    this.#walk("");
    this.entries.sort(byPath);
    for (const entry of this.entries) this.#paths.set(entry.path, entry);
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Text of a regular file; undefined when there is none, when it is huge or can't be read. */
  text(path: string): string | undefined {
    if (this.#texts.has(path)) return this.#texts.get(path);
    const bytes = this.bytes(path);
    const text = bytes === undefined ? undefined : path.endsWith(".py") ? decodePython(bytes) : bytes.toString("utf8");
    this.#texts.set(path, text);
    return text;
  }

  /** Bytes of a regular file of at most 8 MB, read once. */
  bytes(path: string): Buffer | undefined {
    if (!this.#bytes.has(path)) this.#bytes.set(path, this.#readBytes(path));
    return this.#bytes.get(path);
  }

  /** Whether a file holds any of some words, without keeping its bytes. */
  mentions(path: string, words: readonly string[]): boolean {
    const bytes = this.#bytes.get(path) ?? readUpTo(`${this.root}/${path}`, scratch);
    return bytes !== undefined && words.some((word) => bytes.includes(word));
  }

  /** SHA-256, in hex, over the names and bytes of files as `text` reads them. */
  digest(paths: readonly string[]): string {
    const hash = createHash("sha256");
    for (const path of paths) {
      const bytes = this.#bytes.has(path) ? this.#bytes.get(path) : this.#readBytes(path);
      hash.update(`${path}\0${bytes?.length ?? "-"}\0`);
      if (bytes) hash.update(bytes);
    }
    return hash.digest("hex");
  }

  /** The entry's own stats, a link's and not its target's; undefined when it has vanished. */
  stats(path: string): Stats | undefined {
    return lstatSync(`${this.root}/${path}`, { throwIfNoEntry: false });
  }

  #readBytes(path: string): Buffer | undefined {
    const entry = this.#paths.get(path);
    if (entry?.type === "symlink") return this.#linked(path);
    return entry?.type === "file" ? readUpTo(`${this.root}/${path}`, MAX_TEXT_BYTES) : undefined;
  }

  /** A link is followed when it stays in the repository. */
  #linked(path: string): Buffer | undefined {
    try {
      const target = realpathSync(`${this.root}/${path}`);
      this.#real ??= realpathSync(this.root);
      if (!target.startsWith(`${this.#real}/`)) return undefined;
      return lstatSync(target).isFile() ? readUpTo(target, MAX_TEXT_BYTES) : undefined;
    } catch {
      return undefined;
    }
  }

  #walk(folder: string): void {
    const entries = this.#list(folder);
    // Such folders are told by what is in them, whatever they are called.
    if (folder !== "" && entries.some(({ name }) => name === "pyvenv.cfg" || name === "CACHEDIR.TAG")) {
      const reason = entries.some(({ name }) => name === "pyvenv.cfg") ? "virtualenv" : "cache";
      this.foreign.push({ path: folder, reason });
      return;
    }
    this.folders.add(folder);
    for (const entry of entries) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        const reason = Object.hasOwn(foreign, entry.name) ? foreign[entry.name] : undefined;
        if (reason !== undefined && !(entry.name === "venv" && entries.some(({ name }) => name === "__init__.py")))
          this.foreign.push({ path, reason });
        else this.#walk(path);
        continue;
      }
      if (this.entries.length >= MAX_ENTRIES) throw tooManyFiles(this.root);
      this.entries.push({ path, type: entry.isFile() ? "file" : entry.isSymbolicLink() ? "symlink" : "special" });
    }
  }

  #list(folder: string): Dirent[] {
    const path = join(this.root, folder);
    try {
      const entries = readdirSync(path, { withFileTypes: true });
      for (const { name } of entries) if (name.includes("\uFFFD")) this.#refuseName(folder);
      return entries;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (folder === "" && (code === "ENOENT" || code === "ENOTDIR")) {
        throw new SheafError("SHEAF_NO_PROJECT", `${path} is not a folder`, {
          hint: "give the folder of a Python project",
          cause: error,
        });
      }
      if (code !== "EACCES" && code !== "EPERM" && code !== "ENOENT") throw error;
      if (folder === "") {
        throw new SheafError("SHEAF_NO_PROJECT", `${path} can't be read: permission denied`, {
          hint: "make it readable",
          cause: error,
        });
      }
      // Such as the data folder of a database that compose started as another user.
      if (code !== "ENOENT") this.foreign.push({ path: folder, reason: "special" });
      return [];
    }
  }

  /** Names may hold U+FFFD itself, so the bytes decide. */
  #refuseName(folder: string): void {
    for (const name of readdirSync(join(this.root, folder), { encoding: "buffer" })) {
      if (Buffer.from(name.toString("utf8"), "utf8").equals(name)) continue;
      const shown = name
        .toString("latin1")
        .replaceAll(/[^ -~]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
      throw new SheafError(
        "SHEAF_NAME",
        `a file name in ${folder === "" ? "the project's root" : `${folder}/`} is not UTF-8: ${shown}`,
        {
          details: [["bytes", name.toString("hex")]],
          hint: "rename the file: names in an image are UTF-8",
        },
      );
    }
  }
}

/** For bytes that are looked at once. */
const scratch = Buffer.allocUnsafeSlow(1_000_000);

/** A file's bytes, in a buffer of their own or a given one; undefined when they don't fit or can't be read. */
function readUpTo(path: string, limit: number | Buffer): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    if (typeof limit !== "number") return limit.subarray(0, readSync(file, limit, 0, limit.length, 0));
    const { size } = fstatSync(file);
    if (size > limit) return undefined;
    const buffer = Buffer.allocUnsafeSlow(size);
    return buffer.subarray(0, readSync(file, buffer, 0, size, 0));
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function tooManyFiles(root: string): SheafError {
  return new SheafError("SHEAF_NO_PROJECT", `${root} holds more than a million files`, {
    hint: "give the folder of the project itself",
  });
}
