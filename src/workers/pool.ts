import * as os from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { SheafError } from "../errors.ts";
import { type Emit, silent } from "../events.ts";
import type { Outcome, TaskInput, TaskName, TaskOutput, Tasks, ThreadMessage } from "./tasks.ts";

/** Runs tasks on threads. A thread is started when there is work that no other has time for, and lives until `close`. */
export interface WorkerPool {
  readonly tasks: Tasks;
  close(): Promise<void>;
}

export interface WorkerPoolOptions {
  /** What runs without threads: same results, one core. */
  tasks: Tasks;
  /** Threads, 16 at most; SHEAF_WORKERS or the number of cores unless given. 0 runs the tasks on this one. */
  size?: number;
  /** The file that threads run; the bundled worker unless given. Without it, as from sources, tasks run on this thread. */
  script?: string;
}

export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const size = options.size ?? sizeFromEnvironment() ?? os.availableParallelism();
  const script = options.script ?? workerScript();
  if (size === 0 || !script) return { tasks: options.tasks, close: async () => {} };
  return new ThreadPool(script, Math.min(size, 16));
}

interface Job {
  name: TaskName;
  input: unknown;
  emit: Emit;
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

class ThreadPool implements WorkerPool {
  readonly tasks: Tasks = {
    bytecode: (task) => this.#run("bytecode", task),
    wheel: (task, emit) => this.#run("wheel", task, emit),
    deb: (task) => this.#run("deb", task),
    interpreter: (task) => this.#run("interpreter", task),
    base: (task) => this.#run("base", task),
    layer: (task) => this.#run("layer", task),
    layerFacts: (task) => this.#run("layerFacts", task),
    packageIndex: (task) => this.#run("packageIndex", task),
  };
  readonly #script: string;
  readonly #size: number;
  readonly #waiting: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  #closed = false;

  constructor(script: string, size: number) {
    this.#script = script;
    this.#size = size;
  }

  #run<Name extends TaskName>(name: Name, input: TaskInput<Name>, emit: Emit = silent): Promise<TaskOutput<Name>> {
    return new Promise<TaskOutput<Name>>((resolve, reject) => {
      if (this.#closed) return reject(new Error("the worker pool is closed"));
      this.#waiting.push({ name, input, emit, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const closed = new Error("the worker pool was closed");
    const workers = [...this.#idle, ...this.#busy.keys()];
    for (const job of [...this.#waiting.splice(0), ...this.#busy.values()]) job.reject(closed);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    if (this.#waiting.length === 0) return;
    const worker = this.#idle.pop() ?? (this.#busy.size < this.#size ? this.#start() : undefined);
    const job = worker && this.#waiting.shift();
    if (!worker || !job) return;
    this.#busy.set(worker, job);
    worker.ref();
    worker.postMessage({ name: job.name, input: job.input });
  }

  #start(): Worker {
    const worker = new Worker(this.#script);
    worker.on("message", (outcome: ThreadMessage) => {
      const job = this.#busy.get(worker);
      if ("event" in outcome) return job?.emit(outcome.event);
      this.#busy.delete(worker);
      this.#idle.push(worker);
      worker.unref();
      if (outcome.ok) job?.resolve(outcome.value as never);
      else job?.reject(reviveError(outcome.error));
      this.#next();
    });
    worker.on("messageerror", (error) => {
      this.#lose(worker, error);
      void worker.terminate();
    });
    worker.on("error", (error) => this.#lose(worker, error));
    // After an error too, and alone when a task ends its thread.
    worker.on("exit", (code) => this.#lose(worker, new Error(`a worker ended with code ${code} before its answer`)));
    return worker;
  }

  /** A thread that can't answer: its job fails, another thread takes the next. */
  #lose(worker: Worker, cause: unknown): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    const index = this.#idle.indexOf(worker);
    if (index !== -1) this.#idle.splice(index, 1);
    job?.reject(cause);
    if (!this.#closed) this.#next();
  }
}

/** Errors lose their class between threads: a SheafError is made anew from its parts. */
function reviveError(error: Extract<Outcome, { ok: false }>["error"]): Error {
  if (!error.sheaf) return Object.assign(new Error(error.message), { stack: error.stack });
  const { code, hints, details, exitCode } = error.sheaf;
  return new SheafError(code as `SHEAF_${string}`, error.message, { hint: hints, details, exitCode });
}

function sizeFromEnvironment(): number | undefined {
  const text = process.env["SHEAF_WORKERS"];
  return text && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** dist/worker.js, seen from whichever bundled file this module ended up in. */
function workerScript(): string | undefined {
  const here = import.meta.url;
  if (here.endsWith(".ts")) return undefined;
  return fileURLToPath(new URL(here.includes("/chunks/") ? "../worker.js" : "./worker.js", here));
}
