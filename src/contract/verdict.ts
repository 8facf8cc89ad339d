import type { Group } from "./check.ts";
import type { Finding } from "./finding.ts";

/** What one check came to. */
export interface CheckResult extends Finding {
  id: string;
  title: string;
  group: Group;
  /** Time that the check took. */
  seconds: number;
  /** A known failure that the baseline accepts: it counts as a warning until that day. */
  accepted?: { reason: string; until: string };
}

/**
 * What an image comes to. `pass`: every check of the contract ran and none failed. `fail`: one failed or could not decide.
 * `incomplete`: none failed, but some were not run.
 */
export interface ImageVerdict {
  /** As the person named it. */
  image: string;
  digest: string;
  /** `linux/amd64` */
  platform: string;
  /** What ran it: `Docker 20.10.24`; absent when nothing did. */
  runtime?: string;
  verdict: "pass" | "fail" | "incomplete";
  /** In the order of the groups. */
  checks: CheckResult[];
  /** How what fails stands to the baseline; absent where none was given. */
  baseline?: BaselineReport;
  seconds: number;
}

/** Checks by their ids, but for `file`, which is as the person named it. */
export interface BaselineReport {
  file: string;
  /** Failures that it accepts, which count as warnings. */
  accepted: string[];
  /** Failures that it does not speak of. */
  new: string[];
  /** Failures that it accepted until a day that is over. */
  expired: string[];
  /** Its entries that accept nothing: what they name passes, or is no check. */
  unused: { id: string; why: string }[];
}

export function overallVerdict(checks: readonly CheckResult[]): ImageVerdict["verdict"] {
  if (checks.some(({ verdict }) => verdict === "fail" || verdict === "error")) return "fail";
  return checks.some(({ notRun }) => notRun) ? "incomplete" : "pass";
}
