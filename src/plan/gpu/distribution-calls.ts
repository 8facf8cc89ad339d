import { callingModules } from "../../cuda/callers.ts";
import type { IngestedWheel } from "../../ingest/wheel.ts";
import type { FoundModule } from "../../ingest/python-modules.ts";
import { byCodeUnit } from "../../order.ts";
import { decodePython } from "../../project/python/decode.ts";
import { callsIn, firstOfEach, type PartCall } from "./own-calls.ts";

/** What modules of distributions that a start may reach call of the parts that are left out. */
export class DistributionCalls {
  readonly #leftOut: ReadonlySet<string>;
  /** Top-level modules of the image that call CUDA. */
  #callable: ReadonlySet<string> = new Set();
  readonly #found = new Map<string, PartCall[]>();

  constructor(leftOut: readonly string[]) {
    this.#leftOut = new Set(leftOut);
  }

  /** Of what is not in the image, nothing can be called. */
  install(wheels: readonly IngestedWheel[]): void {
    const modules = new Set(wheels.flatMap(({ facts }) => facts.modules));
    this.#callable = new Set([...callingModules].filter((name) => modules.has(name)));
  }

  /** Looks at a module that is reached. */
  see({ owner, path }: FoundModule, imports: readonly string[]): void {
    if (isUnderstood(owner.name)) return;
    if (!imports.some((name) => this.#callable.has(topOf(name)))) return;
    const source = owner.read(path);
    if (!source) return;
    const root = owner.roots.find((each) => path.startsWith(`${each}/`));
    const file = root === undefined ? path : path.slice(root.length + 1);
    const calls = callsIn(decodePython(source), file, this.#callable).filter(({ part }) => this.#leftOut.has(part));
    if (calls.length > 0) this.#found.set(owner.name, [...(this.#found.get(owner.name) ?? []), ...calls]);
  }

  /** By distribution, one place a part: the first by file. */
  all(): Record<string, PartCall[]> {
    const sorted = [...this.#found].toSorted(([a], [b]) => byCodeUnit(a, b));
    return Object.fromEntries(
      sorted.map(([name, calls]) => [name, firstOfEach(calls.toSorted((a, b) => byCodeUnit(a.file, b.file)))]),
    );
  }
}

function topOf(module: string): string {
  return module.split(".", 1)[0] ?? module;
}

/** torch calls everything, when it is asked to; torchvision has a solver for a matrix of 8 rows, on the CPU. */
function isUnderstood(owner: string): boolean {
  return /^(?:torch|torchvision|(?:pytorch-)?triton|standard library|nvidia-.+)$/.test(owner);
}
