// Shared by the benchmarks: running commands, medians, and the table of ratios.
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";

/** Runs a program and returns seconds; throws with its output when it fails. */
export function seconds(command, args, options = {}) {
  const started = process.hrtime.bigint();
  output(command, args, options);
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** Runs a program and returns its stdout. */
export function output(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 256 * 1024 * 1024, ...options });
  if (result.status === 0) return result.stdout;
  throw new Error(`${command} ${args.join(" ")} failed:\n${result.stdout}\n${result.stderr}\n${result.error ?? ""}`);
}

/**
 * Runs a program beside which its memory is watched: seconds, and the most bytes that it had resident.
 * @param codes exit codes that are no failure
 */
export async function observed(command, args, { codes = [0], ...options } = {}) {
  const started = process.hrtime.bigint();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], ...options });
  let told = "";
  child.stderr.on("data", (bytes) => (told += bytes));
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, highestMemory(child.pid))), 20);
  const code = await new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
  clearInterval(watch);
  if (!codes.includes(code)) throw new Error(`${command} ${args.join(" ")} failed (${code}):\n${told}`);
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, peak };
}

/** Linux keeps the highest resident size of a process: bytes, of it or of the largest that it started. */
function highestMemory(pid) {
  try {
    const own = Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
    const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
    return Math.max(own, ...children.map(highestMemory));
  } catch {
    return 0;
  }
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Runs two actions in turn, so that a noisy moment of the machine meets both. */
export async function inTurn(times, baseline, sheaf) {
  const results = { baseline: [], sheaf: [] };
  for (let round = 0; round < times; round += 1) {
    results.baseline.push(await baseline(round));
    results.sheaf.push(await sheaf(round));
  }
  return { baseline: median(results.baseline), sheaf: median(results.sheaf), rounds: results };
}

/** Prints measures with their ratio and limit; returns how many are over. */
export function printTable(rows) {
  const cells = [["measure", "baseline", "sheaf", "ratio", "limit", ""], ...rows.map(rowOf)];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells)
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join("  ")
        .trimEnd(),
    );
  return rows.filter((row) => !holds(row)).length;
}

function rowOf({ name, baseline, sheaf, unit, ratio, atMost }) {
  const show = (value) =>
    value === undefined ? "–" : unit === "MB" ? `${(value / 1e6).toFixed(1)} MB` : `${value.toFixed(2)} s`;
  const limit = ratio !== undefined ? `≤ ${ratio}×` : atMost !== undefined ? `≤ ${show(atMost)}` : "";
  const quotient = baseline === undefined ? "" : `${(sheaf / baseline).toFixed(2)}×`;
  return [
    name,
    show(baseline),
    show(sheaf),
    quotient,
    limit,
    holds({ baseline, sheaf, ratio, atMost }) ? "holds" : "OVER",
  ];
}

function holds({ baseline, sheaf, ratio, atMost }) {
  if (ratio !== undefined) return sheaf <= baseline * ratio;
  return atMost === undefined || sheaf <= atMost;
}
