import { SheafError } from "../errors.ts";
import { scriptReference } from "./entry-points.ts";
import type { EntryPoint } from "./entry-points.ts";

/** The scripts of a wheel's console and GUI entry points: file name to content, in the order in which pip makes them. */
export function entryPointScripts(points: EntryPoint[], executable: string): Map<string, Uint8Array> {
  const scripts = new Map<string, Uint8Array>();
  for (const group of ["console_scripts", "gui_scripts"]) {
    for (const point of points) {
      if (point.group !== group) continue;
      scripts.set(scriptName(point), Buffer.from(scriptText(point, executable), "utf8"));
    }
  }
  return scripts;
}

/**
 * Replaces the first line of a script that begins with `#!python` (binary distribution format, "recommended installer
 * features"), arguments included, as pip does.
 *
 * @returns undefined for scripts of any other kind
 */
export function withShebang(script: Uint8Array, executable: string): Uint8Array | undefined {
  const placeholder = Buffer.from("#!python", "latin1");
  if (Buffer.compare(script.subarray(0, placeholder.length), placeholder) !== 0) return undefined;
  const end = script.indexOf(10);
  return Buffer.concat([
    Buffer.from(shebang(executable), "utf8"),
    end < 0 ? new Uint8Array() : script.subarray(end + 1),
  ]);
}

/** Whether setuptools made this script for an entry point, so that the generated one stands in its place. */
export function isEntryPointWrapper(fileName: string, scripts: ReadonlyMap<string, unknown>): boolean {
  return scripts.has(fileName.replace(/(?:\.exe|-script\.py|\.pya)$/i, ""));
}

/**
 * The first line, or three where the kernel could not read it: older ones read 127 bytes and none allows spaces. The
 * long form is a shell command that Python sees as a string.
 */
function shebang(executable: string): string {
  const simple = `#!${executable}\n`;
  if (Buffer.byteLength(simple) <= 128 && !/\s/.test(executable)) return simple;
  const quoted = /[^\w@%+=:,./-]/.test(executable) ? `"${executable.replace(/["$\\`]/g, "\\$&")}"` : executable;
  return `#!/bin/sh\n'''exec' ${quoted} "$0" "$@"\n' '''\n`;
}

function scriptName(point: EntryPoint): string {
  const { name } = point;
  if (/^[^\s[/\\\0]+$/.test(name) && name !== "." && name !== "..") return name;
  throw new SheafError("SHEAF_WHEEL", `the ${point.group} entry point ${JSON.stringify(name)} is no file name`, {
    hint: "the name of a script has no spaces and no slashes",
  });
}

function scriptText(point: EntryPoint, executable: string): string {
  const { module, attribute } = scriptReference(point);
  const imported = attribute.split(".")[0] ?? attribute;
  return [
    `${shebang(executable)}import sys`,
    "",
    `from ${module} import ${imported}`,
    "",
    'if __name__ == "__main__":',
    '    if sys.argv[0].endswith(".exe"):',
    "        sys.argv[0] = sys.argv[0][:-4]",
    `    sys.exit(${attribute}())`,
    "",
  ].join("\n");
}
