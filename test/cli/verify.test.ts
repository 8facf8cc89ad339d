import * as fs from "node:fs";
import * as path from "node:path";

import { stringify } from "smol-toml";
import { describe, expect, it, onTestFinished } from "vitest";

import type { CommandResult } from "../../src/cli/command.ts";
import { contract } from "../../src/cli/commands/contract.ts";
import { verify } from "../../src/cli/commands/verify.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { styleFor } from "../../src/report/text.ts";
import { temporary } from "../archive/oracle.ts";
import { apiParts, build, file, type ImageParts, put } from "../contract/image-dsl.ts";

interface Ran extends CommandResult {
  shown: string;
  folder: string;
}

/** Runs the command on an image in a folder of its own, with the project's contract beside it. */
async function run(
  options: Record<string, unknown>,
  { command = verify, parts = apiParts() }: { command?: typeof verify; parts?: ImageParts } = {},
): Promise<Ran> {
  const folder = temporary();
  await writeLayout(path.join(folder, "image"), build(parts));
  await writeDockerArchive(path.join(folder, "image.tar"), build(parts), ["shop-api:latest"]);
  fs.writeFileSync(path.join(folder, "contract.toml"), stringify(parts.settings));
  fs.writeFileSync(path.join(folder, "Dockerfile"), parts.dockerfile.text);
  fs.writeFileSync(path.join(folder, ".dockerignore"), parts.dockerfile.ignore ?? "");
  const context = new CommandContext({
    cacheDir: path.join(folder, "store"),
    offline: true,
    quiet: true,
    signal: new AbortController().signal,
  });
  onTestFinished(() => context.close());
  const inFolder = (value: unknown) =>
    typeof value === "string" && value.startsWith("./") ? path.join(folder, value) : value;
  const named = Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key, Array.isArray(value) ? value.map(inFolder) : inFolder(value)]),
  );
  const image = inFolder(options["of"] ?? "./image") as string;
  const result = await command.run({ arguments: [image], rest: [], options: named }, context);
  return { ...result, folder, shown: result.text?.(styleFor({}, {}), 100) ?? "" };
}

const whole = { contract: "./contract.toml", dockerfile: "./Dockerfile" };

describe("sheaf verify", () => {
  it("ends with 0 for an image that breaks nothing, and says what was not run", async () => {
    const { exitCode, shown, json } = await run({ ...whole, static: true });
    expect(exitCode).toBe(0);
    expect(shown).toMatch(/^ {2}config +11 ✓/m);
    expect(shown).toContain("no pass");
    expect(json).toMatchObject({ verdict: "incomplete", runtime: null });
  });

  it("finds the same in an archive", async () => {
    const promised = { contract: whole.contract, static: true };
    const layout = (await run(promised)).json as { checks: object[] };
    const archive = (await run({ ...promised, of: "./image.tar" })).json as { checks: object[] };
    const timeless = ({ checks }: typeof layout) => checks.map((check) => ({ ...check, seconds: 0 }));
    expect(timeless(archive)).toEqual(timeless(layout));
  });

  it("ends with 1 for an image that breaks a promise, and writes several reports", async () => {
    const parts = apiParts();
    put(parts, file("app/.env", "TOKEN=abc\n"));
    const { exitCode, folder, shown } = await run(
      { ...whole, static: true, output: ["./verdict.json", "./verdict.md"] },
      { parts },
    );
    expect(exitCode).toBe(1);
    expect(shown).toMatch(/✗ files\.secret +\/app\/\.env looks like a secret: environment file/);
    const document = VerdictDocument.parse(JSON.parse(fs.readFileSync(path.join(folder, "verdict.json"), "utf8")));
    expect(document.checks.filter((check) => check.verdict === "fail").map(({ id }) => id)).toEqual(["files.secret"]);
    expect(fs.readFileSync(path.join(folder, "verdict.md"), "utf8")).toContain("`files.secret`");
  });

  it("writes every kind of report at once, by the endings", async () => {
    const names = ["a.html", "a.json", "a.md", "a.sarif", "b.sarif.json", "a.xml"];
    const { folder } = await run({ ...whole, static: true, output: names.map((name) => `./${name}`) });
    const begins = names.map((name) => fs.readFileSync(path.join(folder, name), "utf8").trimStart().slice(0, 60));
    expect(begins).toEqual([
      expect.stringMatching(/^<!doctype html>/),
      expect.stringMatching(/^\{\s+"image"/),
      expect.stringMatching(/^## /),
      expect.stringMatching(/^\{\s+"\$schema"/),
      expect.stringMatching(/^\{\s+"\$schema"/),
      expect.stringMatching(/^<\?xml/),
    ]);
  });

  it("prints a report with --format", async () => {
    expect(
      VerdictDocument.safeParse(JSON.parse((await run({ ...whole, static: true, format: "json" })).shown)).success,
    ).toBe(true);
    expect((await run({ ...whole, static: true, format: "markdown" })).shown).toMatch(/^## .*: not wholly checked/);
  });

  it("explains a check without an image", async () => {
    const { shown, exitCode } = await run({ explain: "config.user" });
    expect(exitCode).toBeUndefined();
    expect(shown).toMatch(/^config\.user {2}the user is a number/);
    expect(shown).toContain("kubelet");
    await expect(run({ explain: "config.usr" })).rejects.toMatchObject({
      code: "SHEAF_OPTION",
      hints: ["sheaf verify --explain config.user"],
    });
    await expect(run({ explain: "custom.terms" })).rejects.toMatchObject({
      hints: [expect.stringContaining("contract.checks")],
    });
  });

  it("explains every check, and lists those of a group", async () => {
    const { shown, json } = await run({ explain: "all" });
    const ids = (json as { id: string }[]).map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(80);
    for (const id of ids) {
      expect(shown).toContain(`${id} `);
      expect((await run({ explain: id })).shown).toMatch(
        new RegExp(`^${id.replace(".", "\\.")}  \\S[^]*what it holds[^]*why`),
      );
    }
    const group = (await run({ explain: "rebuild" })).shown.split("\n").filter((line) => !line.startsWith(" "));
    expect(group.map((line) => line.split(" ")[0])).toEqual(ids.filter((id) => id.startsWith("rebuild.")));
  });

  it("refuses to skip what is no check", async () => {
    const parts = apiParts();
    const skip = { "files.test": "shipped", "runtime.*": "elsewhere", "custom.mine": "mine" };
    const checks = { mine: { file: "/app" } };
    parts.settings = { ...parts.settings, contract: { ...parts.settings.contract, skip, checks } };
    await expect(run({ ...whole, static: true }, { parts })).rejects.toMatchObject({
      code: "SHEAF_CONTRACT",
      message: "the contract skips files.test, which is no check",
      details: [["files.test", "did you mean files.tests?"]],
    });
  });

  it.each([
    [{ of: "./nothing" }, "SHEAF_NO_IMAGE"],
    [{ contract: "./nothing.toml" }, "SHEAF_CONTRACT"],
    [{ contract: "./contract.toml", image: "nope" }, "SHEAF_CONTRACT"],
    [{ baseline: "./nothing.toml" }, "SHEAF_BASELINE"],
    [{ dockerfile: "./nothing" }, "SHEAF_NO_DOCKERFILE"],
    [{ dockerfile: "./.dockerignore" }, "SHEAF_NO_DOCKERFILE"],
    [{ dockerfile: "./Dockerfile", target: "worker" }, "SHEAF_NO_DOCKERFILE"],
    [{ output: ["./verdict.pdf"] }, "SHEAF_OPTION"],
  ])("ends with 2 for %j", async (options, code) => {
    await expect(run({ static: true, ...options })).rejects.toMatchObject({ code, exitCode: 2 });
  });
});

describe("sheaf contract", () => {
  it("prints the contract as it applies, which can be given back", async () => {
    const { shown, folder } = await run({ contract: "./contract.toml" }, { command: contract });
    expect(shown).toMatch(/^# defaults for an API; .*contract\.toml, image api$/m);
    fs.writeFileSync(path.join(folder, "printed.toml"), shown);
    expect(shown).toContain('size = "50MB"');
    expect(shown).toContain("ports = [ 8000 ]");
  });

  it("prints the JSON Schema of its keys", async () => {
    const { json } = await run({ schema: true }, { command: contract });
    expect(json).toHaveProperty("properties.waste.type", "string");
  });
});
