import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import type { InterpreterChoice } from "./choose.ts";
import { listFolder } from "./inspect.ts";

/**
 * Changes when an installation was touched, without reading it: size, modification time and inode of the executable, the
 * shared library, and the standard library's folder and the folders in it. Installing, upgrading or mending CPython
 * replaces files by renaming, which changes the folder's time. Takes about a millisecond. A choice from Debian is named by
 * version and suite.
 */
export function interpreterFingerprint(choice: InterpreterChoice): string {
  const hash = createHash("sha256");
  hash.update(`${choice.kind}\0${choice.version}\0${choice.prefix ?? ""}\0${choice.suite ?? ""}\n`);
  if (choice.prefix !== undefined) {
    for (const file of watchedFiles(choice.prefix, choice.minor)) hash.update(`${file}\0${factsOf(file)}\n`);
  }
  return hash.digest("hex");
}

function watchedFiles(prefix: string, minor: string): string[] {
  const library = path.join(prefix, "lib");
  const standard = path.join(library, `python${minor}`);
  return [
    path.join(prefix, "bin", `python${minor}`),
    ...listFolder(library)
      .filter((name) => name.startsWith("libpython"))
      .toSorted()
      .map((name) => path.join(library, name)),
    standard,
    ...subfolders(standard),
  ];
}

function subfolders(folder: string): string[] {
  try {
    return fs
      .readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== "site-packages" && entry.name !== "__pycache__")
      .map((entry) => path.join(folder, entry.name))
      .toSorted();
  } catch {
    return [];
  }
}

function factsOf(file: string): string {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.size}:${stat.mtimeMs}:${stat.ino}` : "none";
}
