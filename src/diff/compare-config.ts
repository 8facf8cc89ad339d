import type { Healthcheck, ImageConfig } from "../oci/types.ts";
import { byCodeUnit } from "../order.ts";
import type { ConfigChange } from "./image-diff.ts";

/**
 * Compares what containers start with (image-spec, config.md), value by value. What is empty is the same as what is not there; the
 * time of the build, its author and the history are left out.
 */
export function compareConfig(a: ImageConfig, b: ImageConfig): ConfigChange[] {
  const left = valuesOf(a);
  const right = valuesOf(b);
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((field): ConfigChange[] => {
    const change = { field, a: left.get(field), b: right.get(field) };
    return change.a === change.b ? [] : [change];
  });
}

/** Every value in words, in the order in which a person would ask for them. */
function valuesOf({ os, architecture, variant, config = {} }: ImageConfig): Map<string, string> {
  const { User, WorkingDir, Entrypoint, Cmd, StopSignal, Shell, OnBuild, Healthcheck: health } = config;
  const values: [field: string, value: string | undefined][] = [
    ["platform", [os, architecture, variant].filter(Boolean).join("/")],
    ["user", User],
    ["workdir", WorkingDir],
    ["entrypoint", words(Entrypoint)],
    ["cmd", words(Cmd)],
    ["stop signal", StopSignal || defaultStopSignal],
    ...healthValues(health),
    ["shell", words(Shell)],
    ["onbuild", words(OnBuild)],
    ...keys("port", config.ExposedPorts),
    ...keys("volume", config.Volumes),
    ...environment(config.Env ?? []),
    ...Object.entries(config.Labels ?? {})
      .toSorted(([left], [right]) => byCodeUnit(left, right))
      .map(([name, value]): [string, string] => [`label ${name}`, String(value)]),
  ];
  return new Map(values.filter((each): each is [string, string] => each[1] !== undefined && each[1] !== ""));
}

/** What engines send where an image doesn't say (image-spec, config.md). */
const defaultStopSignal = "SIGTERM";

function words(list: readonly string[] | null | undefined): string | undefined {
  return list && list.length > 0 ? JSON.stringify(list) : undefined;
}

function keys(field: string, set: Record<string, unknown> | null | undefined): [string, string][] {
  return Object.keys(set ?? {})
    .toSorted()
    .map((name) => [`${field} ${name}`, "yes"]);
}

/** Of a variable that is there twice the last one counts, as in an engine. */
function environment(env: readonly string[]): [string, string][] {
  const variables = env.map((each): [string, string] => {
    const equals = each.indexOf("=");
    return equals === -1
      ? [`env ${each}`, "(unset)"]
      : [`env ${each.slice(0, equals)}`, each.slice(equals + 1) || '""'];
  });
  return [...new Map(variables)].toSorted(([a], [b]) => byCodeUnit(a, b));
}

/** Figures that are 0 or missing are the engine's own. */
function healthValues(health: Healthcheck | null | undefined): [string, string | undefined][] {
  if (!health) return [];
  const seconds = (nanoseconds: number | undefined) => (nanoseconds ? `${nanoseconds / 1e9} s` : undefined);
  return [
    ["health command", words(health.Test)],
    ["health interval", seconds(health.Interval)],
    ["health timeout", seconds(health.Timeout)],
    ["health start period", seconds(health.StartPeriod)],
    ["health start interval", seconds(health.StartInterval)],
    ["health retries", health.Retries ? String(health.Retries) : undefined],
  ];
}
