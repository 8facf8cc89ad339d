import type { ImagePlan } from "../../plan/image-plan.ts";
import { withHeader } from "../generated-file.ts";
import { buildersOf } from "./builder.ts";
import { dockerfileOf, gpuDockerfileOf } from "./dockerfile.ts";
import { dockerignoreOf } from "./dockerignore.ts";
import { gpuRecipe, recipesOf } from "./recipe.ts";

/** A file for the project's root. */
export interface EmittedFile {
  /** From the project's root. */
  path: string;
  /** With Sheaf's header. */
  text: string;
}

export interface DockerfileOptions {
  /** An image with the CUDA runtime that Dockerfile.gpu starts from, instead of the slim one. */
  cudaBase?: string;
  /** Have Dockerfile.gpu take out what the plan leaves out for GPUs, by `sheaf gpu trim`. */
  trim?: boolean;
}

export const dockerfileCommand = "sheaf dockerfile";

/**
 * The plans of a project as a Dockerfile, a Dockerfile.gpu where one of the images is for a GPU, a .dockerignore, and
 * requirements with hashes where the project has no lock that pip or uv would install from. The same plans give the same
 * text.
 *
 * @throws SheafError SHEAF_DOCKERFILE for what a Dockerfile can't say
 */
export function emitDockerfiles(plans: readonly ImagePlan[], options: DockerfileOptions = {}): EmittedFile[] {
  const recipes = recipesOf(plans);
  const gpu = gpuRecipe(recipes, options);
  const files = [
    { path: "Dockerfile", text: dockerfileOf(recipes) },
    ...(gpu ? [{ path: "Dockerfile.gpu", text: gpuDockerfileOf(gpu, options) }] : []),
    { path: ".dockerignore", text: dockerignoreOf(recipes.map(({ plan }) => plan)) },
    ...buildersOf(recipes).builders.flatMap(({ install }) =>
      install.text === undefined ? [] : [{ path: install.files[0] ?? "", text: install.text }],
    ),
  ];
  return files.map(({ path, text }) => ({ path, text: withHeader(dockerfileCommand, text) }));
}
