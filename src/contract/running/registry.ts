import type { RunningCheck } from "../check.ts";
import { notRun } from "../finding.ts";

/** Every check that needs the image running, in the order in which they are shown. */
export const runningChecks: readonly RunningCheck[] = [
  {
    id: "runtime.container",
    title: "the running image does what it promises",
    holds: "Nothing so far: the image is not started.",
    why: "Health, signals, the user of its processes, start-up and memory show only when it runs.",
    sources: [],
    run: async () => notRun("images are not started to be checked"),
  },
];
