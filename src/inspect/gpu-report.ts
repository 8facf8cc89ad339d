/** What `cuda/check/program.ts` found, in a container or wherever it ran. */
export interface GpuReport {
  /** `not run`: nothing was computed on a GPU, so nothing is known. */
  verdict: "pass" | "fail" | "not run";
  /** Why nothing was computed. */
  reason?: string;
  python: string;
  driver: { version: string; cuda: string; problem?: string } | null;
  gpus: { name: string; capability: string }[];
  torch: { version: string; cuda: string | null; architectures: string[] } | null;
  device: "cuda" | "cpu" | null;
  operations: GpuOperation[];
  /** Of CUDA and torch, those that were really loaded. */
  libraries: { path: string; bytes: number; stub: boolean }[];
}

export interface GpuOperation {
  name: string;
  type: "fp32" | "fp16" | "bf16" | "int";
  /** `left out`: a library that it needs was, by the image's profile. */
  verdict: "pass" | "fail" | "skipped" | "left out";
  /** Largest difference from the CPU's double precision, over the largest value. */
  difference?: number | null;
  tolerance: number;
  note?: string;
}

/**
 * Reads the report in what the program printed, which other programs of the image may have printed beside.
 *
 * @returns undefined when there is none
 */
export function parseGpuReport(text: string): GpuReport | undefined {
  const line = text.split("\n").findLast((each) => each.startsWith('{"version": 1,'));
  if (line === undefined) return undefined;
  try {
    const report: unknown = JSON.parse(line);
    return isReport(report) ? report : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** As far as it is shown; the image could print anything. */
function isReport(value: unknown): value is GpuReport {
  if (!isObject(value)) return false;
  const { verdict, operations, libraries, gpus, driver, torch } = value;
  return (
    ["pass", "fail", "not run"].includes(String(verdict)) &&
    isListOf(
      operations,
      ({ name, type, verdict: each, tolerance }) =>
        [name, type, each].every((text) => typeof text === "string") && typeof tolerance === "number",
    ) &&
    isListOf(libraries, ({ path, bytes }) => typeof path === "string" && typeof bytes === "number") &&
    isListOf(gpus, ({ name, capability }) => typeof name === "string" && typeof capability === "string") &&
    (driver === null || isObject(driver)) &&
    (torch === null || (isObject(torch) && typeof torch["version"] === "string"))
  );
}

function isListOf(value: unknown, holds: (item: Record<string, unknown>) => boolean): boolean {
  return Array.isArray(value) && value.every((item: unknown) => isObject(item) && holds(item));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
