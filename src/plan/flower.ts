import type { SheafEvent } from "../events.ts";
import type { ImageIntent } from "./choose-images.ts";

/** A compose file names flower, and nothing that the project installs has it. */
export function flowerLeftOut({ name, command }: ImageIntent): SheafEvent {
  return {
    type: "warning",
    code: "SHEAF_NO_FLOWER",
    message: `the image "${name}" is left out: ${command?.source ?? "compose"} starts flower, which nothing in the project installs`,
    hint: "add flower to the dependencies, or run its own image beside",
  };
}
