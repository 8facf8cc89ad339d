import { runtimeArbitraryUser, runtimeCapabilities, runtimeNoNetwork, runtimeReadOnly } from "./hardening.ts";
import { runtimeHealth } from "./health.ts";
import { runtimeHealthcheck, runtimeHealthNegative } from "./healthcheck.ts";
import { runtimeLogs, runtimeMemory, runtimePort } from "./resources.ts";
import type { RunningCheck } from "./running-check.ts";
import { runtimeSignalIdle, runtimeSignalInflight, runtimeSignalStart } from "./signals.ts";
import { runtimeStart } from "./start.ts";
import { runtimeUser } from "./user.ts";
import { runtimeWorkerBusy, runtimeWorkerStop } from "./worker.ts";
import { runtimeZombies } from "./zombies.ts";

/** Every check that needs the image running. The start counts all starts of the others, so it comes last. */
export const runningChecks: readonly RunningCheck[] = [
  runtimePort,
  runtimeUser,
  runtimeHealth,
  runtimeHealthcheck,
  runtimeLogs,
  runtimeMemory,
  runtimeZombies,
  runtimeHealthNegative,
  runtimeSignalIdle,
  runtimeSignalInflight,
  runtimeSignalStart,
  runtimeWorkerBusy,
  runtimeWorkerStop,
  runtimeReadOnly,
  runtimeCapabilities,
  runtimeArbitraryUser,
  runtimeNoNetwork,
  runtimeStart,
];
