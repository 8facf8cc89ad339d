import * as fs from "node:fs";

/** A process of a container, as this machine's /proc shows it. */
export interface ContainerProcess {
  /** Of this machine. */
  pid: number;
  /** Inside the container. */
  innerPid: number;
  parent: number;
  /** Effective, as the container sees it. */
  uid: number;
  name: string;
  /** proc(5): R, S, D, T, Z and others. */
  state: string;
  /** Effective capabilities. */
  capabilities: bigint;
  /** Bytes, what it shares with others too. */
  resident: number;
}

/**
 * A container's PID 1 and everything below it; commands that were run beside it are not. Undefined where this machine does not see
 * its processes: the engine is elsewhere, or in another PID namespace.
 */
export function processesOf(pid: number): ContainerProcess[] | undefined {
  const first = pid > 0 ? readStatus(pid) : undefined;
  // In this process's own PID namespace it has another number, or it is no container's.
  if (!first || innerPidOf(first) !== 1 || pid === 1) return undefined;
  const children = new Map<number, number[]>();
  const statuses = new Map([[pid, first]]);
  for (const name of fs.readdirSync("/proc")) {
    const each = Number(name);
    const status = Number.isInteger(each) && each !== pid ? readStatus(each) : undefined;
    if (status === undefined) continue;
    const parent = numbersOf(status, "PPid")[0] ?? 0;
    statuses.set(each, status);
    children.set(parent, [...(children.get(parent) ?? []), each]);
  }
  const found: ContainerProcess[] = [];
  const visit = (each: number): void => {
    found.push(describe(each, statuses.get(each) ?? ""));
    for (const child of children.get(each) ?? []) visit(child);
  };
  visit(pid);
  return found;
}

function describe(pid: number, status: string): ContainerProcess {
  return {
    pid,
    innerPid: innerPidOf(status),
    parent: numbersOf(status, "PPid")[0] ?? 0,
    uid: insideUid(pid, numbersOf(status, "Uid")[1] ?? 0),
    name: fieldOf(status, "Name"),
    state: fieldOf(status, "State")[0] ?? "?",
    capabilities: BigInt(`0x${fieldOf(status, "CapEff") || "0"}`),
    resident: (numbersOf(status, "VmRSS")[0] || 0) * 1024,
  };
}

function readStatus(pid: number): string | undefined {
  return readText(`/proc/${pid}/status`);
}

function innerPidOf(status: string): number {
  return numbersOf(status, "NSpid").at(-1) ?? 0;
}

function fieldOf(status: string, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
}

function numbersOf(status: string, name: string): number[] {
  return fieldOf(status, name).split(/\s+/).map(Number);
}

/** user_namespaces(7): rows of first uid inside, first uid as we see it, count. */
function insideUid(pid: number, uid: number): number {
  for (const row of (readText(`/proc/${pid}/uid_map`) ?? "").split("\n")) {
    const [inside = 0, outside = 0, count = 0] = row.trim().split(/\s+/).map(Number);
    if (uid >= outside && uid < outside + count) return inside + uid - outside;
  }
  return uid;
}

/** Bytes: a process's share of what it maps, or all of it where the kernel does not tell shares. */
export function memoryOf({ pid, resident }: ContainerProcess): number {
  const share = /^Pss:\s*(\d+) kB$/m.exec(readText(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return share === undefined ? resident : Number(share) * 1024;
}

/** Addresses at which something in the container's network listens, by port: `0.0.0.0`, `127.0.0.1`, `::`, `::1` or others in hexadecimal. */
export function listenersOf(pid: number): Map<number, string[]> | undefined {
  if (innerPidOf(readStatus(pid) ?? "") !== 1) return undefined;
  const found = new Map<number, string[]>();
  for (const name of ["tcp", "tcp6"]) {
    for (const line of (readText(`/proc/${pid}/net/${name}`) ?? "").split("\n")) {
      const [, address = "", port = "", state] =
        /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2})/.exec(line) ?? [];
      if (state !== "0A") continue;
      const number = Number.parseInt(port, 16);
      found.set(number, [...(found.get(number) ?? []), addresses[address] ?? address]);
    }
  }
  return found;
}

const addresses: Record<string, string> = {
  "00000000": "0.0.0.0",
  "0100007F": "127.0.0.1",
  ["0".repeat(32)]: "::",
  [`${"0".repeat(24)}01000000`]: "::1",
};

/** Whether all of these can be reached from inside alone. */
export function isLoopback(found: readonly string[]): boolean {
  return found.length > 0 && found.every((address) => address === "127.0.0.1" || address === "::1");
}

/** Sends a signal to every process of a container; false where this user may not, or they can't be seen. */
export function signalAll(pid: number, signal: NodeJS.Signals, which: "all" | "not PID 1" = "all"): boolean {
  const processes = processesOf(pid);
  if (!processes) return false;
  try {
    for (const each of processes) {
      if (which === "not PID 1" && each.innerPid === 1) continue;
      if (each.state !== "Z") process.kill(each.pid, signal);
    }
    return true;
  } catch (error) {
    // It has ended by itself.
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}

function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
