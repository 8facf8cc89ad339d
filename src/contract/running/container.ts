import type { Running } from "../../engine/engine.ts";
import type { ExecResult } from "../../engine/exec.ts";
import { ask, type Answer, type NoAnswer } from "./http.ts";
import type { Runtime, Started, StartOptions } from "./runtime.ts";

const outputLimit = 1_000_000;

/** A container that runs for checks. */
export class Container {
  readonly running: Running;
  /** On 127.0.0.1 of this machine. */
  readonly port: number | undefined;
  /** Undefined while it runs. */
  exitCode: number | undefined;
  /** Seconds from its start to when its port was first seen to be listened on, where that was looked for. */
  listening: number | undefined;
  readonly #startedAt: number;
  readonly #host: string | undefined;
  readonly #output: Output;

  private constructor(started: Started, { host, output }: { host?: string; output: Output }) {
    this.running = started.running;
    this.port = started.port;
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
    { host, ...options }: Omit<StartOptions, "onOutput"> & { host?: string },
  ): Promise<Container> {
    const output = new Output();
    const started = await runtime.start({ ...options, onOutput: output.add });
    return new Container(started, { output, ...(host === undefined ? {} : { host }) });
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

  /** Ends it at once. */
  async end(): Promise<void> {
    if (this.exitCode === undefined) await this.running.stop("SIGKILL", 1000);
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
