import { SheafError } from "../../errors.ts";
import { cudaOfDistributions } from "../../plan/gpu/cuda-release.ts";
import type { ImagePlan, InstallPlan } from "../../plan/image-plan.ts";

/** A plan that has all that a Dockerfile needs. */
export interface ImageRecipe {
  plan: ImagePlan;
  install: InstallPlan;
  /** Name of its stage: the image's, unless another stage has it or Docker takes it for something else. */
  stage: string;
  /** `3.12`. */
  minor: string;
  /** Whether an image for a machine with a GPU can be made of it. */
  gpu: boolean;
  /** Whether a stage takes device code out of what was installed. */
  trimmed?: boolean;
}

/** The one place of Python's packages, the same in all stages: console scripts hold absolute paths. */
export const venv = "/opt/venv";

/**
 * What of the plans is written down. Images of Debian packages alone are none of a Dockerfile's business.
 *
 * @throws SheafError SHEAF_DOCKERFILE for what a Dockerfile can't say
 */
export function recipesOf(plans: readonly ImagePlan[]): ImageRecipe[] {
  const recipes = plans.flatMap((plan) => (plan.python ? [recipeOf(plan, plan.python.version)] : []));
  if (recipes.length === 0) {
    throw new SheafError(
      "SHEAF_DOCKERFILE",
      "none of the chosen images has Python, so there is no Dockerfile to write",
      {
        hint: "images of kind debian are composed: sheaf build",
      },
    );
  }
  return recipes;
}

function recipeOf(plan: ImagePlan, python: string): ImageRecipe {
  const problems = problemsOf(plan);
  if (problems.length > 0) {
    throw new SheafError("SHEAF_DOCKERFILE", `the image "${plan.name}" can't be written as a Dockerfile`, {
      details: problems.map(({ what, value }): [string, string] => [what, value]),
      hint: [...new Set(problems.map(({ hint }) => hint))],
    });
  }
  if (!plan.install) throw new Error(`the plan of ${plan.name} doesn't tell how to install`);
  const minor = python.split(".").slice(0, 2).join(".");
  const stage = isTaken(plan.name) || !/^[a-z]/.test(plan.name) ? `image-${plan.name}` : plan.name;
  return { plan, install: plan.install, stage, minor, gpu: plan.gpu !== undefined || cudaOf(plan) !== undefined };
}

/** Names of stages that are no image's. */
function isTaken(name: string): boolean {
  return /^(?:builder|project|runtime|scratch)$|^(?:builder|project|gpu|image)-|-gpu$/.test(name);
}

/**
 * The image that Dockerfile.gpu is for.
 *
 * @throws SheafError SHEAF_DOCKERFILE for a CUDA base that there is no use for, or that what is built here doesn't run on
 */
export function gpuRecipe(
  recipes: readonly ImageRecipe[],
  { cudaBase, trim = false }: { cudaBase?: string; trim?: boolean },
): ImageRecipe | undefined {
  const recipe = recipes.find((each) => each.gpu);
  if (cudaBase === undefined && !trim) return recipe;
  if (!recipe) {
    const option = cudaBase === undefined ? "--trim" : "--cuda-base";
    throw new SheafError("SHEAF_DOCKERFILE", `no image of this project is for a GPU, so ${option} has no use`, {
      hint: 'say which one is: [tool.sheaf.images.NAME] gpu = { cuda = "12.1" }',
    });
  }
  if (cudaBase === undefined) return recipe;
  const built = recipe.plan.distributions.filter((each) => each.built).map(({ name }) => name);
  if (built.length > 0) {
    throw new SheafError(
      "SHEAF_DOCKERFILE",
      `${built.join(", ")} would be built for a newer libc than ${cudaBase} has`,
      {
        details: [["built from source", `for the image "${recipe.plan.name}": no wheel fits`]],
        hint: ["leave --cuda-base out: the wheels bring their own CUDA", "or take versions that have wheels"],
      },
    );
  }
  return recipe;
}

/** The CUDA that the distributions bring, else the one that was asked for: `12.1`. */
export function cudaOf({ distributions, gpu }: ImagePlan): string | undefined {
  return cudaOfDistributions(distributions)?.release ?? gpu?.value.cuda;
}

interface Problem {
  what: string;
  value: string;
  hint: string;
}

function problemsOf(plan: ImagePlan): Problem[] {
  const problems: Problem[] = [];
  const { base, config } = plan;
  if (base.kind === "image")
    problems.push({
      what: "base",
      value: `${base.reference} (${base.source}): its stages start from the official Python image`,
      hint: "leave base out for the Dockerfile, or build on it with sheaf build",
    });
  else if (!base.shell)
    problems.push({
      what: "shell",
      value: "shell = false: the official Python image has one",
      hint: "leave shell out for the Dockerfile, or compose the image without one with sheaf build",
    });
  const texts = [
    ...Object.entries(config.env).map(([name, { value }]) => ["env", `${name}=${value}`] as const),
    ...Object.entries(config.labels).map(([name, { value }]) => ["label", `${name}=${value}`] as const),
    ...plan.files.flatMap(({ from, path }) => [["file", from ?? ""] as const, ["file", path] as const]),
    ...(plan.install?.reads ?? []).map((file) => ["file", file] as const),
    ["workdir", config.workdir.value] as const,
  ];
  for (const [what, text] of texts) {
    if (/[\n\r\0]/.test(text))
      problems.push({
        what,
        value: JSON.stringify(text.slice(0, 60)),
        hint: "an instruction of a Dockerfile is one line: take the line break out",
      });
  }
  for (const { from = "", path } of plan.files) {
    if (from.includes("\\") || /[\\$'"]/.test(path.slice(0, path.lastIndexOf("/"))))
      problems.push({
        what: "file",
        value: `${JSON.stringify(from)}: COPY takes no such name`,
        hint: "name it without backslashes, quotes and $, or leave it out with [tool.sheaf] exclude",
      });
  }
  for (const file of plan.install?.reads ?? []) {
    if (/[\s,"'$]/.test(file))
      problems.push({
        what: "file",
        value: `${JSON.stringify(file)} can't be mounted`,
        hint: "give it a name without spaces, commas, quotes and $",
      });
  }
  return problems;
}
