import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { dockerEngine, output, requireOrSkip } from "../lab/lab.ts";
import { answerOf, testEngineEndToEnd } from "./engine-suite.ts";
import { builtExample } from "./example.ts";
import { isTaken, withPort8000 } from "./ports.ts";
import { repository, sharedStore, temporaryFolder } from "./sheaf.ts";

const docker = dockerEngine();
const available = requireOrSkip("Docker", docker);
const run = promisify(execFile);

describe.skipIf(!available)("the example in Docker (skipped without an engine)", () => {
  const client = docker?.command ?? "";
  testEngineEndToEnd({ client, env: {}, stopSeconds: 1 });

  const commands = dockerCommands(fs.readFileSync(path.join(repository, "README.md"), "utf8"));

  it.skipIf(commands.length === 0)(
    "answers the literal commands of the README's Docker section (skipped while it has none)",
    { timeout: 300_000 },
    async ({ skip }) => {
      await builtExample();
      if (process.env["SHEAF_REQUIRE_ENGINES"] !== "1" && (await isTaken(8000)))
        skip("port 8000, which the README publishes, is taken on this machine");
      expect(commands).toContainEqual(expect.stringMatching(/^npx sheaf build .*--load$/));
      // The client that answers, by the name that the README calls it; all else is literal.
      const bin = temporaryFolder();
      fs.symlinkSync(client, path.join(bin, "docker"));
      const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}`, SHEAF_CACHE_DIR: sharedStore };
      const answers = new Map<string, string>();
      try {
        await withPort8000(async () => {
          for (const command of commands) {
            const url = /^curl .*?(http\S+)/.exec(command)?.[1];
            if (url) await answerOf(url);
            const { stdout } = await run("sh", ["-c", command], { cwd: repository, env, timeout: 100_000 });
            answers.set(command, stdout.trim());
          }
        });
      } finally {
        for (const name of commands.flatMap((command) => /--name (\S+)/.exec(command)?.[1] ?? []))
          await output(client, ["rm", "-f", name]).catch(() => undefined);
      }
      const answerTo = (pattern: RegExp) => [...answers].find(([command]) => pattern.test(command))?.[1];
      expect(answerTo(/^curl /)).toBe('{"status":"healthy"}');
      expect(answerTo(/ whoami$/)).toBe("appuser");
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
