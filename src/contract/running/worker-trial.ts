import { setTimeout as sleep } from "node:timers/promises";

import type { Container } from "./container.ts";
import type { RedisClient, Reply } from "./redis-client.ts";
import type { RunningContext } from "./running-check.ts";
import { eventsKey, probeDatabase, probeTask, releaseKey, withProbe } from "./worker-probe.ts";

/** The worker was not busy with the task: why not. */
export class NotBusy extends Error {
  /** It is the worker's own failure, and not that it can't be tried. */
  readonly isDefect: boolean;
  readonly evidence: string[];

  constructor(message: string, { isDefect = false, evidence = [] }: { isDefect?: boolean; evidence?: string[] } = {}) {
    super(message);
    this.isDefect = isDefect;
    this.evidence = evidence;
  }
}

interface WorkerEvents {
  loaded: boolean;
  sent?: { id: string; queue: string; pool: string };
  /** By task, its state at the end. */
  begun: Set<string>;
  ended: Map<string, string>;
}

/** Where a message is that no worker has finished. */
export type Place = "queue" | "reserved" | "nowhere";

/** A worker that is busy with one task, and the broker that it has the task from. */
export class WorkerTrial {
  readonly container: Container;
  readonly taskId: string;
  readonly taskName: string;
  readonly queue: string;
  readonly #redis: RedisClient;

  private constructor(container: Container, redis: RedisClient, task: { id: string; name: string; queue: string }) {
    this.container = container;
    this.#redis = redis;
    this.taskId = task.id;
    this.taskName = task.name;
    this.queue = task.queue;
  }

  /**
   * Starts the image beside a broker and waits until its worker has begun a task.
   * @throws NotBusy; DidNotStart, CannotRun
   */
  static async start({ image, contract, session }: RunningContext): Promise<WorkerTrial> {
    const container = await session.start(withProbe(image, contract));
    try {
      if (!container.broker) throw new NotBusy(session.brokerless ?? "no broker runs beside it");
      const redis = await container.broker.connect();
      const limit = Math.max(3 * contract.start, 30);
      while (container.seconds() < limit && container.exitCode === undefined) {
        const { sent, begun } = await eventsIn(redis);
        if (sent && begun.has(sent.id)) {
          const name = contract.workerTask?.name ?? probeTask;
          return new WorkerTrial(container, redis, { ...sent, name });
        }
        await sleep(50);
      }
      const events = await eventsIn(redis);
      redis.close();
      throw whyNot(container, events, limit);
    } catch (error) {
      await container.end();
      throw error;
    }
  }

  /** How the task ended, `SUCCESS` when all was well; undefined while it has not. */
  async ended(): Promise<string | undefined> {
    return (await eventsIn(this.#redis)).ended.get(this.taskId);
  }

  /** Lets the task end, where it is Sheaf's own. */
  async release(): Promise<void> {
    await this.#redis.ask("SELECT", String(probeDatabase));
    await this.#redis.ask("RPUSH", releaseKey, "1");
  }

  /** Where the task's message is in the broker, of which Celery uses lists for queues and a hash for what workers have taken. */
  async place(): Promise<Place> {
    let found: Place = "nowhere";
    for (let database = 0; database < probeDatabase; database++) {
      await this.#redis.ask("SELECT", String(database));
      for (const key of textsOf(await this.#redis.ask("KEYS", "*"))) {
        const type = await this.#redis.ask("TYPE", key);
        if (type === "list" && this.#isIn(await this.#redis.ask("LRANGE", key, "0", "-1"))) return "queue";
        if (type === "hash" && this.#isIn(await this.#redis.ask("HVALS", key))) found = "reserved";
      }
    }
    return found;
  }

  async end(): Promise<void> {
    this.#redis.close();
    await this.container.end();
  }

  #isIn(reply: Reply): boolean {
    return textsOf(reply).some((text) => text.includes(this.taskId));
  }
}

async function eventsIn(redis: RedisClient): Promise<WorkerEvents> {
  await redis.ask("SELECT", String(probeDatabase));
  const events: WorkerEvents = { loaded: false, begun: new Set(), ended: new Map() };
  for (const text of textsOf(await redis.ask("LRANGE", eventsKey, "0", "-1"))) {
    const [name, id = "", first = "", second = ""] = JSON.parse(text) as string[];
    if (name === "loaded") events.loaded = true;
    if (name === "sent") events.sent = { id, queue: first, pool: second };
    if (name === "begun") events.begun.add(id);
    if (name === "ended") events.ended.set(id, first);
  }
  return events;
}

function whyNot(container: Container, events: WorkerEvents, limit: number): NotBusy {
  const evidence = container.lastLines();
  const isDefect = true;
  if (container.exitCode !== undefined)
    return new NotBusy(`beside a Redis it ended with exit code ${container.exitCode}`, { isDefect, evidence });
  if (!events.loaded)
    return new NotBusy("the worker loads no module by PYTHONPATH, so no task can be tried", { evidence });
  if (!events.sent)
    return new NotBusy(`beside a Redis the worker was not ready within ${limit} s`, { isDefect, evidence });
  return new NotBusy(`the worker took no task from its queue ${events.sent.queue} within ${limit} s`, {
    isDefect,
    evidence,
  });
}

function textsOf(reply: Reply): string[] {
  return Array.isArray(reply) ? reply.flatMap((each) => (typeof each === "string" ? [each] : [])) : [];
}
