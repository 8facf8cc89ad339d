import type { RuntimeConfig } from "../../src/oci/types.ts";
import type { ContractSettings } from "../../src/project/config/schema.ts";

export interface WorkerDefect {
  /** The one check that finds it. */
  id: string;
  what: string;
  config: RuntimeConfig;
  contract?: ContractSettings;
}

// A solo pool acknowledges a task only when it is over, whatever it is told: its event loop has no turn before.
const early = ["celery", "-A", "early", "worker", "--pool=prefork", "--concurrency=1"];

/** What may be wrong with an image of the example's worker, one thing each. `early` is its app without task_acks_late. */
export const workerDefects: WorkerDefect[] = [
  {
    id: "runtime.worker-busy",
    what: "a probe that asks the worker",
    config: {
      Healthcheck: {
        Test: ["CMD", "celery", "-A", "app.celery_app", "inspect", "ping", "--timeout", "3"],
        Timeout: 30e9,
        Retries: 1,
      },
    },
  },
  {
    id: "runtime.worker-stop",
    what: "a worker that drops its task on SIGTERM",
    config: { Env: ["DROP_TASKS=1"], Cmd: early },
  },
  {
    id: "runtime.worker-stop",
    what: "a task that outlasts the stop",
    config: { Cmd: early },
    contract: { stop: 4, "worker-task": { name: "early.long" } },
  },
];

/** A module of the worker's own: messages are taken off the queue as their tasks begin, which is Celery's default. */
export const earlyModule = `
import os
import signal
import time

from celery.signals import worker_ready

from app.celery_app import celery

celery.conf.update(task_acks_late=False)


@celery.task(name="early.long")
def long() -> None:
    time.sleep(60)


if os.environ.get("DROP_TASKS"):

    @worker_ready.connect
    def drop(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
`;
