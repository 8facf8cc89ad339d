import * as fs from "node:fs";
import * as path from "node:path";

/** Absolute path of a program on PATH, undefined when there is none. */
export function findProgram(name: string, searchPath = process.env["PATH"]): string | undefined {
  // Ordinary users often lack the sbin folders, where some distributions keep the tools for namespaces.
  for (const folder of [...(searchPath ?? "").split(":"), "/usr/sbin", "/sbin"]) {
    if (!path.isAbsolute(folder)) continue;
    const file = path.join(folder, name);
    if (isExecutable(file)) return file;
  }
  return undefined;
}

/** Whether it is a file that this process may run. */
export function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
