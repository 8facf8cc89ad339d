import { partsCalledBy } from "../../cuda/callers.ts";
import {
  cudaPart,
  cudaParts,
  type CudaProfile,
  filesLeftOut,
  filesOnly,
  partsNamed,
  withNeeds,
} from "../../cuda/profiles.ts";
import { byCodeUnit } from "../../order.ts";
import type { Distribution } from "../../resolve/resolution.ts";
import type { PlanNote } from "../image-plan.ts";
import type { PartCall } from "./own-calls.ts";

export interface DeviceQuestion {
  /** Name of the image. */
  image: string;
  profile: CudaProfile;
  keep: readonly string[];
  drop: readonly string[];
  distributions: readonly Pick<Distribution, "name" | "version" | "requiredBy">[];
  /** What the project's own code calls. */
  calls: readonly PartCall[];
}

/** A part of CUDA, and why it stays or goes. */
export interface DecidedPart {
  part: string;
  /** `profile inference`, `app/fft.py:12 uses torch.fft.rfft`. */
  source: string;
}

export interface DeviceDecision {
  /** Sorted by part. */
  leftOut: DecidedPart[];
  /** Parts that the profile leaves out and that stay. */
  kept: DecidedPart[];
  notes: PlanNote[];
}

/**
 * Which parts of CUDA an image does without: what its profile leaves out, but for what is to be kept, what the code calls,
 * what distributions are known to call or ask for, and what those parts need.
 */
export function decideParts(question: DeviceQuestion): DeviceDecision {
  const { profile, keep, drop, image } = question;
  const dropped = new Set(drop.flatMap(partsNamed));
  const reasons = new Map<string, string>();
  const wants = (part: string, source: string): void => {
    if (!reasons.has(part)) reasons.set(part, source);
  };
  for (const name of keep) for (const part of partsNamed(name)) wants(part, `keep = ["${name}"]`);
  for (const { part, file, line, name } of question.calls) wants(part, `${file}:${line} uses ${shownCall(name)}`);
  for (const { name, version } of question.distributions)
    for (const part of partsCalledBy(name, version)) wants(part, `${name} ${version} uses it`);
  for (const { part, asking } of partsAskedFor(question.distributions)) wants(part, `${asking} asks for it`);
  for (const part of reasons.keys()) {
    // What is left out although something calls it needs nothing.
    if (dropped.has(part)) continue;
    for (const needed of withNeeds([part])) if (needed !== part) wants(needed, `${cudaPart(part).title} needs it`);
  }
  const leftOut: DecidedPart[] = [];
  const kept: DecidedPart[] = [];
  for (const { name: part, leftOutOf } of cudaParts) {
    const reason = reasons.get(part);
    if (dropped.has(part)) leftOut.push({ part, source: `config images.${image}.gpu drop` });
    else if (leftOutOf.includes(profile) && reason === undefined) leftOut.push({ part, source: `profile ${profile}` });
    else if (leftOutOf.includes(profile) && reason !== undefined && isThere(part, question.distributions))
      kept.push({ part, source: reason });
  }
  const notes = [...dropped].toSorted(byCodeUnit).flatMap((part): PlanNote[] => {
    const reason = reasons.get(part);
    if (reason === undefined) return [];
    return [
      {
        level: "warning",
        message: `${cudaPart(part).title} is left out as drop says, and ${reason}`,
        hint: `without it there is no ${cudaPart(part).does}`,
      },
    ];
  });
  return { leftOut, kept, notes };
}

/** A method's own name tells little without its parentheses. */
export function shownCall(name: string): string {
  return name.startsWith(".") ? `${name}()` : name;
}

/** Whether there is something of a part to be kept: builds of torch without NVIDIA's distributions bring all themselves. */
function isThere(part: string, distributions: DeviceQuestion["distributions"]): boolean {
  const others = distributions.filter(({ name }) => name !== "torch");
  if (!others.some(({ name }) => name.startsWith("nvidia-"))) return true;
  return others.some(({ name }) => filesLeftOut(name, [part]).length > 0);
}

/** Parts whose distributions others than torch and CUDA's own require. */
function partsAskedFor(distributions: DeviceQuestion["distributions"]): { part: string; asking: string }[] {
  const there = new Map(distributions.map((each) => [each.name, each.version]));
  return distributions.flatMap(({ name, requiredBy }) => {
    const asking = requiredBy.find((each) => there.has(each) && !isPartOfTorch(each));
    if (asking === undefined || name === "torch") return [];
    const own = cudaParts.filter((part) => !filesOnly.has(part.name) && filesLeftOut(name, [part.name]).length > 0);
    return own.map((part) => ({ part: part.name, asking: `${asking} ${there.get(asking)}` }));
  });
}

function isPartOfTorch(name: string): boolean {
  return /^(?:torch|torchvision|(?:pytorch-)?triton|cuda-(?:toolkit|bindings|pathfinder)|nvidia-.+)$/.test(name);
}
