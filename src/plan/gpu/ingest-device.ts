import { ingestWheels, type IngestedWheels, type WheelOptions } from "../../ingest/ingest.ts";
import type { Distribution } from "../../resolve/resolution.ts";
import type { PlanServices } from "../services.ts";
import { deviceOptionsOf, type DeviceRequest } from "./device-options.ts";
import { type DeviceOutcome, deviceOutcome, partsStillNeeded, type RestoredPart } from "./outcome.ts";

export interface DeviceWheels extends IngestedWheels {
  device: DeviceOutcome;
}

/**
 * Installs wheels without the device code and the parts of CUDA that an image does not get. A part that a library in the
 * image turns out to be linked to comes back.
 */
export async function ingestForDevice(
  distributions: readonly Distribution[],
  { options, request }: { options: WheelOptions; request: DeviceRequest },
  services: PlanServices,
): Promise<DeviceWheels> {
  const restored: RestoredPart[] = [];
  let asked = request;
  for (;;) {
    const current = asked;
    const deviceOf = (distribution: Distribution) => deviceOptionsOf(distribution, current);
    const ingested = await ingestWheels(distributions, { ...options, deviceOf }, services);
    const needed = partsStillNeeded(ingested.wheels, asked);
    if (needed.length === 0) {
      return { ...ingested, device: deviceOutcome(ingested.wheels, { request: asked, restored }) };
    }
    restored.push(...needed);
    const back = new Set(needed.map(({ part }) => part));
    asked = { ...asked, leaveOut: asked.leaveOut.filter((part) => !back.has(part)) };
  }
}
