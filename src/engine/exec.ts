import { spawn } from "node:child_process";

import { collectOutput } from "./bounded-output.ts";
import { exitStatus } from "./namespaces.ts";
import { findProgram } from "../host/programs.ts";
import { missingProgram } from "./namespace-refusal.ts";

export interface ExecResult {
  /** 128 + n when signal n ended it, 124 when the time was up. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface EnterOptions {
  /** From NamespaceProcess. */
  pid: number;
  holderPid: number;
  network: boolean | string[];
  command: string[];
  environment: Record<string, string>;
  /** Absolute path in the image. */
  workdir: string;
  timeoutMs?: number;
}

/** Runs a command beside the one that a namespace was made for, as the same user, in the same root, without capabilities. */
export async function enterNamespaces(options: EnterOptions): Promise<ExecResult> {
  const { pid, holderPid, environment, network } = options;
  const nsenter = findProgram("nsenter");
  if (!nsenter) throw missingProgram("nsenter");
  const setpriv = findProgram("setpriv");
  // Two steps: only the outer user namespace owns the mounts, only the inner one makes us the image's user.
  const command = [
    // Another's network belongs to another's user namespace: it is entered first.
    Array.isArray(network) ? network : setpriv ? [setpriv, "--pdeathsig", "KILL"] : [],
    [nsenter, `--user=/proc/${holderPid}/ns/user`, "--preserve-credentials"],
    [`--pid=/proc/${pid}/ns/pid`, `--ipc=/proc/${pid}/ns/ipc`],
    // The host's own network can't be entered, nor need it be.
    network === false ? [`--net=/proc/${pid}/ns/net`, "--"] : ["--"],
    [nsenter, `--user=/proc/${pid}/ns/user`, `--mount=/proc/${pid}/ns/mnt`, "--preserve-credentials"],
    [`--wd=/proc/${pid}/root${options.workdir}`, "--", ...options.command],
  ].flat();
  const [program = "", ...args] = command;
  const child = spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const output = collectOutput(child);
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => killTree(child.pid), options.timeoutMs);
  const timedOut = () => timer !== undefined && child.signalCode === "SIGKILL";
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code: timedOut() ? 124 : exitStatus(code, signal), ...output() });
    });
  });
}

/** Words before a program of this machine that shall be in the network of a namespace, and nothing else of it; it dies with this process. */
export function networkEntry({ pid, holderPid }: Pick<EnterOptions, "pid" | "holderPid">): string[] {
  const nsenter = findProgram("nsenter");
  if (!nsenter) throw missingProgram("nsenter");
  const setpriv = findProgram("setpriv");
  return [
    setpriv ? [setpriv, "--pdeathsig", "KILL"] : [],
    [nsenter, `--user=/proc/${holderPid}/ns/user`, "--preserve-credentials", `--net=/proc/${pid}/ns/net`, "--"],
  ].flat();
}

/** The whole process group: the probe and what it has started. */
function killTree(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
