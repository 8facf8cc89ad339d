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
  /** Entries of the baseline that accept nothing any more. */
  staleBaseline: string[];
  seconds: number;
}

export function overallVerdict(checks: readonly CheckResult[]): ImageVerdict["verdict"] {
  if (checks.some(({ verdict }) => verdict === "fail" || verdict === "error")) return "fail";
  return checks.some(({ notRun }) => notRun) ? "incomplete" : "pass";
}
