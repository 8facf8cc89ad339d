import type { Platform } from "../platform.ts";
import { compareVersions } from "./pep440.ts";
import { byCodeUnit } from "../order.ts";

/** One combination that a lock serves. */
export interface LockEnvironment {
  /** Full version. */
  python: string;
  architecture: Platform["architecture"];
}

/**
 * The marker that holds in exactly the given environments out of all; empty when it is all of them. As short as the shape
 * allows: by architecture, by Python, or one by one.
 */
export function environmentMarker(some: LockEnvironment[], all: LockEnvironment[]): string {
  if (some.length === all.length) return "";
  const pythons = unique(some.map(minorOf));
  const machines = unique(some.map(machineOf));
  const isGrid = some.length === pythons.length * machines.length;
  if (!isGrid)
    return some.map((one) => `(${pythonMarker([minorOf(one)])} and ${machineMarker([machineOf(one)])})`).join(" or ");
  const parts: string[] = [];
  const allPythons = unique(all.map(minorOf));
  if (pythons.length < allPythons.length) parts.push(pythonRange(pythons, allPythons));
  if (machines.length < unique(all.map(machineOf)).length) parts.push(machineMarker(machines));
  return parts.map((part) => (parts.length > 1 && part.includes(" or ") ? `(${part})` : part)).join(" and ");
}

/** A range when the Pythons are the first or the last of all. */
function pythonRange(minors: string[], all: string[]): string {
  const [sorted, sortedAll] = [minors.toSorted(compareVersions), all.toSorted(compareVersions)];
  const [first = "", next = ""] = [sorted[0], sortedAll[sorted.length]];
  if (sorted.length > 1 && first === sortedAll.at(-sorted.length)) return `python_version >= '${first}'`;
  if (sorted.length > 1 && sorted.at(-1) === sortedAll[sorted.length - 1]) return `python_version < '${next}'`;
  return pythonMarker(minors);
}

function pythonMarker(minors: string[]): string {
  return minors
    .toSorted(compareVersions)
    .map((minor) => `python_version == '${minor}'`)
    .join(" or ");
}

function machineMarker(machines: string[]): string {
  return machines
    .toSorted(byCodeUnit)
    .map((machine) => `platform_machine == '${machine}'`)
    .join(" or ");
}

function minorOf(environment: LockEnvironment): string {
  return environment.python.split(".").slice(0, 2).join(".");
}

function machineOf(environment: LockEnvironment): string {
  return environment.architecture === "amd64" ? "x86_64" : "aarch64";
}

function unique(values: string[]): string[] {
  return [...new Set(values)];
}
