import { SheafError } from "../errors.ts";
import type { InterpreterChoice } from "../interpreter/choose.ts";

export interface WheelQuestion {
  /** What the rule of preference takes. */
  first: InterpreterChoice;
  /** Whether requires-python allows a version. */
  allows: (version: string) => boolean;
  /** How many distributions would have to be built from source on a version of Python. */
  toBuild: (version: string) => Promise<number>;
  /** The interpreter of another minor. */
  choose: (minor: string) => Promise<InterpreterChoice>;
}

/** Minors that most pins of the last years have wheels for, newest first. */
const minors = ["3.13", "3.12", "3.11", "3.10", "3.9"];

/** So many minors in a row that need as many builds: what has no wheel there has none anywhere. */
const patience = 2;

/**
 * Where the repository leaves Python's version open, the one that its pins have wheels for: pins of some years ago have none
 * for a newer Python, and often don't build or run on it either.
 */
export async function pythonWithWheels(question: WheelQuestion): Promise<InterpreterChoice> {
  const { first, allows, toBuild, choose } = question;
  const lacking = await countOrMany(toBuild(first.version));
  let best = { minor: first.minor, count: lacking };
  let inVain = 0;
  for (const minor of minors) {
    if (best.count === 0 || inVain === patience) break;
    if (minor === first.minor || !allows(`${minor}.99`)) continue;
    const count = await countOrMany(toBuild(`${minor}.0`));
    inVain = count < best.count ? 0 : inVain + 1;
    if (count < best.count) best = { minor, count };
  }
  if (best.minor === first.minor) return first;
  const choice = await choose(best.minor).catch(() => undefined);
  if (!choice) return first;
  const what =
    lacking === 1 ? "one distribution has" : `${Number.isFinite(lacking) ? lacking : "some"} distributions have`;
  return { ...choice, reason: `${choice.reason.split(";")[0]}; ${what} no wheel for ${first.minor}` };
}

/** A version that the pins rule out needs more builds than any. What else is wrong is told when it is planned. */
async function countOrMany(count: Promise<number>): Promise<number> {
  try {
    return await count;
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    return error.code === "SHEAF_NO_WHEEL" || error.code === "SHEAF_PYTHON" ? Infinity : 0;
  }
}
