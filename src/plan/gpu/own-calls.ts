import { callingModules, isHarmless, partsCalledAs } from "../../cuda/callers.ts";
import { byCodeUnit } from "../../order.ts";
import { type ParseRecords, remembered } from "../../project/parse-records.ts";
import { type DottedName, dottedNames } from "../../project/python/dotted-names.ts";
import type { OwnCode } from "../own-code.ts";

/** A place in code that calls a part of CUDA. */
export interface PartCall {
  part: string;
  /** `app/services/fft.py` */
  file: string;
  line: number;
  /** As the code has it: `torch.fft.rfft`, `.backward`. */
  name: string;
}

/** Raised when the same code gives other calls. */
const callsVersion = 1;

/**
 * What of CUDA the project's own code calls, one place a part: the first in the order of files.
 *
 * @param reached files that the start reaches
 */
export async function ownCalls(
  code: OwnCode,
  reached: readonly string[],
  records: ParseRecords | undefined,
): Promise<PartCall[]> {
  const text = JSON.stringify([callsVersion, code.key, reached]);
  return remembered(records, { kind: "cuda-calls", text }, async () =>
    firstOfEach(reached.toSorted(byCodeUnit).flatMap((file) => callsIn(code.sources.get(file) ?? "", file))),
  );
}

/** The first call of each part, sorted by part. */
export function firstOfEach(calls: readonly PartCall[]): PartCall[] {
  const first = new Map<string, PartCall>();
  for (const call of calls) if (!first.has(call.part)) first.set(call.part, call);
  return [...first.values()].toSorted((a, b) => byCodeUnit(a.part, b.part));
}

/** Calls in one module, in the order of lines. @param modules top-level modules whose names are looked for */
export function callsIn(source: string, file: string, modules = callingModules): PartCall[] {
  if (!/\b(?:torch|cupy|triton)/.test(source)) return [];
  const names = dottedNames(source, modules);
  return names
    .filter((each) => !isOnlyTheWay(each, names))
    .flatMap(({ name, line }) => partsCalledAs(name).map((part) => ({ part, file, line, name })))
    .toSorted((a, b) => a.line - b.line);
}

/** An import of a module says little where the code tells what it uses of it: `torch.linalg.norm` needs no solver. */
function isOnlyTheWay({ name, imported }: DottedName, names: readonly DottedName[]): boolean {
  if (!imported || isHarmless(name)) return false;
  return names.some((other) => other.name.startsWith(`${name}.`));
}
