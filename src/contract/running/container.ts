import type { Running } from "../../engine/engine.ts";
import type { ExecResult } from "../../engine/exec.ts";
import { ask, type Answer, type NoAnswer } from "./http.ts";
import type { RedisClient } from "./redis-client.ts";
import type { Runtime, SharedNetwork, Started, StartOptions } from "./runtime.ts";

const outputLimit = 1_000_000;

/** A broker that shares its network with a container, and goes with it. */
export interface BrokerBeside {
  /** Of this machine, by those of the network that is shared. */
  readonly ports: ReadonlyMap<number, number>;
  /** @throws Error when it can't be reached from here */
  connect(): Promise<RedisClient>;
  /** Whether somebody waits for messages; undefined where that can't be asked from here. */
  hasConsumer(): Promise<boolean | undefined>;
  end(): Promise<void>;
  readonly gone: Promise<unknown>;
}

interface Beside {
  /** The port that is asked. */
  port?: number;
  /** The name under which its server is asked. */
  host?: string;
  broker?: BrokerBeside;
}

/** A container that runs for checks. */
export class Container {
  readonly running: Running;
  /** Of this machine, on 127.0.0.1, by the container's. */
  readonly ports: ReadonlyMap<number, number>;
  readonly network: SharedNetwork | undefined;
  readonly broker: BrokerBeside | undefined;
  /** On 127.0.0.1 of this machine. */
  readonly port: number | undefined;
  /** Settles when nothing of it is there any more. */
  readonly gone: Promise<unknown>;
  /** Undefined while it runs. */
  exitCode: number | undefined;
  /** Seconds from its start to when its port was first seen to be listened on, where that was looked for. */
  listening: number | undefined;
  readonly #startedAt: number;
  readonly #host: string | undefined;
  readonly #output: Output;

  private constructor(started: Started, { host, port, broker }: Beside, output: Output) {
    this.running = started.running;
    this.ports = broker?.ports ?? started.ports;
    this.network = started.network;
    this.broker = broker;
    this.port = port === undefined ? undefined : this.ports.get(port);
    this.gone = Promise.allSettled([started.running.exited, broker?.gone]);
    this.#host = host;
    this.#output = output;
    this.#startedAt = started.startedAt;
    void started.running.exited.then(
      (code) => (this.exitCode = code),
      () => (this.exitCode = -1),
    );
  }

  static async start(
    runtime: Runtime,
    options: Omit<StartOptions, "onOutput">,
    beside: Beside = {},
  ): Promise<Container> {
    const output = new Output();
    const started = await runtime.start({ ...options, onOutput: output.add });
    return new Container(started, beside, output);
  }

  /** Since its command was started. */
  seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  get stdout(): string {
    return this.#output.texts.stdout;
  }

  get stderr(): string {
    return this.#output.texts.stderr;
  }

  /** Seconds from its start to the first that it printed. */
  get firstOutput(): number | undefined {
    const { firstAt } = this.#output;
    return firstAt === undefined ? undefined : Math.max(0, firstAt - this.#startedAt) / 1000;
  }

  /** The last lines that it printed, as evidence. */
  lastLines(count = 6): string[] {
    const lines = this.#output.both.split("\n").filter((line) => line.trim() !== "");
    return lines.length === 0 ? ["it printed nothing"] : lines.slice(-count).map((line) => line.slice(0, 300));
  }

  /** Asks its port over a connection of its own. */
  async get(path: string, timeoutMs: number): Promise<Answer | NoAnswer> {
    if (this.port === undefined) return { problem: "no port leads to it", begun: false };
    const host = this.#host;
    return await ask(`http://127.0.0.1:${this.port}${path}`, { timeoutMs, ...(host === undefined ? {} : { host }) });
  }

  /** Runs a command beside its own; the code is 124 when the time was up, 127 when there is no such program. */
  async exec(command: string[], timeoutMs: number): Promise<ExecResult> {
    try {
      return await this.running.exec(command, { timeoutMs });
    } catch (error) {
      return { code: 127, stdout: "", stderr: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Ends it at once, and what runs beside it. */
  async end(): Promise<void> {
    try {
      if (this.exitCode === undefined) await this.running.stop("SIGKILL", 1000);
    } finally {
      await this.broker?.end();
    }
  }
}

/** What a container prints, the beginning of it when there is much. */
class Output {
  readonly texts = { stdout: "", stderr: "" };
  both = "";
  /** By performance.now(). */
  firstAt: number | undefined;

  readonly add = (chunk: Uint8Array, stream: "stdout" | "stderr"): void => {
    this.firstAt ??= performance.now();
    const text = Buffer.from(chunk).toString("utf8");
    if (this.texts[stream].length < outputLimit) this.texts[stream] += text;
    this.both = (this.both + text).slice(-outputLimit);
  };
}
