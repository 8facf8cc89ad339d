import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { ImageIntent } from "./choose-images.ts";

/**
 * The image that is meant where only one can be: the only one, or the only API among several. Decided before anything is
 * fetched.
 * @throws SheafError SHEAF_SEVERAL_IMAGES
 */
export function onlyImage(intents: ImageIntent[], { what, emit }: { what: string; emit: Emit }): ImageIntent[] {
  const apis = intents.filter((intent) => intent.role === "api");
  const [first] = apis;
  if (intents.length < 2) return intents;
  const names = intents.map((intent) => intent.name).join(", ");
  if (first && apis.length === 1) {
    const message = `only ${first.name} of ${names}: ${what} is for one (--image chooses)`;
    emit({ type: "stage", stage: "image", message });
    return apis;
  }
  throw new SheafError("SHEAF_SEVERAL_IMAGES", `${what} is for one image, and this project has several`, {
    details: [["images", names]],
    hint: `sheaf build --image ${intents[0]?.name ?? "api"}, and the rest as it was`,
  });
}
