import * as path from "node:path";

import { discoverInterpreters, thisMachine } from "../../src/interpreter/discover.ts";
import { hostPlatform, machineOf } from "../../src/platform.ts";

export interface HostPython {
  minor: string;
  version: string;
  prefix: string;
  executable: string;
}

/** One CPython a minor that this machine has and can run, oldest first. */
export function hostPythons(): HostPython[] {
  const host = hostPlatform();
  const byMinor = new Map<string, HostPython>();
  for (const { minor, version, prefix, machine } of discoverInterpreters(thisMachine(), "/nonexistent").candidates) {
    if (!host || machine !== machineOf(host)) continue;
    byMinor.set(minor, { minor, version, prefix, executable: path.join(prefix, "bin", `python${minor}`) });
  }
  return [...byMinor.values()].toSorted((a, b) => Number(a.minor.slice(2)) - Number(b.minor.slice(2)));
}

/** The one that tests use when any minor will do. */
export function anyPython(): HostPython | undefined {
  const pythons = hostPythons();
  return pythons.find(({ minor }) => minor === "3.12") ?? pythons.at(-1);
}
