import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

import { SheafError } from "../../errors.ts";
import { collectOutput } from "../bounded-output.ts";
import type { ExecResult } from "../exec.ts";
import { exitStatus } from "../namespaces.ts";

export interface PodmanCommand {
  /** The program's path. */
  program: string;
  environment: NodeJS.ProcessEnv;
}

export interface CommandOptions {
  /** Writes to the command's standard input. */
  send?: (stream: Writable) => Promise<void>;
  timeoutMs?: number;
  /** Ends the command. */
  signal?: AbortSignal;
}

/** Runs podman to its end, whatever the end; the code is 124 when the time was up. */
export async function tryPodman(
  podman: PodmanCommand,
  args: string[],
  options: CommandOptions = {},
): Promise<ExecResult> {
  const child = spawn(podman.program, args, {
    env: podman.environment,
    stdio: [options.send ? "pipe" : "ignore", "pipe", "pipe"],
    signal: options.signal,
  });
  let timedOut = false;
  const timer =
    options.timeoutMs !== undefined &&
    setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs);
  const output = collectOutput(child);
  const { stdin } = child;
  // A podman that gives up early says why on its standard error; the broken pipe adds nothing.
  stdin?.on("error", () => undefined);
  const sent = stdin && options.send ? options.send(stdin).finally(() => stdin.end()) : Promise.resolve();
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(timedOut ? 124 : exitStatus(status, signal)));
  });
  if (timer) clearTimeout(timer);
  const sendError = await sent.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (sendError !== undefined && code === 0) throw sendError;
  return { code, ...output() };
}

/** Runs podman and returns what it prints. @throws SheafError SHEAF_ENGINE when it fails */
export async function podman(command: PodmanCommand, args: string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryPodman(command, args, options);
  if (result.code === 0) return result.stdout.trim();
  throw new SheafError(
    "SHEAF_ENGINE",
    `podman ${args[0]} failed: ${result.stderr.trim().split("\n").at(-1) ?? result.code}`,
    {
      details: [["podman", args.join(" ")]],
    },
  );
}
