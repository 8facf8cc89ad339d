import { capabilityName } from "../../cuda/architecture.ts";
import { isNvidiaLibrary, nvidiaLicenceNote } from "../../cuda/libraries.ts";
import { cudaPart } from "../../cuda/profiles.ts";
import type { Environment } from "../environment.ts";
import type { DevicePlan, PlanNote } from "../image-plan.ts";
import { shownCall } from "./decide.ts";
import type { DeviceOutcome } from "./outcome.ts";
import type { PartCall } from "./own-calls.ts";

/** What a person should know of what became of CUDA libraries. */
export function deviceNotes(device: DevicePlan, environment: Environment): PlanNote[] {
  return [
    ...(environment.device?.restored ?? []).map(restoredNote),
    ...wholeNotes(device),
    ...unservedNotes(device),
    ...callNotes(device, environment),
  ];
}

/** torch.compile and triton make C code as they run, and have it compiled against Python's headers. */
export function compilerNotes(calls: readonly PartCall[], { packages }: Environment): PlanNote[] {
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

/** That NVIDIA's own libraries are changed, with what their licence says. */
export function prunedNote(image: string): PlanNote {
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
