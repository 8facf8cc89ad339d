import type { RunningCheck } from "./running-check.ts";
import { runtimeHealth } from "./health.ts";
import { runtimeHealthcheck, runtimeHealthNegative } from "./healthcheck.ts";
import { runtimeSignalIdle, runtimeSignalInflight, runtimeSignalStart } from "./signals.ts";
import { runtimeStart } from "./start.ts";
import { runtimeUser } from "./user.ts";

/** Every check that needs the image running. The start counts all starts of the others, so it comes last. */
export const runningChecks: readonly RunningCheck[] = [
  runtimeUser,
  runtimeHealth,
  runtimeHealthcheck,
  runtimeHealthNegative,
  runtimeSignalIdle,
  runtimeSignalInflight,
  runtimeSignalStart,
  runtimeStart,
];
