import { checkProgram } from "../cuda/check/program.ts";
import type { ContainerOptions, Engine } from "../engine/engine.ts";
import { SheafError } from "../errors.ts";
import { type GpuReport, parseGpuReport } from "./gpu-report.ts";

export interface CheckGpuOptions {
  /** The interpreter in the image that has torch. */
  python: string;
  /** Compute on the CPU where there is no GPU. */
  cpu: boolean;
  /** Whole networks too. */
  models: boolean;
  signal: AbortSignal;
}

/**
 * Holds what an image computes on this machine's GPUs against its CPU, in a container that is gone afterwards.
 *
 * @param tag of an image that the engine has
 * @throws SheafError SHEAF_ENGINE when the engine can't start it; SHEAF_GPU_CHECK when it ends without a report
 */
export async function checkGpu(engine: Engine, tag: string, options: CheckGpuOptions): Promise<GpuReport> {
  const refusals: string[] = [];
  for (const gpus of ["engine", "cdi"] as const) {
    if (gpus === "cdi" && engine.kind === "podman") break;
    try {
      return await runProgram(engine, tag, { ...options, gpus });
    } catch (error) {
      if (!(error instanceof SheafError) || !isRefusal(error)) throw error;
      refusals.push(error.message.replace(/^Docker refused \S+ \S+: /, ""));
    }
  }
  const reason = `${engine.describe()} gives no GPU to containers`;
  if (options.cpu) {
    const report = await runProgram(engine, tag, options);
    const isEmpty = report.operations.length === 0 && report.reason !== undefined;
    return { ...report, reason: isEmpty ? `${reason}, and ${report.reason}` : reason };
  }
  return { ...nothing, reason: `${reason}: ${refusals[0] ?? ""}` };
}

const nothing: GpuReport = {
  verdict: "not run",
  python: "",
  driver: null,
  gpus: [],
  torch: null,
  device: null,
  operations: [],
  libraries: [],
};

/** Docker without NVIDIA's runtime, an engine without a CDI specification, and both with a broken one. */
function isRefusal({ code, message }: SheafError): boolean {
  const texts = /could not select device driver|unresolvable CDI|CDI device|nvidia|no such device|unknown device/i;
  return code === "SHEAF_ENGINE" && texts.test(message);
}

async function runProgram(
  engine: Engine,
  image: string,
  { python, cpu, models, signal, gpus }: CheckGpuOptions & Pick<ContainerOptions, "gpus">,
): Promise<GpuReport> {
  const printed = { stdout: "", stderr: "" };
  const running = await engine.run({
    image,
    entrypoint: [python],
    command: ["-c", checkProgram, "--json", ...(cpu ? ["--cpu"] : []), ...(models ? ["--models"] : [])],
    ...(gpus ? { gpus } : {}),
    network: false,
    onOutput: (chunk, stream) => {
      printed[stream] = (printed[stream] + Buffer.from(chunk).toString("latin1")).slice(-mostOutput);
    },
  });
  const stop = (): void => running.signal("SIGKILL");
  signal.addEventListener("abort", stop);
  try {
    const code = await running.exited;
    signal.throwIfAborted();
    const report = parseGpuReport(printed.stdout);
    if (report) return report;
    throw noReport(code, { python, image, stderr: printed.stderr });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function noReport(code: number, about: { python: string; image: string; stderr: string }): SheafError {
  const { python, image, stderr } = about;
  const lines = stderr.trim().split("\n").slice(-3);
  return new SheafError("SHEAF_GPU_CHECK", `${python} ended with exit code ${code} in ${image}, without a report`, {
    details: lines.filter(Boolean).map((line): [string, string] => ["it said", line]),
    hint: ["--python names the interpreter of the image that has torch: --python /app/.venv/bin/python"],
  });
}

/** Of what it prints, the report is the last and has some 30 kB. */
const mostOutput = 2 ** 20;
