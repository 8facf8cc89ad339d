import * as fs from "node:fs";
import * as path from "node:path";

import { type EmittedFile, emitDockerfiles } from "../../emit/dockerfile/emit-dockerfile.ts";
import { takenFrom } from "../../emit/dockerfile/taken-from.ts";
import { authorship } from "../../emit/generated-file.ts";
import type { Emit } from "../../events.ts";
import { mendingDamage } from "../../ingest/damaged-input.ts";
import type { ImagePlan } from "../../plan/image-plan.ts";
import { planImages } from "../../plan/plan-images.ts";
import { type Command, flagOption, textOption } from "../command.ts";
import { generatedOptionDefinitions, writeGenerated } from "../write-generated.ts";
import { planOptionDefinitions, planServices, readPlanOptions } from "./plan-options.ts";

export const dockerfile: Command = {
  name: "dockerfile",
  summary: "write the plan as a Dockerfile, with its .dockerignore",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [
    ...planOptionDefinitions,
    ...generatedOptionDefinitions,
    { flags: "-o, --output <folder>", summary: "where to, instead of the repository" },
    { flags: "--cuda-base <image>", summary: "base of Dockerfile.gpu: an image with the CUDA runtime" },
    { flags: "--trim", summary: "Dockerfile.gpu takes out what gpu.targets and gpu.profile leave out" },
  ],
  examples: ["sheaf dockerfile", "sheaf dockerfile --check", "sheaf dockerfile --image api -o build"],
  async run(input, context) {
    const { project, images } = await mendingDamage(context.emit, () =>
      planImages({ ...readPlanOptions(input), installation: true }, planServices(context)),
    );
    const plans = images.map(({ plan }) => plan);
    const files = emitDockerfiles(plans, { cudaBase: textOption(input, "cudaBase"), trim: flagOption(input, "trim") });
    const folder = textOption(input, "output");
    const root = folder === undefined ? project.root : path.resolve(folder);
    const check = flagOption(input, "check");
    if (folder === undefined && !check) warnOfLosses(files, { plans, root, emit: context.emit });
    return writeGenerated(
      files.map((file) => ({ path: path.join(root, file.path), text: file.text })),
      { check, force: flagOption(input, "force"), ...(folder === undefined ? { next: nextStep(files) } : {}) },
    );
  },
};

/** A Dockerfile of a person's tells what its image is to be. Once it is written over or moved away, nothing does. */
function warnOfLosses(
  files: readonly EmittedFile[],
  { plans, root, emit }: { plans: readonly ImagePlan[]; root: string; emit: Emit },
): void {
  for (const { path: name } of files.filter((file) => fs.existsSync(path.join(root, file.path)))) {
    if (authorship(fs.readFileSync(path.join(root, name), "utf8")) !== "foreign") continue;
    for (const plan of plans) {
      const lines = takenFrom(plan, name);
      if (lines.length === 0) continue;
      emit({
        type: "warning",
        code: "SHEAF_DOCKERFILE_SAYS",
        message: `only ${name} tells this of the image "${plan.name}", and would go: ${lines.join("; ")}`,
        hint: `put it into [tool.sheaf.images.${plan.name}] first`,
      });
    }
  }
}

function nextStep(files: readonly EmittedFile[]): string {
  const locks = files.map((file) => file.path).filter((name) => name.endsWith(".lock"));
  return locks.length === 0
    ? "docker build ."
    : `commit ${locks.join(", ")} too: it is what gets installed; docker build .`;
}
