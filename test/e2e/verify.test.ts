import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/cli/commands/verify.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { builtExample, example, exampleTag } from "./example.ts";
import { sharedStore } from "./sheaf.ts";

describe("sheaf verify", () => {
  it("finds nothing in the image that sheaf build makes of the example", async () => {
    await builtExample();
    const context = new CommandContext({
      cacheDir: sharedStore,
      offline: true,
      quiet: true,
      signal: new AbortController().signal,
    });
    onTestFinished(() => context.close());
    const options = { static: true, contract: path.join(example, "pyproject.toml"), image: "api" };
    const result = await verify.run({ arguments: [exampleTag], rest: [], options }, context);
    const { checks, verdict } = VerdictDocument.parse(JSON.parse(JSON.stringify(result.json)));
    expect(checks.filter((check) => check.verdict !== "pass" && check.verdict !== "skipped")).toEqual([]);
    expect(checks.filter((check) => check.verdict === "pass").length).toBeGreaterThan(45);
    expect(verdict).toBe("incomplete");
  }, 300_000);
});
