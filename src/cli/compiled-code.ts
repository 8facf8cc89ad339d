import * as fs from "node:fs";
import { createRequire } from "node:module";
import * as path from "node:path";
import * as v8 from "node:v8";
import * as vm from "node:vm";
import { crc32 } from "node:zlib";

/** A CommonJS file, and where its compiled code is kept between runs. */
export interface CompiledCode {
  file: string;
  /** Absolute. It may be damaged, or of another version: it is made anew then. */
  cache: string;
}

export interface LoadedCode {
  exports: unknown;
  /** Keeps what was compiled meanwhile, unless it is kept already. That nothing can be written is no error. */
  save(): void;
}

/**
 * Loads a CommonJS file with the code that V8 compiled in an earlier run: to compile it anew costs more than all else
 * that a build without changes does. What Node 22 has as `module.enableCompileCache`, for Node 20.
 */
export function loadCompiled({ file, cache }: CompiledCode): LoadedCode {
  // Functions that ran once are forgotten by the time a long command ends, the one around all of the file first. V8 takes
  // cached code under the flags alone under which it was made.
  v8.setFlagsFromString("--no-flush-bytecode");
  const cachedData = readChecked(cache);
  const source = `(function (exports, require, module, __filename, __dirname) {${fs.readFileSync(file, "utf8")}\n})`;
  const script = new vm.Script(source, { filename: file, cachedData });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, path.dirname(file));
  return {
    exports: module.exports,
    save() {
      if (cachedData && !script.cachedDataRejected) return;
      // Functions that ran are compiled by now, and are in it.
      writeChecked(cache, script.createCachedData());
    },
  };
}

/** V8 looks at version, flags and length of the source alone, and trusts the rest. */
function readChecked(cache: string): Buffer | undefined {
  try {
    const bytes = fs.readFileSync(cache);
    const code = bytes.subarray(4);
    return bytes.length > 4 && crc32(code) === bytes.readUInt32LE(0) ? code : undefined;
  } catch {
    return undefined;
  }
}

function writeChecked(cache: string, code: Buffer): void {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(code));
  const temporary = `${cache}.${process.pid}.tmp`;
  try {
    fs.mkdirSync(path.dirname(cache), { recursive: true });
    removeOthers(cache);
  } catch {
    return;
  }
  try {
    fs.writeFileSync(temporary, Buffer.concat([sum, code]));
    fs.renameSync(temporary, cache);
  } catch {
    fs.rmSync(temporary, { force: true });
  }
}

/** Of each command the code of so many versions is kept. */
const kept = 6;

function removeOthers(cache: string): void {
  const folder = path.dirname(cache);
  const [command = ""] = path.basename(cache).split("-");
  const standing = fs
    .readdirSync(folder)
    .filter((name) => name.startsWith(`${command}-`) && name !== path.basename(cache))
    .map((name) => ({ file: path.join(folder, name), time: fs.statSync(path.join(folder, name)).mtimeMs }))
    .toSorted((a, b) => b.time - a.time);
  for (const { file } of standing.slice(kept - 1)) fs.rmSync(file, { force: true });
}
