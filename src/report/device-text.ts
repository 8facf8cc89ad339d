import type { DevicePlan, ImagePlan } from "../plan/image-plan.ts";
import { formatBytes, plural } from "./text.ts";

export type DeviceView = Pick<ImagePlan, "gpu" | "device">;

/** What a plan says of a GPU: label, value, and where it comes from. */
export function deviceRows({ gpu, device }: DeviceView): [label: string, value: string, source: string][] {
  if (!gpu) return [];
  const { cuda, minDriver, capabilities, targets = [] } = gpu.value;
  const runs = minDriver === undefined ? gpu.source : `driver ${minDriver} or newer`;
  return [
    [
      "gpu",
      `${cuda === undefined ? "any CUDA" : `CUDA ${cuda}`}, for ${capabilities ? capabilities.join(" ") : "all GPUs"}`,
      capabilities ? `${targets.join(", ")}; ${runs}` : runs,
    ],
    ...(device ? rowsOf(device, gpu.value.pruneNvidia === true) : []),
  ];
}

function rowsOf(device: DevicePlan, pruned: boolean): [string, string, string][] {
  const { leftOut, kept, libraries } = device;
  const trimmed = libraries.filter(({ outcome }) => outcome === "trimmed");
  const whose = pruned ? "NVIDIA's own too" : "NVIDIA's own are untouched";
  return [
    ...(trimmed.length > 0
      ? [
          ["libraries", beforeAfter(trimmed), `without device code for other GPUs; ${whose}`] satisfies [
            string,
            string,
            string,
          ],
        ]
      : []),
    ...bySource(leftOut).map(([source, parts]): [string, string, string] => [
      "left out",
      `${plural(parts.length, "part")} of CUDA, ${formatBytes(bytesOf(parts))}`,
      `${parts.map(({ name }) => name).join(", ")}: ${source}`,
    ]),
    ...kept.map(({ name, source }): [string, string, string] => ["stays", name, source]),
  ];
}

/** The same after a build, a sentence each. */
export function deviceFacts({ gpu, device }: DeviceView): string[] {
  if (!gpu || !device) return [];
  const { capabilities = [] } = gpu.value;
  const { leftOut, kept, libraries } = device;
  const trimmed = libraries.filter(({ outcome }) => outcome === "trimmed");
  return [
    ...(trimmed.length > 0 ? [`device code for ${capabilities.join(" ")} alone: ${beforeAfter(trimmed)}`] : []),
    ...bySource(leftOut).map(
      ([source, parts]) =>
        `${formatBytes(bytesOf(parts))} of CUDA left out: ${parts.map(({ name }) => name).join(", ")} (${source}; keep brings a part back)`,
    ),
    ...kept.map(({ name, source }) => `${name} stays: ${source}`),
  ];
}

function beforeAfter(libraries: DevicePlan["libraries"]): string {
  const [before, after] = libraries.reduce(([a, b], each) => [a + each.before, b + each.after], [0, 0]);
  return `${formatBytes(before)} → ${formatBytes(after)} in ${plural(libraries.length, "library", "libraries")}`;
}

function bySource(parts: DevicePlan["leftOut"]): [source: string, parts: DevicePlan["leftOut"]][] {
  const sources = new Map<string, DevicePlan["leftOut"]>();
  for (const part of parts) sources.set(part.source, [...(sources.get(part.source) ?? []), part]);
  return [...sources];
}

function bytesOf(parts: DevicePlan["leftOut"]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}
