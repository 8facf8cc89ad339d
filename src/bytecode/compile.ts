import { SheafError } from "../errors.ts";
import { magicBytes, magicNumber } from "./magic.ts";
import { canonicalMarshal, knowsMarshal } from "./marshal.ts";
import { type Compiled, CompilerProcess, type InterpreterFacts, type Module } from "./subprocess.ts";

export interface CompilerOptions {
  /** Executable on this machine, of the minor that the image has. */
  python: string;
  /** `3.12`: checked when given. */
  minor?: string;
  /** How many interpreters run at once; 2 unless told. */
  processes?: number;
}

export interface BytecodeRequest extends CompilerOptions {
  modules: Module[];
}

/** Raised when the same source gives other bytes. Part of every key under which bytecode is kept. */
export const bytecodeRecipe = 1;

/**
 * Compiles modules to .pyc files (PEP 552, hash-based and unchecked: nothing is compared with the source at import, so a
 * read-only container starts fast and times don't matter). The bytes depend on source, path and minor alone, whatever
 * else is compiled with them.
 *
 * @returns one .pyc a module, in order; undefined for what isn't Python of this minor (templates, Python 2)
 * @throws SheafError SHEAF_BYTECODE when the interpreter can't be run or isn't CPython of the minor
 */
export async function compileBytecode(request: BytecodeRequest): Promise<(Uint8Array | undefined)[]> {
  const compiler = new Compiler(request);
  try {
    return await Promise.all(request.modules.map((module) => compiler.compile(module)));
  } finally {
    compiler.close();
  }
}

/** Interpreters that compile modules as they come, as `compileBytecode` does. They end with `close`. */
export class Compiler {
  readonly #options: CompilerOptions;
  readonly #processes: CompilerProcess[] = [];
  #given = 0;

  constructor(options: CompilerOptions) {
    this.#options = options;
  }

  /** The .pyc of a module. @throws SheafError SHEAF_BYTECODE */
  async compile(module: Module): Promise<Uint8Array | undefined> {
    const { compiled, facts } = await this.#process().compile(module);
    return compiled && pycOf(compiled, facts);
  }

  close(): void {
    for (const process of this.#processes) process.kill();
  }

  /** The one with the least to do. */
  #process(): CompilerProcess {
    const { python, processes = 2 } = this.#options;
    this.#given++;
    // An interpreter takes as long to start as twenty modules to compile.
    if (this.#processes.length < Math.min(processes, Math.ceil(this.#given / 20))) {
      const started = new CompilerProcess({ python, onStart: (facts) => checkInterpreter(facts, this.#options) });
      this.#processes.push(started);
      return started;
    }
    return this.#processes.reduce((least, one) => (one.load < least.load ? one : least));
  }
}

function checkInterpreter(facts: InterpreterFacts, { python, minor }: CompilerOptions): void {
  const is = `3.${facts.minor}`;
  if (minor !== undefined && minor !== is) throw unfit(python, `is Python ${is}, the image has ${minor}`);
  const expected = magicNumber(is);
  if (expected === undefined ? !facts.isRelease : facts.magic !== expected) {
    throw unfit(python, `writes bytecode ${facts.magic}, which no final release of CPython ${is} reads`);
  }
}

function unfit(python: string, reason: string): SheafError {
  return new SheafError("SHEAF_BYTECODE", `${python} can't compile bytecode for the image: it ${reason}`, {
    hint: "bytecode = false builds without it, at the price of a slower start",
  });
}

/** Flags 1: hash-based, the source is never checked. */
function pycOf({ stream, sourceHash }: Compiled, { magic, minor }: InterpreterFacts): Uint8Array | undefined {
  const canonical = canonicalOf(stream, minor);
  return canonical && Buffer.concat([magicBytes(magic), Uint8Array.of(1, 0, 0, 0), sourceHash, canonical]);
}

/** What a minor newer than this program writes may differ: better no bytecode than bytes that vary. */
function canonicalOf(stream: Uint8Array, minor: number): Uint8Array | undefined {
  if (knowsMarshal(minor)) return canonicalMarshal(stream, minor);
  try {
    return canonicalMarshal(stream, minor);
  } catch {
    return undefined;
  }
}
