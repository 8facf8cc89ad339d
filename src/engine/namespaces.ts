import * as os from "node:os";
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";

import { standardMounts } from "./namespace-mounts.ts";
import { namespaceScript } from "./namespace-script.ts";
import { missingProgram, refusal } from "./namespace-refusal.ts";
import { KillFilter } from "./kill-filter.ts";
import { findProgram } from "../host/programs.ts";
import type { RootFileSystem } from "./rootfs.ts";

export interface Mount {
  /** Absolute path on this machine. */
  source: string;
  /** Absolute path in the image. */
  target: string;
  readOnly: boolean;
}

export interface NamespaceOptions {
  rootfs: RootFileSystem;
  user: { uid: number; gid: number };
  /** The command and its arguments; the program is looked up in the image by `environment`'s PATH. */
  command: string[];
  environment: Record<string, string>;
  /** Absolute path in the image. */
  workdir: string;
  /**
   * True shares the host's network, false gives a network namespace with nothing but loopback; words before a program that is to run
   * in the network of another's share that one's.
   */
  network: boolean | string[];
  /** Nothing but /tmp, /run, /dev/shm and the mounts can be written. */
  readOnly: boolean;
  /** Targets resolved inside the root: no symbolic links on the way. */
  mounts: Mount[];
  /** Limit of the address space of each process, bytes. */
  memory?: number;
}

/** A command that runs as PID 1 of its own namespaces. */
export interface NamespaceProcess {
  /** PID of the command, as this process sees it. */
  pid: number;
  /** PID of the process that holds the outer user namespace; entering goes through it. */
  holderPid: number;
  /** As it was asked for. */
  network: boolean | string[];
  /** False when writes outside of /tmp and /run fail though they were asked for: the kernel refuses overlayfs. */
  writable: boolean;
  /** Both are to be read: the end waits for theirs. */
  stdout: Readable;
  stderr: Readable;
  /** 128 + n for a process that signal n has ended, as shells and Docker report it. */
  exited: Promise<number>;
  /** Does nothing once it has exited. */
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a command in user, mount, pid and IPC namespaces of its own with util-linux alone: no daemon, no setuid helper, no root.
 * Everything in it dies with the command, and the command with this process, even when that is killed.
 * @throws SheafError SHEAF_NAMESPACES when the kernel refuses or a program is missing
 */
export async function startInNamespaces(options: NamespaceOptions): Promise<NamespaceProcess> {
  const [program, ...args] = commandLine(options);
  const child = spawn(program ?? "", args, {
    env: scriptEnvironment(options),
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    // A terminal's Ctrl-C is for Sheaf, which passes it on as the signal that the image asks for.
    detached: true,
  });
  const setup = await watchSetup(child);
  if (setup.pid === undefined || !setup.ready) throw refusal(setup.errors);

  let running = true;
  const stdout = child.stdout as Readable;
  const stderr = new KillFilter();
  if (setup.errors.length > 0) stderr.write(setup.errors);
  if (child.stderr?.readableEnded) stderr.end();
  else child.stderr?.pipe(stderr);
  const exited = (async () => {
    const code = await exitOf(child);
    running = false;
    await Promise.all([stdout, stderr].map(ended));
    return stderr.killed ? 137 : code;
  })();
  const { pid, writable } = setup;
  return {
    pid,
    holderPid: child.pid ?? 0,
    writable,
    network: options.network,
    stdout,
    stderr,
    exited,
    kill: (signal) => {
      if (running) sendSignal(pid, signal);
    },
  };
}

function commandLine(options: NamespaceOptions): string[] {
  const { rootfs, user, mounts } = options;
  const mountArguments = mounts.flatMap(({ source, target, readOnly }) => [
    source,
    target.slice(1),
    readOnly ? "ro" : "rw",
  ]);
  const enterUser = [`--user=${rootfs.mountPoint}/namespace/user`, "--preserve-credentials"];
  return [
    Array.isArray(options.network) ? options.network : tiedToThis(),
    [required("unshare"), "--user", "--map-root-user", "--mount", "--pid", "--ipc", "--fork", "--kill-child"],
    options.network === false ? ["--net"] : [],
    ["--", required("sh"), "-c", namespaceScript, "sheaf-namespace"],
    [rootfs.root, rootfs.mountPoint, String(user.uid), String(user.gid), rootfs.folders],
    [options.readOnly ? "ro" : "rw", options.workdir, standardMounts(`${rootfs.mountPoint}/root`, user.uid)],
    [String(mounts.length), ...mountArguments],
    [required("env"), ...delayedVariables(options.environment)],
    [required("nsenter"), ...enterUser, "--root=.", `--wd=.${options.workdir}`, "--", ...options.command],
  ].flat();
}

/** Ties the namespaces to this process: `--kill-child` alone covers the death of unshare only. */
function tiedToThis(): string[] {
  const setpriv = findProgram("setpriv");
  return setpriv ? [setpriv, "--pdeathsig", "KILL"] : [];
}

function required(name: string): string {
  const file = findProgram(name);
  if (!file) throw missingProgram(name);
  return file;
}

/** The image's environment as far as the host's programs stand it; secrets stay out of the argument list, which everybody can read. */
function scriptEnvironment(options: NamespaceOptions): Record<string, string> {
  const { environment } = options;
  const plain = Object.entries(environment).filter(([name]) => !isDelayed(name));
  return {
    ...Object.fromEntries(plain),
    PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`,
    SHEAF_PATH: environment["PATH"] ?? "",
    ...(options.network === false ? { SHEAF_LOOPBACK: "1" } : {}),
    ...(options.memory === undefined ? {} : { SHEAF_MEMORY_KIB: String(Math.floor(options.memory / 1024)) }),
  };
}

function delayedVariables(environment: Record<string, string>): string[] {
  return Object.entries(environment).flatMap(([name, value]) =>
    name !== "PATH" && isDelayed(name) ? [`${name}=${value}`] : [],
  );
}

/** Whether a variable would change or be changed by the shell and the tools that set the namespaces up. */
function isDelayed(name: string): boolean {
  return (
    !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ||
    /^(LD_.*|LIBMOUNT_.*|SHEAF_.*|GLIBC_TUNABLES|PATH|PWD|OLDPWD|IFS|ENV|BASH.*|SHELLOPTS|PS[0-9]|OPTIND|PPID|POSIXLY_CORRECT|_)$/.test(
      name,
    )
  );
}

interface Setup {
  pid?: number;
  ready: boolean;
  writable: boolean;
  errors: string;
}

/** Reads what the script tells until the image's command takes over or the set-up has failed. */
async function watchSetup(child: ChildProcess): Promise<Setup> {
  const setup: Setup = { ready: false, writable: false, errors: "" };
  const errors: Buffer[] = [];
  const onError = (chunk: Buffer) => errors.push(chunk);
  child.stderr?.on("data", onError);
  await new Promise<void>((resolve, reject) => {
    let text = "";
    // unshare itself holds the other end for as long as the command runs: `ready` is the end, not the closing.
    const status = child.stdio[3] as Readable;
    status.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      setup.ready = /^ready$/m.test(text);
      if (setup.ready) status.destroy();
    });
    status.once("close", () => {
      const pid = /^pid (\d+)$/m.exec(text)?.[1];
      if (pid) setup.pid = Number(pid);
      setup.writable = /^writable$/m.test(text);
      resolve();
    });
    child.once("error", reject);
  });
  if (!setup.ready)
    await new Promise<void>((resolve) => (isOver(child) ? resolve() : child.once("close", () => resolve())));
  child.stderr?.off("data", onError).pause();
  setup.errors = Buffer.concat(errors).toString("utf8");
  return setup;
}

function isOver(child: ChildProcess): boolean {
  return (child.exitCode !== null || child.signalCode !== null) && child.stderr?.closed === true;
}

async function ended(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.closed) return;
  await new Promise<void>((resolve) => stream.once("end", resolve).once("close", resolve));
}

async function exitOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  }
  return exitStatus(child.exitCode, child.signalCode);
}

/** As shells report the end of a process. */
export function exitStatus(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? os.constants.signals[signal] : 0);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
