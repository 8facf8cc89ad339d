import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";

import { SheafError } from "../errors.ts";
import { FrameReader } from "./frames.ts";
import { compilerProgram } from "./program.ts";

export interface Module {
  source: Uint8Array;
  /** Absolute path in the image: `/usr/local/lib/python3.12/json/__init__.py`. */
  path: string;
  /** The file of this machine that the source was read from, where an interpreter may have compiled it. */
  origin?: string;
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

export interface CompilerProcessOptions {
  python: string;
  /** May throw: nothing is compiled then. */
  onStart: (facts: InterpreterFacts) => void;
  /** How long one module may take, in ms. */
  idleMs?: number;
}

interface Waiting {
  module: Module;
  resolve: (answer: { compiled: Compiled | undefined; facts: InterpreterFacts }) => void;
  reject: (error: unknown) => void;
}

/**
 * One interpreter, started with the first module, that answers in order. One that dies over a module (deeply nested source
 * can overflow C's stack) is started again behind it.
 */
export class CompilerProcess {
  readonly #options: CompilerProcessOptions;
  readonly #waiting: Waiting[] = [];
  #load = 0;
  #run: Run | undefined;

  constructor(options: CompilerProcessOptions) {
    this.#options = options;
  }

  /** Bytes of source that have no answer yet. */
  get load(): number {
    return this.#load;
  }

  /**
   * @returns undefined for `compiled` when the module isn't Python of this minor
   * @throws SheafError SHEAF_BYTECODE when the interpreter can't be started, and what `onStart` throws
   */
  compile(module: Module): Promise<{ compiled: Compiled | undefined; facts: InterpreterFacts }> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ module, resolve, reject });
      this.#load += costOf(module);
      const run = (this.#run ??= this.#start());
      run.send(module);
    });
  }

  /** Stops the interpreter; what waits is never answered. */
  kill(): void {
    this.#waiting.length = 0;
    this.#run?.kill();
  }

  #start(): Run {
    const run = new Run(this.#options, {
      answer: (compiled, facts) => {
        this.#next()?.resolve({ compiled, facts });
        return this.#waiting.length > 0;
      },
      close: (facts, failure) => {
        if (this.#run === run) this.#run = undefined;
        if (this.#waiting.length === 0) return;
        if (failure || !facts) {
          for (let each = this.#next(); each; each = this.#next()) each.reject(failure);
          return;
        }
        // It died over the module that it was at.
        this.#next()?.resolve({ compiled: undefined, facts });
        if (this.#waiting.length === 0) return;
        const again = (this.#run = this.#start());
        for (const { module } of this.#waiting) again.send(module);
      },
    });
    return run;
  }

  #next(): Waiting | undefined {
    const next = this.#waiting.shift();
    if (next) this.#load -= costOf(next.module);
    return next;
  }
}

/** A module costs something even when it is empty. */
function costOf({ source }: Module): number {
  return source.length + 1000;
}

interface Listener {
  /** @returns whether more answers are expected */
  answer: (compiled: Compiled | undefined, facts: InterpreterFacts) => boolean;
  /** Once, at the end. A failure is one of the interpreter, not of a module. */
  close: (facts: InterpreterFacts | undefined, failure: unknown) => void;
}

/** One life of an interpreter. */
class Run {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #timer: NodeJS.Timeout;

  constructor({ python, onStart, idleMs = 60_000 }: CompilerProcessOptions, listener: Listener) {
    const child = spawn(python, ["-I", "-S", "-X", "utf8", "-c", compilerProgram], {
      stdio: ["pipe", "pipe", "pipe"],
      cwd: "/",
      // An interpreter that was never installed properly may find its library only through this.
      env: pick(process.env, ["LD_LIBRARY_PATH"]),
    });
    const reader = new FrameReader();
    let stderr = "";
    let facts: InterpreterFacts | undefined;
    let failure: unknown;
    const timer = setTimeout(() => child.kill("SIGKILL"), idleMs);
    this.#child = child;
    this.#timer = timer;

    child.stdout.on("data", (chunk: Buffer) => {
      timer.refresh();
      reader.push(chunk);
      try {
        if (!facts) {
          facts = readFacts(reader);
          if (!facts) return;
          onStart(facts);
        }
        for (let answer = readAnswer(reader); answer; answer = readAnswer(reader)) {
          if (!listener.answer(answer.compiled, facts)) clearTimeout(timer);
        }
      } catch (error) {
        failure = error;
        child.kill("SIGKILL");
      }
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderr.length < 4096) stderr += chunk.toString("utf8");
    });
    // An interpreter that dies closes its end while sources are still being written.
    child.stdin.on("error", () => {});
    child.on("error", (error) => {
      clearTimeout(timer);
      listener.close(undefined, cannotStart(python, error.message));
    });
    child.on("close", () => {
      clearTimeout(timer);
      if (!facts) failure ??= cannotStart(python, stderr.trim().split("\n").at(-1) || "it ended at once");
      listener.close(facts, failure);
    });
  }

  send({ path, source, origin = "" }: Module): void {
    this.#timer.refresh();
    const name = Buffer.from(path, "utf8");
    const from = Buffer.from(origin, "utf8");
    const head = Buffer.alloc(12);
    head.writeUInt32LE(name.length, 0);
    head.writeUInt32LE(source.length, 4);
    head.writeUInt32LE(from.length, 8);
    const { stdin } = this.#child;
    stdin.cork();
    stdin.write(Buffer.concat([head, name]));
    stdin.write(source);
    stdin.write(from);
    stdin.uncork();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
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
