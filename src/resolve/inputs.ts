import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";

/** What a resolution read, so that a later run can tell in no time that nothing changed. */
export interface InputDigests {
  /** Path (from the project's root, or absolute) → digest of the bytes, "" when there was no such file. */
  files: Record<string, string>;
  /** Environment variable → digest of its value, "" when unset. */
  environment: Record<string, string>;
}

/** No lock is longer than this; what is, is read by mistake. */
const largestInput = 128 * 1024 * 1024;

/** Reads files and environment variables, and keeps count of what was read. */
export class Inputs {
  readonly root: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #files = new Map<string, string>();
  readonly #variables = new Map<string, string>();

  constructor(root: string, environment: NodeJS.ProcessEnv = process.env) {
    this.root = root;
    this.#environment = environment;
  }

  /** Text without a byte-order mark; undefined when there is no such file. */
  read(file: string): string | undefined {
    const bytes = this.readBytes(file);
    return bytes && decode(bytes, file);
  }

  readBytes(file: string): Uint8Array | undefined {
    const bytes = readFile(path.resolve(this.root, file));
    this.#files.set(file, digestOf(bytes));
    return bytes;
  }

  /** Whether a file or folder is there. */
  exists(file: string): boolean {
    return fs.existsSync(path.resolve(this.root, file));
  }

  variable(name: string): string | undefined {
    const value = this.#environment[name];
    this.#variables.set(name, digestOf(value));
    return value === "" ? undefined : value;
  }

  digests(): InputDigests {
    return { files: Object.fromEntries(this.#files), environment: Object.fromEntries(this.#variables) };
  }

  /** Whether everything that was read then would be read the same today. */
  unchanged(digests: InputDigests): boolean {
    return (
      Object.entries(digests.environment).every(([name, digest]) => digestOf(this.#environment[name]) === digest) &&
      Object.entries(digests.files).every(
        ([file, digest]) => digestOf(readFile(path.resolve(this.root, file))) === digest,
      )
    );
  }
}

function digestOf(value: Uint8Array | string | undefined): string {
  return value === undefined ? "" : createHash("sha256").update(value).digest("hex");
}

function readFile(file: string): Uint8Array | undefined {
  const found = fs.statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) return undefined;
  if (found.size > largestInput) {
    throw new SheafError(
      "SHEAF_INPUT_TOO_LARGE",
      `${file} has ${found.size} bytes, more than any lock or requirements file`,
    );
  }
  try {
    return fs.readFileSync(file);
  } catch (error) {
    throw new SheafError("SHEAF_INPUT", `${file} can't be read: ${(error as Error).message}`, { cause: error });
  }
}

/** UTF-8 unless a byte-order mark says UTF-16, as pip reads requirements files. */
function decode(bytes: Uint8Array, file: string): string {
  const utf16 =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? "utf-16le"
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? "utf-16be"
        : undefined;
  try {
    return new TextDecoder(utf16 ?? "utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SheafError("SHEAF_INPUT", `${file} is not UTF-8 text`, { hint: "save it as UTF-8", cause: error });
  }
}
