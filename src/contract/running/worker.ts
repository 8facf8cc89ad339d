import { setTimeout as sleep } from "node:timers/promises";

import { parseHealthcheck, probeEvidence } from "../../engine/health.ts";
import { installedDistributions } from "../facts/distributions.ts";
import { fail, type Finding, notApplicable, notRun, pass, warn } from "../finding.ts";
import type { RunningCheck, RunningContext } from "./running-check.ts";
import type { Session } from "./session.ts";
import { judgeStop, stopOf } from "./stop.ts";
import { secondsText } from "./texts.ts";
import { guarded } from "./with-container.ts";
import { NotBusy, WorkerTrial } from "./worker-trial.ts";

const sources = [
  "Celery: Workers Guide, Stopping the worker",
  "celery/celery#4967: the solo pool answers nothing while it runs a task",
];

const how =
  "The worker runs beside a Redis of its own, which CELERY_BROKER_URL and the contract's `broker-env` lead to, and gets a task through its own app: the contract's `worker-task`, or one of Sheaf's that waits.";

export const runtimeWorkerBusy: RunningCheck = {
  id: "runtime.worker-busy",
  title: "a worker that is busy counts as healthy",
  holds: `While a long task is under way, the HEALTHCHECK does not fail as often in a row as its retries. ${how}`,
  why: "A probe that asks the worker (`celery inspect ping`) gets no answer from a solo pool that is busy: the platform restarts it in the middle of its longest tasks, and again when they are given out anew.",
  sources,
  run: (context) =>
    withBusyWorker(context, async (trial, { image, session }) => {
      const { config } = image.config;
      const check = parseHealthcheck(config?.Healthcheck, config?.Shell);
      if (!check) return notApplicable("there is no HEALTHCHECK");
      const failures: string[] = [];
      // An engine asks once more before it calls a container ill, and so does this.
      while (failures.length < check.retries) {
        const startedAt = performance.now();
        const result = await session.probe(trial.container);
        const seconds = (performance.now() - startedAt) / 1000;
        if ((await trial.ended()) !== undefined)
          return notRun(`${trial.taskName} ended before the HEALTHCHECK did: name a longer task as worker-task`);
        const figure = { measured: seconds, limit: check.timeoutMs / 1000, unit: "seconds" as const };
        if (result?.code === 0)
          return pass(`its probe succeeds after ${secondsText(seconds)} while ${trial.taskName} runs`, { figure });
        failures.push(probeEvidence(result?.code ?? 1, `${result?.stdout}${result?.stderr}`));
      }
      return fail("the probe fails while a task is under way", {
        limit: `exit code 0 within ${secondsText(check.timeoutMs / 1000)}`,
        evidence: [`it runs: ${check.command.join(" ")}`, ...new Set(failures)],
        hint: "ask for the process and not for the worker: a solo pool that is busy answers no ping. sheaf build's own probe looks into /proc",
      });
    }),
};

export const runtimeWorkerStop: RunningCheck = {
  id: "runtime.worker-stop",
  title: "a worker that is stopped loses no task",
  holds: `The stop signal during a task lets it end, or gives it back to the queue; the container ends within \`stop\` seconds with an exit code of \`exit-codes\`. ${how}`,
  why: "Celery takes a task's message off the queue as the task begins: a worker that is killed in the middle of it, as a shell around it or a deaf PID 1 makes sure, has lost the task, and nobody is told.",
  sources,
  run: (context) =>
    withBusyWorker(context, async (trial, { contract }) => {
      const { container, taskName } = trial;
      const stopped = stopOf(container, contract);
      // The task is still under way a while after the signal: what stops warmly waits for it.
      await Promise.race([stopped, sleep(Math.min(2000, contract.stop * 250))]);
      if (container.exitCode === undefined) await trial.release();
      const end = await stopped;
      const state = await trial.ended();
      const judged = judgeStop(end, container, contract);
      if (state !== undefined) {
        if (judged.verdict === "fail") return judged;
        return { ...judged, measured: `${taskName} was finished; ${judged.measured}` };
      }
      return lost(judged, await trial.place(), taskName);
    }),
};

function lost(judged: Finding, place: Awaited<ReturnType<WorkerTrial["place"]>>, task: string): Finding {
  const evidence = [`the task: ${task}`, ...(judged.evidence ?? [judged.measured])];
  if (place === "queue") {
    if (judged.verdict === "fail") return judged;
    return { ...judged, measured: `the task is back in its queue; ${judged.measured}`, evidence };
  }
  if (place === "reserved" && judged.verdict !== "fail") {
    return warn("the task was cut off, and the broker gives it out again only after its visibility timeout", {
      evidence,
      hint: "let the worker stop warmly: no REMAP_SIGTERM=SIGQUIT without worker_soft_shutdown_timeout",
    });
  }
  if (place === "reserved") return judged;
  return fail("the task that was under way is lost", {
    evidence,
    hint: "start celery itself (exec form) under tini, let the stop signal be SIGTERM, and keep messages until tasks are done: task_acks_late, with task_reject_on_worker_lost",
  });
}

/** Why a worker could not be made busy: it is waited for once. */
const idle = new WeakMap<Session, NotBusy>();

type BusyCheck = (trial: WorkerTrial, context: RunningContext) => Promise<Finding>;

/** Gives a worker that is busy to one check. */
async function withBusyWorker(context: RunningContext, check: BusyCheck): Promise<Finding> {
  const { contract, facts } = context;
  if (contract.role !== "worker") return notApplicable("it is no worker");
  if (!facts.derived(installedDistributions).some(({ name }) => name === "celery"))
    return notApplicable("it is no worker of Celery's");
  return guarded(context, async (session) => {
    await session.shared();
    if (session.brokerless !== undefined) return notRun(session.brokerless);
    let trial: WorkerTrial | undefined;
    try {
      const known = idle.get(session);
      if (known) throw known;
      trial = await WorkerTrial.start(context);
      return await check(trial, context);
    } catch (error) {
      if (!(error instanceof NotBusy)) throw error;
      idle.set(session, error);
      if (!error.isDefect) return notRun(error.message);
      return fail(error.message, {
        evidence: error.evidence,
        hint: "what it printed last says why; what it needs beside a broker belongs into the contract's run-env",
      });
    } finally {
      await trial?.end();
    }
  });
}
