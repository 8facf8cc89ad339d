import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../../errors.ts";
import { planLock } from "../../plan/plan-lock.ts";
import { type Command, textOption } from "../command.ts";
import { planOptionDefinitions, planServices, readPlanOptions } from "./plan-options.ts";
import { writeAtomically } from "../../host/atomic-file.ts";

export const lock: Command = {
  name: "lock",
  summary: "write the resolution down as requirements with hashes",
  arguments: [{ name: "directory", summary: "the repository, the working directory unless given" }],
  options: [
    ...planOptionDefinitions,
    {
      flags: "--out-file <file>",
      summary: "where to instead of requirements.txt or requirements/IMAGE.lock.txt; - for stdout",
    },
  ],
  examples: ["sheaf lock", "sheaf lock --image api --out-file requirements/api.txt"],
  async run(input, context) {
    const locks = await planLock(readPlanOptions(input), planServices(context));
    const out = textOption(input, "outFile");
    if (out === "-") return { text: () => locks.map(({ text }) => text.trimEnd()).join("\n") };
    const written: { image: string; file: string }[] = [];
    for (const { image, root, text, file } of locks) {
      const target = out === undefined ? path.join(root, file) : path.resolve(out);
      if (out === undefined) refuseOthers(target, text);
      fs.mkdirSync(path.dirname(target), { recursive: true });
      await writeAtomically(target, [Buffer.from(text)]);
      written.push({ image, file: path.relative(process.cwd(), target) });
    }
    return {
      text: () =>
        [
          ...written.map(({ image, file }) => `${image}: wrote ${file}`),
          ...written.map(({ image, file }) => `use it: [tool.sheaf.images.${image}] requirements = ["${file}"]`),
        ].join("\n"),
      json: { locks: written },
    };
  },
};

/** A file that a person wrote is never overwritten unasked: every lock starts with the same line. */
function refuseOthers(target: string, text: string): void {
  if (!fs.existsSync(target)) return;
  const [header = ""] = text.split("\n");
  if (fs.readFileSync(target, "utf8").startsWith(header)) return;
  throw new SheafError("SHEAF_LOCK_THERE", `${path.relative(process.cwd(), target)} was not written by sheaf lock`, {
    hint: "name another file with --out-file, or this one to overwrite it",
  });
}
