import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";

import { SheafError } from "../errors.ts";
import { FrameReader } from "./frames.ts";
import { compilerProgram } from "./program.ts";

export interface Module {
  source: Uint8Array;
  /** Absolute path in the image: `/usr/local/lib/python3.12/json/__init__.py`. */
  path: string;
}

export interface Compiled {
  /** marshal, as the interpreter wrote it. */
  stream: Uint8Array;
  /** SipHash of the source, 8 bytes. */
  sourceHash: Uint8Array;
}

export interface InterpreterFacts {
  /** A final release of CPython, whose magic number stays. */
  isRelease: boolean;
  minor: number;
  magic: number;
}

export interface CompilerRun {
  python: string;
  modules: Module[];
  /** May throw to end the run. */
  onStart: (facts: InterpreterFacts) => void;
  /** Called once a module, in order; undefined for what doesn't compile. */
  onResult: (position: number, compiled: Compiled | undefined, facts: InterpreterFacts) => void;
  /** How long one module may take, in ms. */
  idleMs?: number;
}

/**
 * Feeds modules to one interpreter. One that dies over a module (deeply nested source can overflow C's stack) is started
 * again behind it.
 *
 * @throws SheafError SHEAF_BYTECODE when the interpreter can't be started
 */
export async function runCompiler(run: CompilerRun): Promise<void> {
  let done = 0;
  while (done < run.modules.length) {
    done += await compileFrom(done, run);
    if (done < run.modules.length) done++;
  }
}

/** The number of answers until the end or until the interpreter died. */
function compileFrom(first: number, run: CompilerRun): Promise<number> {
  const child = spawn(run.python, ["-I", "-S", "-X", "utf8", "-c", compilerProgram], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    // An interpreter that was never installed properly may find its library only through this.
    env: pick(process.env, ["LD_LIBRARY_PATH"]),
  });
  return new Promise((resolve, reject) => {
    const reader = new FrameReader();
    let stderr = "";
    let facts: InterpreterFacts | undefined;
    let answers = 0;
    const total = run.modules.length - first;
    const fail = (error: unknown) => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(error);
    };
    const timer = setTimeout(() => child.kill("SIGKILL"), run.idleMs ?? 60_000);

    child.stdout.on("data", (chunk: Buffer) => {
      timer.refresh();
      reader.push(chunk);
      try {
        if (!facts) {
          facts = readFacts(reader);
          if (!facts) return;
          run.onStart(facts);
        }
        while (answers < total) {
          const answer = readAnswer(reader);
          if (!answer) break;
          run.onResult(first + answers, answer.compiled, facts);
          answers++;
        }
      } catch (error) {
        fail(error);
      }
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderr.length < 4096) stderr += chunk.toString("utf8");
    });
    // An interpreter that dies closes its end while sources are still being written.
    child.stdin.on("error", () => {});
    child.on("error", (error) => fail(cannotStart(run.python, error.message)));
    child.on("close", () => {
      clearTimeout(timer);
      if (facts) resolve(answers);
      else reject(cannotStart(run.python, stderr.trim().split("\n").at(-1) || "it ended at once"));
    });
    sendModules(child, run.modules.slice(first));
  });
}

function sendModules(child: ChildProcessWithoutNullStreams, modules: Module[]): void {
  for (const { path, source } of modules) {
    const name = Buffer.from(path, "utf8");
    const head = Buffer.alloc(8);
    head.writeUInt32LE(name.length, 0);
    head.writeUInt32LE(source.length, 4);
    child.stdin.write(Buffer.concat([head, name]));
    child.stdin.write(source);
  }
  child.stdin.end();
}

function readFacts(reader: FrameReader): InterpreterFacts | undefined {
  const bytes = reader.take(12);
  if (!bytes) return undefined;
  return { isRelease: bytes.readInt32LE(0) === 1, minor: bytes.readInt32LE(4), magic: bytes.readUInt16LE(8) };
}

function readAnswer(reader: FrameReader): { compiled: Compiled | undefined } | undefined {
  const length = reader.peek(4)?.readInt32LE(0);
  if (length === undefined) return undefined;
  if (length < 0) {
    reader.take(4);
    return { compiled: undefined };
  }
  const bytes = reader.take(12 + length);
  return bytes && { compiled: { sourceHash: bytes.subarray(4, 12), stream: bytes.subarray(12) } };
}

function cannotStart(python: string, reason: string): SheafError {
  return new SheafError("SHEAF_BYTECODE", `${python} can't be run to compile bytecode: ${reason}`, {
    hint: "bytecode = false builds without it, at the price of a slower start",
  });
}

function pick(environment: NodeJS.ProcessEnv, names: string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}
