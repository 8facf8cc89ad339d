import type { Healthcheck, History, RuntimeConfig } from "./types.ts";
import { byCodeUnit } from "../order.ts";

/** The instructions that a Dockerfile would need for this config, in its order: scanners read them from the history. */
export function configInstructions(config: RuntimeConfig): string[] {
  return [
    ...Object.entries(config.Labels ?? {})
      .toSorted(([a], [b]) => byCodeUnit(a, b))
      .map(([key, value]) => `LABEL ${key}=${value}`),
    ...(config.Env ?? []).map((variable) => `ENV ${variable}`),
    ...(config.WorkingDir ? [`WORKDIR ${config.WorkingDir}`] : []),
    ...(config.User ? [`USER ${config.User}`] : []),
    ...Object.keys(config.ExposedPorts ?? {})
      .toSorted()
      .map((port) => `EXPOSE ${port}`),
    ...Object.keys(config.Volumes ?? {})
      .toSorted()
      .map((volume) => `VOLUME ${JSON.stringify([volume])}`),
    ...(config.StopSignal ? [`STOPSIGNAL ${config.StopSignal}`] : []),
    ...(config.Healthcheck ? [healthInstruction(config.Healthcheck)] : []),
    ...(config.Entrypoint ? [`ENTRYPOINT ${JSON.stringify(config.Entrypoint)}`] : []),
    ...(config.Cmd ? [`CMD ${JSON.stringify(config.Cmd)}`] : []),
  ];
}

/** Entries of a history that stand for a layer. */
export function layerHistory(history: readonly History[] | undefined): History[] {
  return (history ?? []).filter((entry) => entry.empty_layer !== true);
}

const kindPrefix = "sheaf: ";

/** The comment by which `kindOf` knows what Sheaf put into a layer. */
export function kindComment(kind: string): string {
  return kindPrefix + kind;
}

/** What a layer holds by its history: Sheaf's own kinds, `base` for layers of others. */
export function kindOf(entry: History | undefined): string {
  return entry?.comment?.startsWith(kindPrefix) ? entry.comment.slice(kindPrefix.length) : "base";
}

function healthInstruction(health: Healthcheck): string {
  const [form, ...command] = health.Test ?? [];
  if (form === "NONE") return "HEALTHCHECK NONE";
  const flags = [
    ...durationFlag("interval", health.Interval),
    ...durationFlag("timeout", health.Timeout),
    ...durationFlag("start-period", health.StartPeriod),
    ...durationFlag("start-interval", health.StartInterval),
    ...(health.Retries ? [`--retries=${health.Retries}`] : []),
  ];
  const test = form === "CMD-SHELL" ? command.join(" ") : JSON.stringify(command);
  return ["HEALTHCHECK", ...flags, "CMD", test].join(" ");
}

function durationFlag(name: string, nanoseconds: number | undefined): string[] {
  if (!nanoseconds) return [];
  const milliseconds = nanoseconds / 1e6;
  return [`--${name}=${milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`}`];
}
