import { cudaPart } from "../../cuda/profiles.ts";
import { byCodeUnit } from "../../order.ts";
import type { ParseRecords } from "../../project/parse-records.ts";
import type { Resolution } from "../../resolve/resolution.ts";
import type { DescribedImage } from "../describe-image.ts";
import type { Environment } from "../environment.ts";
import type { DevicePlan, GpuPlan, ImagePlan, LeftOutPart, PlannedFile, PlanNote } from "../image-plan.ts";
import type { OwnCode } from "../own-code.ts";
import { gpuNotes } from "./cuda-release.ts";
import { type DecidedPart, decideParts, type DeviceDecision } from "./decide.ts";
import type { DeviceRequest } from "./device-options.ts";
import { compilerNotes, deviceNotes, prunedNote } from "./notes.ts";
import type { DeviceOutcome } from "./outcome.ts";
import { ownCalls, type PartCall } from "./own-calls.ts";
import { preflightOf, withPreflight } from "./preflight.ts";
import { gpuLabels } from "./settings.ts";

export interface DeviceQuestion {
  /** Name of the image. */
  image: string;
  gpu: GpuPlan;
  resolution: Resolution;
  code: OwnCode;
  /** The project's files that the start reaches. */
  reached: readonly string[];
}

/** What is to be done to the CUDA libraries of an image, and why. */
export interface PlannedDevice {
  decision: DeviceDecision;
  /** What the project's own code calls, whatever is decided. */
  calls: PartCall[];
  /** Absent where nothing is to be done. */
  request?: DeviceRequest;
}

export async function planDevice(question: DeviceQuestion, records?: ParseRecords): Promise<PlannedDevice> {
  const { image, gpu, resolution, code, reached } = question;
  const { profile = "full", keep = [], drop = [], capabilities = [], pruneNvidia = false } = gpu;
  const { distributions } = resolution;
  const calls = await ownCalls(code, reached, records);
  const decision = decideParts({ image, profile, keep, drop, distributions, calls });
  const targets = capabilities.map((name) => Math.round(Number(name) * 10));
  const leaveOut = decision.leftOut.map(({ part }) => part).toSorted(byCodeUnit);
  if (targets.length === 0 && leaveOut.length === 0) return { decision, calls };
  return { decision, calls, request: { targets, pruneNvidia: pruneNvidia && targets.length > 0, leaveOut } };
}

export interface GpuParts {
  gpu: GpuPlan;
  planned: PlannedDevice;
  environment: Environment;
  resolution: Resolution;
  run: DescribedImage["run"];
  base: ImagePlan["base"];
  files: readonly PlannedFile[];
}

/** What the plan of an image for GPUs has beyond others': how it starts, its labels, the preflight, and what became of CUDA. */
export function withGpu({ gpu, planned, environment, resolution, run, base, files }: GpuParts): {
  plan: Pick<ImagePlan, "config" | "files"> & { device?: DevicePlan };
  notes: PlanNote[];
} {
  const { decision, request } = planned;
  const device = environment.device && devicePlan(decision, environment.device);
  const preflight = preflightOf(gpu);
  const { layout } = environment;
  const labels = { ...gpuLabels(gpu, device), ...run.config.labels };
  return {
    plan: {
      files: preflight ? [...files, preflight] : [...files],
      config: {
        ...run.config,
        labels: Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => byCodeUnit(a, b))),
        ...(preflight && layout ? { entrypoint: withPreflight(run.config.entrypoint, layout.executable) } : {}),
      },
      ...(device ? { device } : {}),
    },
    notes: [
      ...gpuNotes(run.name, gpu, resolution.distributions),
      ...decision.notes,
      ...(base.kind === "debian" ? compilerNotes(planned.calls, environment) : []),
      ...(request?.pruneNvidia ? [prunedNote(run.name)] : []),
      ...(device ? deviceNotes(device, environment) : []),
    ],
  };
}

function devicePlan({ leftOut, kept }: DeviceDecision, { restored, ...outcome }: DeviceOutcome): DevicePlan {
  const back = restored.map(({ part, neededBy }): DecidedPart => ({ part, source: `${fileName(neededBy)} needs it` }));
  return {
    before: outcome.before,
    after: outcome.after,
    leftOut: leftOut.flatMap((each) => leftOutPart(each, outcome)),
    kept: [...kept, ...back]
      .map(({ part, source }) => ({ name: part, source }))
      .toSorted((a, b) => byCodeUnit(a.name, b.name)),
    libraries: outcome.libraries,
  };
}

/** A part of which the wheels have nothing is not left out. */
function leftOutPart({ part, source }: DecidedPart, { libraries }: Pick<DeviceOutcome, "libraries">): LeftOutPart[] {
  const files = libraries.filter((library) => library.part === part);
  if (files.length === 0) return [];
  return [
    {
      name: part,
      source,
      does: cudaPart(part).does,
      dropped: files.filter(({ outcome }) => outcome === "dropped").length,
      stubbed: files.filter(({ outcome }) => outcome === "stubbed").length,
      bytes: files.reduce((sum, { before, after }) => sum + before - after, 0),
    },
  ];
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
