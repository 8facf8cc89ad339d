import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../../errors.ts";
import { initConfig } from "../../project/config/init-config.ts";
import { readProject } from "../../project/read-project.ts";
import { type Command, flagOption } from "../command.ts";
import { writeAtomically } from "../../host/atomic-file.ts";

export const init: Command = {
  name: "init",
  summary: "write a commented [tool.sheaf] with everything that is detected",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [{ flags: "--print", summary: "print it instead of writing it" }],
  examples: ["sheaf init", "sheaf init --print"],
  async run(input) {
    const directory = path.resolve(input.arguments[0] ?? ".");
    const project = await readProject(directory);
    if (project.configFile) {
      throw new SheafError("SHEAF_CONFIG_THERE", `${project.configFile} has a [tool.sheaf] already`, {
        hint: "sheaf plan shows what it comes to; sheaf init --print shows what would be written (remove the old one first)",
      });
    }
    const text = initConfig(project);
    if (flagOption(input, "print")) return { text: () => text.trimEnd() };
    const pyproject = path.join(project.root, project.directory, "pyproject.toml");
    const inPyproject = fs.existsSync(pyproject);
    const target = inPyproject ? pyproject : path.join(project.root, "sheaf.toml");
    const content = inPyproject
      ? `${fs.readFileSync(pyproject, "utf8").trimEnd()}\n\n${text}`
      : text.replaceAll("[tool.sheaf.", "[").replaceAll("[tool.sheaf]\n", "");
    await writeAtomically(target, [Buffer.from(content)]);
    return {
      text: () => `wrote [tool.sheaf] to ${path.relative(process.cwd(), target)}\nNext: sheaf plan`,
      json: { file: target },
    };
  },
};
