import { type ChildProcess, spawn } from "node:child_process";

import { boundedText } from "../../engine/bounded-output.ts";
import { BuildFailed } from "./builder.ts";

export interface BuildCommand {
  /** The program and its arguments. */
  words: readonly string[];
  folder: string;
  environment: NodeJS.ProcessEnv;
  timeoutMs: number;
  /** Exit codes of a build that gave an image; 0 unless given. */
  succeeds?: readonly number[];
  /** Lines of standard error, as they come. */
  onLine?: (line: string) => void;
}

export interface BuildOutput {
  seconds: number;
  stdout: string;
  stderr: string;
}

/** Runs the commands of one builder, and can end what runs: nobody else would after an interrupt. */
export class BuildProcesses {
  readonly #running = new Map<ChildProcess, Promise<void>>();
  #isClosed = false;

  /** @throws BuildFailed when it can't be started, does not succeed, or takes longer than it may */
  async run({ words, folder, environment, timeoutMs, succeeds = [0], onLine }: BuildCommand): Promise<BuildOutput> {
    if (this.#isClosed) throw new BuildFailed("the build was stopped");
    const [program = "", ...args] = words;
    const start = performance.now();
    const child = spawn(program, args, { cwd: folder, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr] = [boundedText(), new LastLines(onLine)];
    child.stdout.on("data", stdout.add);
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.add(text));
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGTERM");
    }, timeoutMs);
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    this.#running.set(
      child,
      ended.then(
        () => undefined,
        () => undefined,
      ),
    );
    let code: number | null;
    try {
      code = await ended;
    } catch (error) {
      throw new BuildFailed(`${program} can't be started: ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
      this.#running.delete(child);
    }
    const seconds = (performance.now() - start) / 1000;
    if (isLate) throw new BuildFailed(`it had not ended after ${Math.round(timeoutMs / 1000)} s`, stderr.last());
    if (code === null || !succeeds.includes(code))
      throw new BuildFailed(`it ended with exit code ${code ?? "none"}`, stderr.last());
    return { seconds, stdout: stdout.text(), stderr: stderr.last().join("\n") };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const running = [...this.#running];
    for (const [child] of running) child.kill("SIGTERM");
    // A build that cleans up after itself is given a moment; the process that waits has not much more.
    const timer = setTimeout(() => running.forEach(([child]) => child.kill("SIGKILL")), 1200);
    await Promise.all(running.map(([, ended]) => ended));
    clearTimeout(timer);
  }
}

const kept = 12;

/** The last lines of a stream, of which nobody knows how long it gets. */
class LastLines {
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  #rest = "";

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  add(text: string): void {
    const lines = `${this.#rest}${text}`.split("\n");
    this.#rest = (lines.pop() ?? "").slice(-longestLine);
    for (const line of lines) this.#push(line);
  }

  last(): string[] {
    if (this.#rest !== "") this.#push(this.#rest);
    this.#rest = "";
    return [...this.#lines];
  }

  #push(line: string): void {
    this.#onLine?.(line);
    if (line.trim() === "") return;
    this.#lines.push(line.trimEnd().slice(0, 300));
    if (this.#lines.length > kept) this.#lines.shift();
  }
}

const longestLine = 64 * 1024;
