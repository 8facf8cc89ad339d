import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { dockerEngine, output, requireOrSkip } from "../lab/lab.ts";
import { answerOf, testEngineEndToEnd } from "./engine-suite.ts";
import { builtExample, example } from "./example.ts";
import { cli, repository, sharedStore, temporaryFolder } from "./sheaf.ts";

const docker = dockerEngine();
const available = requireOrSkip("Docker", docker);
const run = promisify(execFile);

describe.skipIf(!available)("the example in Docker (skipped without an engine)", () => {
  const client = docker?.command ?? "";
  testEngineEndToEnd({ client, env: {}, stopSeconds: 1 });

  const commands = dockerCommands(fs.readFileSync(path.join(repository, "README.md"), "utf8"));

  it.skipIf(commands.length === 0)(
    "answers the literal commands of the README's Docker section (skipped while it has none)",
    { timeout: 120_000 },
    async () => {
      await builtExample();
      expect(commands).toContainEqual(expect.stringMatching(/^(npx )?sheaf build .*--load$/));
      const bin = path.join(temporaryFolder(), "bin");
      fs.mkdirSync(bin);
      fs.symlinkSync(cli, path.join(bin, "sheaf"));
      fs.writeFileSync(path.join(bin, "npx"), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 });
      fs.symlinkSync(client, path.join(bin, "docker"));
      const env = {
        ...process.env,
        PATH: `${bin}:${path.dirname(process.execPath)}:${process.env["PATH"]}`,
        SHEAF_CACHE_DIR: sharedStore,
      };
      const answers: string[] = [];
      const containers: string[] = [];
      try {
        for (const command of commands) {
          // What a person does in a second terminal, a test does with -d.
          const detached = command.replace(/^docker run (?!.*-d\b)/, "docker run -d ");
          const url = /^curl .*?(http\S+)/.exec(command)?.[1];
          if (url) answers.push(await answerOf(url));
          else {
            const cwd = /\bexamples\//.test(command) ? repository : example;
            const { stdout } = await run("sh", ["-c", detached], { cwd, env, timeout: 100_000 });
            if (detached !== command) containers.push(stdout.trim());
          }
        }
        expect(answers).toContain('{"status":"healthy"}');
      } finally {
        for (const container of containers) await output(client, ["rm", "-f", container]);
      }
    },
  );
});

/** Lines of the shell blocks that use Docker in the section that is about Docker. */
function dockerCommands(readme: string): string[] {
  const blocks = [...readme.matchAll(/```(?:sh|bash|console)?\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  const block = blocks.find((text) => /^\$? ?docker run /m.test(text) && /--load/.test(text));
  return (block ?? "")
    .split("\n")
    .map((line) =>
      line
        .replace(/^\$ /, "")
        .replace(/\s+#.*$/, "")
        .trim(),
    )
    .filter((line) => /^(npx |sheaf |docker |curl |cd )/.test(line));
}
