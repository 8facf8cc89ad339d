import { SheafError } from "../errors.ts";
import { magicBytes, magicNumber } from "./magic.ts";
import { canonicalMarshal, knowsMarshal } from "./marshal.ts";
import { runCompiler, type Compiled, type InterpreterFacts, type Module } from "./subprocess.ts";

export interface BytecodeRequest {
  /** Executable on this machine, of the minor that the image has. */
  python: string;
  /** `3.12`: checked when given. */
  minor?: string;
  modules: Module[];
  /** How many interpreters run at once; 2 unless told. */
  processes?: number;
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
  const { python, modules } = request;
  const results: (Uint8Array | undefined)[] = Array.from({ length: modules.length });
  if (modules.length === 0) return results;
  await Promise.all(
    shares(modules, request.processes ?? 2).map((share) =>
      runCompiler({
        python,
        modules: share.map((index) => modules[index]!),
        onStart: (facts) => checkInterpreter(facts, request),
        onResult: (position, compiled, facts) => {
          results[share[position]!] = compiled && pycOf(compiled, facts);
        },
      }),
    ),
  );
  return results;
}

function checkInterpreter(facts: InterpreterFacts, { python, minor }: BytecodeRequest): void {
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

/** Positions of the modules for each process, about the same number of source bytes each. */
function shares(modules: Module[], processes: number): number[][] {
  // An interpreter takes as long to start as twenty modules to compile.
  const count = Math.max(1, Math.min(processes, Math.ceil(modules.length / 20)));
  const parts = Array.from({ length: count }, () => ({ positions: [] as number[], size: 0 }));
  modules.forEach(({ source }, position) => {
    const part = parts.reduce((least, one) => (one.size < least.size ? one : least));
    part.positions.push(position);
    part.size += source.length + 1000;
  });
  return parts.map((part) => part.positions);
}
