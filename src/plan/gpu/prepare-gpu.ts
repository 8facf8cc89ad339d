import type { ParseRecords } from "../../project/parse-records.ts";
import type { ImagePlan } from "../image-plan.ts";
import type { DeviceQuestion } from "./plan-device.ts";

/** What is done to the CUDA libraries of an image that wants a GPU; what decides it is loaded for such alone. */
export async function prepareGpu(
  { name, gpu }: Pick<ImagePlan, "name" | "gpu">,
  question: Omit<DeviceQuestion, "image" | "gpu">,
  records?: ParseRecords,
) {
  if (!gpu) return undefined;
  const { planDevice, withGpu } = await import("./plan-device.ts");
  const planned = await planDevice({ image: name, gpu: gpu.value, ...question }, records);
  return { gpu: gpu.value, planned, finish: withGpu };
}
