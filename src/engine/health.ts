import type { Healthcheck } from "../oci/types.ts";

/** Where a running image stands, in Docker's words. `none` when the image has no HEALTHCHECK. */
export type HealthStatus = "none" | "starting" | "healthy" | "unhealthy";

/** A HEALTHCHECK with its defaults filled in. Times in milliseconds. */
export interface HealthCheck {
  /** What runs in the container; exit status 0 means healthy. */
  command: string[];
  intervalMs: number;
  timeoutMs: number;
  startPeriodMs: number;
  /** Between two probes while the start period lasts and none has succeeded. */
  startIntervalMs: number;
  /** Failures in a row that make it unhealthy. */
  retries: number;
}

/**
 * Reads an image's Healthcheck. Undefined when there is none: absent, an empty Test, or `["NONE"]`.
 * Docker's defaults hold: 30 s between probes, 30 s each, no start period, three failures in a row. The one that differs is
 * the interval inside the start period: a quarter of a second instead of five, because somebody is waiting for the first success.
 */
export function parseHealthcheck(config: Healthcheck | undefined, shell?: string[]): HealthCheck | undefined {
  const [form, ...words] = config?.Test ?? [];
  const command = probeCommand(form, words, shell ?? ["/bin/sh", "-c"]);
  if (!config || !command) return undefined;
  const intervalMs = milliseconds(config.Interval, 30_000);
  return {
    command,
    intervalMs,
    timeoutMs: milliseconds(config.Timeout, 30_000),
    startPeriodMs: milliseconds(config.StartPeriod, 0),
    startIntervalMs: Math.min(intervalMs, milliseconds(config.StartInterval, 250)),
    retries: config.Retries && config.Retries > 0 ? config.Retries : 3,
  };
}

function probeCommand(form: string | undefined, words: string[], shell: string[]): string[] | undefined {
  if (form === "CMD" && words.length > 0) return words;
  if (form === "CMD-SHELL" && words[0] !== undefined) return [...shell, words[0]];
  return undefined;
}

function milliseconds(nanoseconds: number | undefined, fallback: number): number {
  return nanoseconds && nanoseconds > 0 ? nanoseconds / 1e6 : fallback;
}

/** Told of every change. `evidence` is what the last probe ended with and printed: `exit code 1: connection refused`. */
export type HealthListener = (status: HealthStatus, evidence: string) => void;

/** One line about a probe, of its end and the end of what it printed. */
export function probeEvidence(code: number, printed: string): string {
  const text = printed.trim().slice(-300).replaceAll(/\s+/g, " ");
  const outcome = code === 124 ? "no answer within its timeout" : `exit code ${code}`;
  return text === "" ? outcome : `${outcome}: ${text}`;
}

export interface HealthState {
  status: HealthStatus;
  /** Failures in a row that count. */
  failingStreak: number;
}

export const initialHealth: HealthState = { status: "starting", failingStreak: 0 };

export interface ProbeResult {
  ok: boolean;
  /** Milliseconds from the container's start to the end of the probe. */
  atMs: number;
}

/** Docker's rule: failures inside the start period don't count as long as no probe has succeeded. */
export function nextHealth(check: HealthCheck, state: HealthState, result: ProbeResult): HealthState {
  if (result.ok) return { status: "healthy", failingStreak: 0 };
  if (state.status === "starting" && result.atMs < check.startPeriodMs) return state;
  const failingStreak = state.failingStreak + 1;
  return { status: failingStreak >= check.retries ? "unhealthy" : state.status, failingStreak };
}

/** How long to wait before the next probe, counted from the end of the last one. */
export function probeDelayMs(check: HealthCheck, state: HealthState, atMs: number): number {
  return state.status === "starting" && atMs < check.startPeriodMs ? check.startIntervalMs : check.intervalMs;
}
