import * as path from "node:path";

import { type Command, flagOption, textOption } from "../command.ts";
import { generatedOptionDefinitions, writeGenerated } from "../write-generated.ts";
import { deploymentOptionDefinitions, readDeployment } from "./deployment.ts";

export const compose: Command = {
  name: "compose",
  summary: "write a compose file for all images of the project and what they need",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [
    { flags: "-o, --output <file>", summary: "where to, compose.yaml in the repository unless given; - for stdout" },
    ...generatedOptionDefinitions,
    ...deploymentOptionDefinitions,
  ],
  examples: [
    "sheaf compose",
    "sheaf compose --check",
    "sheaf compose --no-gpu -o -",
    "sheaf compose --external postgres",
  ],
  async run(input, context) {
    const { project, deployment } = await readDeployment(input, context);
    const { composeFile } = await import("../../emit/compose/compose-file.ts");
    // commander makes `gpu: false` of --no-gpu.
    const text = composeFile(deployment, { gpu: input.options["gpu"] !== false });
    const output = textOption(input, "output");
    if (output === "-") return { text: () => text.trimEnd(), json: { text } };
    const file = output === undefined ? path.join(project.root, "compose.yaml") : path.resolve(output);
    return writeGenerated([{ path: file, text }], {
      check: flagOption(input, "check"),
      force: flagOption(input, "force"),
      next: "sheaf build --load, then docker compose up --wait",
    });
  },
};
