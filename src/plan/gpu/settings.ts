import { cudaLabels } from "../../cuda/labels.ts";
import { filesOnly } from "../../cuda/profiles.ts";
import type { Sourced } from "../../project/project.ts";
import type { DevicePlan, GpuPlan, Role } from "../image-plan.ts";

/** What NVIDIA's container runtime and CUDA are told by the environment of an image for GPUs. */
export function gpuVariables({ cuda, minDriver }: GpuPlan, role: Role): Record<string, Sourced<string>> {
  const byDefault = (value: string, why: string): Sourced<string> => ({ value, source: `default: ${why}` });
  const [major] = cuda?.split(".") ?? [];
  return {
    NVIDIA_VISIBLE_DEVICES: byDefault("all", "it wants a GPU"),
    NVIDIA_DRIVER_CAPABILITIES: byDefault("compute,utility", "it wants a GPU"),
    // A release runs on every driver of its major: NVIDIA's runtime refuses older ones before anything starts.
    ...(minDriver !== undefined && major !== undefined
      ? { NVIDIA_REQUIRE_CUDA: byDefault(`cuda>=${major}.0`, `CUDA ${cuda} runs on driver ${minDriver} and newer`) }
      : {}),
    CUDA_MODULE_LOADING: byDefault("LAZY", "kernels are loaded when they are first called"),
    // Counted among the GPUs that the container has, so a pod or --gpus device=3 gets its own.
    ...(role === "worker" ? { CUDA_VISIBLE_DEVICES: byDefault("0", "a worker computes on one GPU") } : {}),
  };
}

/** Labels by which an image tells what it has for GPUs. */
export function gpuLabels(gpu: GpuPlan, device: DevicePlan | undefined): Record<string, Sourced<string>> {
  const leftOut = (device?.leftOut ?? []).filter(({ name }) => !filesOnly.has(name)).map(({ name }) => name);
  const labels: [name: string, value: string | undefined][] = [
    [cudaLabels.version, gpu.cuda],
    [cudaLabels.minDriver, gpu.minDriver],
    [cudaLabels.targets, gpu.capabilities?.join(",")],
    [cudaLabels.profile, gpu.profile],
    [cudaLabels.leftOut, leftOut.length > 0 ? leftOut.join(",") : undefined],
    [cudaLabels.nvidiaModified, gpu.pruneNvidia === true && gpu.capabilities ? "true" : undefined],
  ];
  return Object.fromEntries(
    labels.flatMap(([name, value]) => (value === undefined ? [] : [[name, { value, source: "plan" }] as const])),
  );
}
