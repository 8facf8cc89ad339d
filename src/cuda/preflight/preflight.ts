import { architectureName, capabilityName } from "../architecture.ts";
import { cudaOfDriver } from "../gpus.ts";
import { preflightProgram } from "./program.ts";

/** What an image has for GPUs, as its preflight holds it against the machine. */
export interface PreflightImage {
  /** `12.1`. */
  cuda: string;
  /** The oldest driver that it runs on, `525.60.13`. */
  minDriver: string;
  /** Compute capabilities as 86 that device code was kept for; empty when all of it was kept, and no GPU is then refused. */
  targets: readonly number[];
  /** Of the newest PTX, when it was kept for GPUs that come later. */
  ptx?: number;
}

/** Below the root. */
export const preflightPath = "usr/lib/sheaf/gpu_preflight.py";

/**
 * The file that the image gets at `preflightPath`, readable to all (0644). It needs Python 3.8 with ctypes, nothing else, and
 * without these it starts the command all the same.
 */
export function preflightFile({ cuda, minDriver, targets, ptx }: PreflightImage): string {
  const sorted = [...new Set(targets)].sort((a, b) => a - b);
  const image = {
    cuda,
    "min-driver": minDriver,
    "driver-cuda": cudaOfDriver(minDriver) ?? cuda,
    targets: sorted.map(capabilityName),
    code: [
      ...sorted.map((sm) => architectureName({ sm, variant: "" })),
      ...(ptx === undefined || sorted.length === 0 ? [] : [architectureName({ sm: ptx, variant: "" }, "compute_")]),
    ],
  };
  // JSON of texts and lists is Python too.
  return `IMAGE = ${JSON.stringify(image, undefined, 4)}\n${preflightProgram}`;
}

/**
 * The words that stand before the image's command, between tini and it: `["/usr/bin/tini", "--", ...preflightCommand(python)]`.
 * The preflight execs what follows, so the command keeps tini as its parent.
 *
 * At run time the variable SHEAF_GPU_PREFLIGHT decides: `warn` (the default) says in one line on stderr what does not fit and
 * goes on, `strict` then ends with the exit code 69 in place of the command, `off` asks nothing.
 *
 * @param python the interpreter's absolute path in the image
 */
export function preflightCommand(python: string): string[] {
  return [python, "-I", "-S", `/${preflightPath}`];
}
