import * as fs from "node:fs";
import * as path from "node:path";

import { authorship } from "../../emit/generated-file.ts";
import { SheafError } from "../../errors.ts";
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
    if (output === undefined && !flagOption(input, "force")) refuseShadowing(project.root);
    return writeGenerated([{ path: file, text }], {
      check: flagOption(input, "check"),
      force: flagOption(input, "force"),
      next: "sheaf build --load, then docker compose up --wait",
    });
  },
};

/** Compose reads the first of these that there is: compose.yaml would take the place of a file that a person wrote. */
function refuseShadowing(root: string): void {
  for (const name of ["compose.yml", "docker-compose.yaml", "docker-compose.yml"]) {
    const file = path.join(root, name);
    if (!fs.existsSync(file) || authorship(fs.readFileSync(file, "utf8")) !== "foreign") continue;
    throw new SheafError("SHEAF_NOT_OURS", `${name} is there, and Docker would read compose.yaml instead of it`, {
      hint: [
        "sheaf compose -o compose.sheaf.yaml, and docker compose -f compose.sheaf.yaml up",
        `or move ${name} away; --force writes compose.yaml beside it`,
      ],
    });
  }
}
