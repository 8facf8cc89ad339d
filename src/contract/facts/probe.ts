import type { Healthcheck } from "../../oci/types.ts";

export interface Probe {
  form: "CMD" | "CMD-SHELL";
  words: string[];
}

/** What the health check runs; undefined when there is none, or none that an engine could run. */
export function probeOf(health: Healthcheck | null | undefined): Probe | undefined {
  const test: unknown = health?.Test;
  if (!Array.isArray(test) || !test.every((word) => typeof word === "string")) return undefined;
  const [form, ...words] = test;
  return form === "CMD" || form === "CMD-SHELL" ? { form, words } : undefined;
}
