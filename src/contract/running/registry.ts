import type { RunningCheck } from "../check.ts";

/** Every check that needs the image running, in the order in which they are shown. */
export const runningChecks: readonly RunningCheck[] = [];
