import * as path from "node:path";

import { emitDockerfiles } from "../../emit/dockerfile/emit-dockerfile.ts";
import { mendingDamage } from "../../ingest/damaged-input.ts";
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
  ],
  examples: ["sheaf dockerfile", "sheaf dockerfile --check", "sheaf dockerfile --image api -o build"],
  async run(input, context) {
    const { project, images } = await mendingDamage(context.emit, () =>
      planImages({ ...readPlanOptions(input), installation: true }, planServices(context)),
    );
    const files = emitDockerfiles(
      images.map(({ plan }) => plan),
      { cudaBase: textOption(input, "cudaBase") },
    );
    const folder = textOption(input, "output");
    const root = folder === undefined ? project.root : path.resolve(folder);
    return writeGenerated(
      files.map((file) => ({ path: path.join(root, file.path), text: file.text })),
      { check: flagOption(input, "check"), force: flagOption(input, "force"), next: "docker build ." },
    );
  },
};
