import { unlessBusy } from "./busy-machine.ts";
import type { RunningCheck } from "./running-check.ts";
import { fail, notApplicable, notRun, pass } from "../finding.ts";
import { CannotRun, DidNotStart, waitedFor } from "./session.ts";
import { secondsText } from "./texts.ts";

export const runtimeStart: RunningCheck = {
  id: "runtime.start",
  title: "it starts in time, every time",
  holds:
    "From the start of its command to the first valid answer on the health URL (200), the image takes no longer than the contract's `start`, in each of `starts` starts: the worst counts. An image that serves nothing counts as started when its probe succeeds, a worker of Celery's when it takes tasks from the Redis beside it too, or when it is still there after two seconds.",
  why: "A rollout waits for it, and a scale-out under load comes too late by as much. A container's health status is no clock: the first probe comes an interval late.",
  sources: [
    "measured: Docker 20.10 asks the first time after 31 s with an interval of 30 s",
    "Kubernetes: Configure Liveness, Readiness and Startup Probes",
  ],
  run: async ({ session, contract }) => {
    if (contract.role === "base") return notApplicable("a base image starts nothing of its own");
    try {
      await session.shared();
      while (session.starts.length < contract.starts) await (await session.fresh()).end();
    } catch (error) {
      if (error instanceof CannotRun) return notRun(error.message);
      if (!(error instanceof DidNotStart)) throw error;
      // The check of the port says so, and what to do.
      if (error.loopback) return notRun("nobody outside of the container can ask it: see runtime.port");
      const failed = fail(`it did not start: ${error.message}`, {
        evidence: error.evidence,
        hint: "what it printed last says why; variables that it needs to start belong into the contract's run-env",
        ...waitedFor(error, contract),
      });
      return unlessBusy(failed, session.takenByOthers);
    }
    const seconds = session.starts.slice(0, Math.max(contract.starts, 1));
    const worst = Math.max(...seconds);
    const limit = secondsText(contract.start);
    const evidence = [`${seconds.length} starts: ${seconds.map(secondsText).join(", ")}`];
    const figure = { measured: worst, limit: contract.start, unit: "seconds" as const };
    if (worst <= contract.start) return pass(`answers after ${secondsText(worst)}`, { limit, evidence, figure });
    const slow = fail(`the first answer comes after ${secondsText(worst)}`, {
      limit,
      evidence,
      figure,
      hint: "python3 -X importtime tells which imports take the time; work at import belongs into the first request",
    });
    return unlessBusy(slow, session.takenByOthers);
  },
};
