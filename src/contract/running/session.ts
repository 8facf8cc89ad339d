import { setTimeout as sleep } from "node:timers/promises";

import { SheafError } from "../../errors.ts";
import { parseHealthcheck, probeEvidence } from "../../engine/health.ts";
import type { ExecResult } from "../../engine/exec.ts";
import type { Image } from "../../oci/image.ts";
import type { Contract } from "../contract.ts";
import type { Finding } from "../finding.ts";
import type { StartMoment } from "../start-moment.ts";
import { Broker } from "./broker.ts";
import type { BrokerSource } from "./broker-source.ts";
import { takenNow } from "./busy-machine.ts";
import { Container } from "./container.ts";
import { isLoopback, listenersOf } from "./processes.ts";
import type { Runtime, StartOptions } from "./runtime.ts";
import { type Target, targetOf } from "./target.ts";

/** The image did not come up. */
export class DidNotStart extends Error {
  readonly evidence: string[];
  /** It listens, but where nobody outside can ask. */
  readonly loopback: boolean;
  /** Seconds after which nobody waited any more; undefined where it ended by itself. */
  readonly waited: number | undefined;

  constructor(
    message: string,
    evidence: string[],
    { loopback = false, waited }: { loopback?: boolean; waited?: number } = {},
  ) {
    super(message);
    this.evidence = evidence;
    this.loopback = loopback;
    this.waited = waited;
  }
}

/** How long a start took that nobody waited for to the end, beside its limit. */
export function waitedFor({ waited }: DidNotStart, { start }: Pick<Contract, "start">): Pick<Finding, "figure"> {
  return waited === undefined ? {} : { figure: { measured: waited, limit: start, unit: "seconds" } };
}

/** This machine can't run the image, whatever it is like. */
export class CannotRun extends Error {}

export interface SessionOptions {
  image: Image;
  contract: Contract;
  runtime: Runtime;
  /** The broker that each container has beside it; a reason where there is none, undefined where none is needed. */
  broker?: BrokerSource | string;
  /** Share of the processors that others take, 0 to 1; measured unless given. */
  takenByOthers?: () => Promise<number>;
  signal: AbortSignal;
}

interface Way extends Omit<StartOptions, "onOutput" | "ports" | "network"> {
  network?: boolean;
  /** In the image's place. */
  image?: Image;
}

/** Starts containers of one image for its checks. The first start is when the first check asks; `close` leaves nothing behind. */
export class Session {
  readonly target: Target;
  readonly runtime: Runtime;
  readonly takenByOthers: () => Promise<number>;
  /** Seconds of each start as the image is meant to be, to the first valid answer. */
  readonly starts: number[] = [];
  /** What happened when in the start of the shared container. */
  readonly moments: StartMoment[] = [];
  /** Why no broker runs beside the image; undefined where one does, or none is needed. */
  brokerless: string | undefined;
  readonly #options: SessionOptions;
  /** Of images beside the one that is checked, by their digests. */
  readonly #runtimes = new Map<string, Runtime>();
  #broker: Promise<Runtime | undefined> | undefined;
  readonly #open = new Set<Promise<Container>>();
  #shared: Promise<Container> | undefined;
  #failure: DidNotStart | undefined;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.runtime = options.runtime;
    this.target = targetOf(options);
    this.takenByOthers = options.takenByOthers ?? takenNow;
    if (typeof options.broker === "string") this.brokerless = options.broker;
    options.signal.addEventListener("abort", this.#onAbort);
  }

  /** One that answers, for all who leave it as it is. @throws DidNotStart, CannotRun */
  shared(): Promise<Container> {
    return (this.#shared ??= this.#watched());
  }

  async #watched(): Promise<Container> {
    const container = await this.fresh();
    const [answered = container.seconds()] = this.starts;
    const { start } = this.#options.contract;
    const { port, path } = this.target;
    const { firstOutput, listening } = container;
    if (firstOutput !== undefined) this.moments.push({ label: "prints its first line", seconds: firstOutput });
    if (listening !== undefined) this.moments.push({ label: `listens on port ${port}`, seconds: listening });
    if (path !== undefined) this.moments.push({ label: `answers ${path}`, seconds: answered, limit: start });
    const probed = await this.probe(container);
    if (probed?.code === 0) this.moments.push({ label: "its HEALTHCHECK succeeds", seconds: container.seconds() });
    return container;
  }

  /** One that answers, for whoever stops or breaks it. @throws DidNotStart, CannotRun */
  async fresh(): Promise<Container> {
    // What has failed once fails again, after as long a wait.
    if (this.#failure) throw this.#failure;
    try {
      const container = await this.start();
      this.starts.push(await this.ready(container));
      return container;
    } catch (error) {
      if (error instanceof DidNotStart) this.#failure = error;
      throw error;
    }
  }

  /** Starts one and does not wait for an answer. @throws DidNotStart, CannotRun */
  async start(way: Way = {}): Promise<Container> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    if (this.#closed) throw new Error("the session is closed");
    const starting = this.#begin(way);
    this.#open.add(starting);
    const forget = (): void => void this.#open.delete(starting);
    // It stays among the open ones until it is gone: the image can't be removed before.
    void starting.then(({ gone }) => gone).then(forget, forget);
    const container = await starting;
    signal.throwIfAborted();
    return container;
  }

  /** Waits for the first valid answer; seconds from the start of the command. @throws DidNotStart */
  async ready(container: Container): Promise<number> {
    const { contract } = this.#options;
    const limit = Math.max(3 * contract.start, 30);
    let last = "it was never reached";
    let loopback = 0;
    while (container.seconds() < limit) {
      this.#seeListening(container);
      const answer = await this.answer(container);
      if (answer === true) return container.seconds();
      this.#options.signal.throwIfAborted();
      if (container.exitCode !== undefined) {
        // What it printed last may still be on its way.
        await container.running.exited;
        throw new DidNotStart(`it ended with exit code ${container.exitCode}`, container.lastLines());
      }
      if (answer !== undefined) last = answer;
      loopback = this.#hidden(container) ? loopback + 1 : 0;
      if (loopback > 20)
        throw new DidNotStart(`it listens on 127.0.0.1:${this.target.port} alone`, container.lastLines(), {
          loopback: true,
        });
      await sleep(container.port === undefined ? 100 : 20);
    }
    throw new DidNotStart(`no valid answer within ${limit} s, last: ${last}`, container.lastLines(), { waited: limit });
  }

  /** True when it answers; why not, else. Of an image that serves nothing: when its probe succeeds (a worker's, once it takes tasks), or it stays up for two seconds. */
  async answer(container: Container): Promise<true | string | undefined> {
    if (container.exitCode !== undefined) return `it ended with exit code ${container.exitCode}`;
    if (this.target.path !== undefined && container.port !== undefined) {
      const answer = await container.get(this.target.path, 5000);
      if ("problem" in answer) return answer.problem;
      return answer.status === 200 || (this.#isGuess() && answer.status < 500) ? true : `status ${answer.status}`;
    }
    // A worker is there long before it works.
    const { role, start } = this.#options.contract;
    if (role === "worker" && container.seconds() < start && (await container.broker?.hasConsumer()) === false)
      return "it takes no tasks so far";
    const result = await this.probe(container);
    if (result) return result.code === 0 ? true : probeEvidence(result.code, result.stdout + result.stderr);
    return container.seconds() > 2 ? true : undefined;
  }

  /** Runs the image's HEALTHCHECK beside its command, as an engine does; undefined when it has none. */
  async probe(container: Container): Promise<ExecResult | undefined> {
    const { config } = this.#options.image.config;
    const check = parseHealthcheck(config?.Healthcheck, config?.Shell);
    return check && (await container.exec(check.command, check.timeoutMs));
  }

  /** Ends every container and takes the image out of the engine again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    await this.#endAll();
    await Promise.all([this.runtime, ...this.#runtimes.values()].map((runtime) => runtime.close()));
  }

  readonly #onAbort = (): void => void this.#endAll();

  async #endAll(): Promise<void> {
    await Promise.all(
      [...this.#open].map(async (starting) => {
        const container = await starting.catch(() => undefined);
        await container?.end().catch(() => undefined);
      }),
    );
  }

  async #begin({ image, ...way }: Way): Promise<Container> {
    const { contract } = this.#options;
    const { port, host } = this.target;
    const broker = await this.#startBroker(way);
    const options = {
      ...way,
      env: { ...contract.runEnv, ...way.env, ...(broker ? this.#brokerVariables() : {}) },
      ...(broker ? { network: broker.network } : { ports: port === undefined ? [] : [port] }),
    };
    const beside = {
      ...(port === undefined ? {} : { port }),
      ...(host === undefined ? {} : { host }),
      ...(broker ? { broker } : {}),
    };
    try {
      return await Container.start(image ? this.#runtimeOf(image) : this.runtime, options, beside);
    } catch (error) {
      await broker?.end();
      if (!(error instanceof SheafError)) throw error;
      if (machineReasons.has(error.code)) throw new CannotRun(error.message);
      throw new DidNotStart(
        error.message,
        error.details.map(([label, value]) => `${label}: ${value}`),
      );
    }
  }

  /** A broker of its own for a container that is about to start. One that fails twice is tried no more. */
  async #startBroker({ network, restricted }: Way): Promise<Broker | undefined> {
    const { port } = this.target;
    const way = {
      ports: port === undefined ? [] : [port],
      ...(network === undefined ? {} : { network }),
      ...(restricted === undefined ? {} : { restricted }),
    };
    try {
      const runtime = await (this.#broker ??= this.#openBroker());
      if (!runtime) return undefined;
      return await Broker.start(runtime, way).catch(() => {
        this.#options.signal.throwIfAborted();
        return Broker.start(runtime, way);
      });
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.brokerless = `the Redis that it needs did not start: ${error instanceof Error ? error.message : String(error)}`;
      this.#broker = Promise.resolve(undefined);
      return undefined;
    }
  }

  async #openBroker(): Promise<Runtime | undefined> {
    const { broker } = this.#options;
    if (broker === undefined || typeof broker === "string") return undefined;
    const image = await broker.image();
    if (typeof image !== "string") return this.#runtimeOf(image);
    this.brokerless = image;
    return undefined;
  }

  #brokerVariables(): Record<string, string> {
    const { broker } = this.#options;
    return typeof broker === "object" ? broker.variables : {};
  }

  #runtimeOf(image: Image): Runtime {
    const runtime = this.#runtimes.get(image.digest) ?? this.runtime.beside(image);
    this.#runtimes.set(image.digest, runtime);
    return runtime;
  }

  /** No URL is known, so any answer that is no failure counts. */
  #isGuess(): boolean {
    return this.target.path === "/" && this.#options.contract.healthUrl === undefined;
  }

  #seeListening(container: Container): void {
    const { port } = this.target;
    if (port === undefined || container.listening !== undefined || this.moments.length > 0) return;
    if (listenersOf(container.running.pid)?.has(port)) container.listening = container.seconds();
  }

  /** Docker and Podman reach only what listens on an address of the container's own. */
  #hidden(container: Container): boolean {
    const { port } = this.target;
    if (port === undefined || this.runtime.kind === "none") return false;
    return isLoopback(listenersOf(container.running.pid)?.get(port) ?? []);
  }
}

const machineReasons = new Set(["SHEAF_NAMESPACES", "SHEAF_PLATFORM", "SHEAF_NO_ENGINE", "SHEAF_DISK_FULL"]);
