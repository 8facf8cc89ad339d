import { createHash } from "node:crypto";

import { preflightCommand, preflightFile, preflightPath } from "../../cuda/preflight/preflight.ts";
import type { Sourced } from "../../project/project.ts";
import type { GpuPlan, PlannedFile } from "../image-plan.ts";

/** The program that holds an image against the machine's GPU, as one of the image's files; undefined where CUDA is not known. */
export function preflightOf({ cuda, minDriver, capabilities = [] }: GpuPlan): PlannedFile | undefined {
  if (cuda === undefined || minDriver === undefined) return undefined;
  const targets = capabilities.map((name) => Math.round(Number(name) * 10));
  const text = preflightFile({ cuda, minDriver, targets });
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { path: preflightPath, text, mode: 0o644, size: Buffer.byteLength(text), sha256 };
}

/** The entrypoint with the preflight between PID 1 and the command. @param python absolute path in the image */
export function withPreflight(entrypoint: Sourced<string[]>, python: string): Sourced<string[]> {
  return {
    value: [...entrypoint.value, ...preflightCommand(python)],
    source: `${entrypoint.source}; the GPU's driver is asked before the command starts`,
  };
}
