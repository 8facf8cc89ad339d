import type { DeviceLibrary } from "../../ingest/device.ts";
import type { IngestedWheel } from "../../ingest/wheel.ts";
import { byCodeUnit, byPath } from "../../order.ts";
import type { DevicePlan } from "../image-plan.ts";
import { type DeviceRequest, partOfFile } from "./device-options.ts";
import type { PartCall } from "./own-calls.ts";

/** What became of the CUDA libraries of an image. Plain JSON, a part of its environment. */
export interface DeviceOutcome {
  before: number;
  after: number;
  /** Sorted by path. */
  libraries: DevicePlan["libraries"];
  /** Parts that were to be left out, and that a library in the image is linked to. */
  restored: RestoredPart[];
  /** What modules of distributions call of the parts that are left out, by distribution. */
  calls?: Record<string, PartCall[]>;
}

export interface RestoredPart {
  part: string;
  /** Path of the library that needs it. */
  neededBy: string;
}

export function deviceOutcome(
  wheels: readonly IngestedWheel[],
  { request, restored }: { request: DeviceRequest; restored: RestoredPart[] },
): DeviceOutcome {
  const all = wheels.flatMap(({ distribution, facts }) =>
    facts.device ? [{ name: distribution.name, device: facts.device }] : [],
  );
  const libraries = all.flatMap(({ name, device }) =>
    device.libraries.map((library) => {
      const part = isGone(library) ? partOfFile(name, library.path, request.leaveOut) : undefined;
      return part === undefined ? library : { ...library, part };
    }),
  );
  return {
    before: all.reduce((sum, { device }) => sum + device.before, 0),
    after: all.reduce((sum, { device }) => sum + device.after, 0),
    libraries: libraries.toSorted(byPath),
    restored,
  };
}

/**
 * Parts whose files were dropped although a library that stays is linked to them: an image with these gone would not load.
 * What another file of that name is there for, nobody lacks.
 */
export function partsStillNeeded(wheels: readonly IngestedWheel[], { leaveOut }: DeviceRequest): RestoredPart[] {
  const dropped = wheels.flatMap(({ distribution, facts }) =>
    (facts.device?.libraries ?? []).flatMap(({ path, outcome }) => {
      if (outcome !== "dropped") return [];
      const part = partOfFile(distribution.name, path, leaveOut);
      return part === undefined ? [] : [{ part, name: fileName(path) }];
    }),
  );
  if (dropped.length === 0) return [];
  const objects = wheels.flatMap(({ facts }) => facts.elf);
  const there = new Set(objects.flatMap(({ path, facts }) => [facts.soname ?? "", fileName(path)]));
  const found = new Map<string, string>();
  for (const { path, facts } of objects) {
    for (const soname of facts.needed) {
      if (there.has(soname)) continue;
      const part = dropped.find(({ name }) => stands(name, soname))?.part;
      if (part !== undefined && !found.has(part)) found.set(part, path);
    }
  }
  return [...found].map(([part, neededBy]) => ({ part, neededBy })).toSorted((a, b) => byCodeUnit(a.part, b.part));
}

/** Files that were dropped by a pattern are told by it: `libcufftw.so*`. */
function stands(name: string, soname: string): boolean {
  return name.endsWith("*") ? soname.startsWith(name.slice(0, -1)) && name.length > "lib*".length : soname === name;
}

function isGone({ outcome }: DeviceLibrary): boolean {
  return outcome === "dropped" || outcome === "stubbed";
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
