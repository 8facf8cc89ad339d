/** How a check ends. `error`: it could not decide; like `fail` and `skipped` never green. */
export type CheckVerdict = "pass" | "fail" | "warn" | "skipped" | "error";

/** `measured` and `limit` as numbers, for charts and for machines. */
export interface Figure {
  measured: number;
  limit?: number;
  unit: "bytes" | "seconds" | "count";
}

/** What a check found. */
export interface Finding {
  verdict: CheckVerdict;
  /** One phrase that reads alone after the id: `user 10001 is appuser`, `154 MB unpacked`. Of `skipped`: the reason. */
  measured: string;
  /** What is promised, where that is a figure or a value: `300 MB`. */
  limit?: string;
  /** What it was seen by, one fact a line. */
  evidence?: string[];
  /** What to do next, in one or two sentences. */
  hint?: string;
  figure?: Figure;
  /** Of `skipped`: the check belongs to the contract and would apply, but this run left it out. */
  notRun?: true;
}

type More = Omit<Finding, "verdict" | "measured" | "notRun">;

export function pass(measured: string, more: More = {}): Finding {
  return { verdict: "pass", measured, ...more };
}

/** @param more a hint at least: whoever reads a failure asks what to do */
export function fail(measured: string, more: More & { hint: string }): Finding {
  return { verdict: "fail", measured, ...more };
}

export function warn(measured: string, more: More & { hint: string }): Finding {
  return { verdict: "warn", measured, ...more };
}

/** There is nothing that the check could hold: no CUDA, no Dockerfile given, no budget promised. */
export function notApplicable(reason: string): Finding {
  return { verdict: "skipped", measured: reason };
}

/** The check would apply, but this run can't or was told not to. The image's verdict is incomplete then. */
export function notRun(reason: string): Finding {
  return { verdict: "skipped", measured: reason, notRun: true };
}

/** The check could not decide. */
export function undecided(measured: string, more: More = {}): Finding {
  return { verdict: "error", measured, ...more };
}
