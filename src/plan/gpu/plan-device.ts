import { capabilityName } from "../../cuda/architecture.ts";
import { cudaPart } from "../../cuda/profiles.ts";
import { isNvidiaLibrary, nvidiaLicenceNote } from "../../cuda/libraries.ts";
import { byCodeUnit } from "../../order.ts";
import type { ParseRecords } from "../../project/parse-records.ts";
import type { Resolution } from "../../resolve/resolution.ts";
import type { DescribedImage } from "../describe-image.ts";
import type { Environment } from "../environment.ts";
import type { DevicePlan, GpuPlan, ImagePlan, LeftOutPart, PlannedFile, PlanNote } from "../image-plan.ts";
import type { OwnCode } from "../own-code.ts";
import { gpuNotes } from "./cuda-release.ts";
import { type DecidedPart, decideParts, type DeviceDecision, shownCall } from "./decide.ts";
import type { DeviceRequest } from "./device-options.ts";
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
      ...(environment.device?.restored ?? []).map(restoredNote),
      ...(request?.pruneNvidia ? [prunedNote(run.name)] : []),
      ...(device ? wholeNotes(device) : []),
      ...(device ? unservedNotes(device) : []),
      ...(device ? callNotes(device, environment) : []),
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

/** torch.compile and triton make C code as they run, and have it compiled against Python's headers. */
function compilerNotes(calls: readonly PartCall[], { packages }: Environment): PlanNote[] {
  const call = calls.find(({ part }) => part === "triton");
  if (!call || packages.some(({ name }) => /^(?:gcc|clang)(?:-\d+)?$/.test(name))) return [];
  return [
    {
      level: "warning",
      message: `${call.name} (${call.file}:${call.line}) compiles as it runs, with a C compiler and Python's headers, and neither is in the image`,
      hint: 'a base has both: base = "python:3.12"',
    },
  ];
}

function restoredNote({ part, neededBy }: DeviceOutcome["restored"][number]): PlanNote {
  return {
    level: "note",
    message: `${cudaPart(part).title} stays although the profile leaves it out: ${fileName(neededBy)} does not load without it`,
  };
}

function prunedNote(image: string): PlanNote {
  return {
    level: "warning",
    message: `NVIDIA's own libraries are changed: ${nvidiaLicenceNote}`,
    hint: `config images.${image}.gpu prune-nvidia`,
  };
}

/** Libraries whose device code could not be taken out, and why. NVIDIA's own stay as they are for another reason. */
function wholeNotes({ libraries }: DevicePlan): PlanNote[] {
  return libraries.flatMap(({ path, outcome, note }): PlanNote[] =>
    outcome === "whole" && note !== undefined && !isNvidiaLibrary(path)
      ? [{ level: "note", message: `${fileName(path)} keeps all its device code: ${note}` }]
      : [],
  );
}

/** Targets that a library has no code for: on these GPUs its kernels are missing, as they were before. */
function unservedNotes({ libraries }: DevicePlan): PlanNote[] {
  return libraries.flatMap(({ path, unserved = [] }): PlanNote[] => {
    if (unserved.length === 0) return [];
    const names = unserved.map(capabilityName).join(", ");
    return [
      {
        level: "warning",
        message: `${fileName(path)} has no device code for ${names}: its wheel was not built for such a GPU`,
        hint: "take a build that is made for it, or leave that target out",
      },
    ];
  });
}

/** What distributions could call of what is left out. Whether the app ever gets there, no reading tells. */
function callNotes({ leftOut }: DevicePlan, { device, distributions }: Environment): PlanNote[] {
  const gone = new Set(leftOut.map(({ name }) => name));
  return Object.entries(device?.calls ?? {}).flatMap(([name, calls]): PlanNote[] => {
    const open = calls.filter(({ part }) => gone.has(part));
    if (open.length === 0) return [];
    const version = distributions.find((each) => each.name === name)?.version ?? "";
    const places = new Map<string, string[]>();
    for (const { part, file, line, name: called } of open) {
      const place = `${shownCall(called)}, ${file}:${line}`;
      places.set(place, [...(places.get(place) ?? []), part]);
    }
    const told = [...places].map(([place, parts]) => `${parts.join(", ")} (${place})`);
    return [
      {
        level: "note",
        message: `${name} ${version} can call parts of CUDA that are left out: ${told.join(", ")}`,
        hint: `where the app gets there on a GPU, that is an error; keep = [${open.map(({ part }) => `"${part}"`).join(", ")}] brings them back`,
      },
    ];
  });
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
