import type { ImagePlan } from "../../plan/image-plan.ts";
import { byCodeUnit } from "../../order.ts";
import { venv } from "./recipe.ts";
import { literal } from "./words.ts";

export type Pair = readonly [name: string, value: string];

/**
 * Variables of an image as ENV takes them: those that it always has, and those for a machine with a GPU. The environment's
 * folder comes first in PATH; what the base image sets alike is left to it.
 */
export function variablesOf({ config }: ImagePlan): { common: Pair[]; gpu: Pair[] } {
  const all = Object.entries(config.env)
    .toSorted(([a], [b]) => byCodeUnit(a, b))
    .filter(([name, { source }]) => !(name === "LANG" && source === "default"))
    .map(([name, { value, source }]): Pair => {
      if (name === "PATH") return [name, `${venv}/bin:${source === "default" ? "$PATH" : literal(value)}`];
      return [name, name === "APP_ENV" ? "$APP_ENV" : literal(value)];
    });
  const isGpus = ([name]: Pair): boolean => /^(?:CUDA|NVIDIA)_/.test(name);
  return { common: all.filter((pair) => !isGpus(pair)), gpu: all.filter(isGpus) };
}
