/** `sheaf dockerfile` as people type it: what it writes, what it refuses to write over, and how it tells drift. */
import * as fs from "node:fs";
import * as path from "node:path";

import { expect, it } from "vitest";

import type { BuiltWheel } from "../wheel/build-wheel.ts";
import { framework, projectOn, serveWheels, sha256Of } from "../e2e/local-index.ts";
import { sheaf, temporaryFolder, writeFiles } from "../e2e/sheaf.ts";

const mine =
  'FROM python:3.12-slim\nRUN apt-get update && apt-get install -y file\nENV LEVEL=debug\nCMD ["uvicorn", "main:app", "--port", "9000"]\n';

async function projectWith(files: Record<string, string> = {}) {
  const { env } = await serveWheels(framework());
  const folder = writeFiles(temporaryFolder(), { ...projectOn(framework()), ...files });
  const run = (...words: string[]) => sheaf(["dockerfile", folder, ...words], { env });
  const read = (name: string) => fs.readFileSync(path.join(folder, name), "utf8");
  return { folder, run, read };
}

it("writes what --check then finds as planned, and again the same", async () => {
  const { folder, run, read } = await projectWith();
  const first = await run();
  expect([first.code, first.stdout]).toEqual([
    0,
    expect.stringMatching(/wrote .*Dockerfile[\s\S]*wrote .*\.dockerignore/),
  ]);
  const text = read("Dockerfile");

  expect((await run("--check")).code).toBe(0);
  const second = await run("--json");
  expect(JSON.parse(second.stdout)).toMatchObject({
    written: [],
    unchanged: [expect.stringMatching(/Dockerfile$/), expect.anything()],
  });
  expect(read("Dockerfile")).toBe(text);

  writeFiles(folder, { "routes/a.py": "", "pyproject.toml": '[project]\nname = "shop"\nversion = "2.0"\n' });
  const drifted = await run("--check");
  expect([drifted.code, drifted.stdout]).toEqual([1, expect.stringContaining("+COPY routes/ routes/")]);
  expect(read("Dockerfile")).toBe(text);
  expect((await run()).code).toBe(0);
  expect(read("Dockerfile")).toContain("COPY routes/ routes/");
});

it("leaves a person's Dockerfile alone, and says what goes with it", async () => {
  const { run, read } = await projectWith({ Dockerfile: mine });
  for (const words of [[], ["--check"]]) {
    const refused = await run(...words);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("was not written by Sheaf")]);
    expect(read("Dockerfile")).toBe(mine);
  }
  const { stderr } = await run();
  expect(stderr).toContain('command = ["uvicorn", "main:app", "--port", "9000"]');
  expect(stderr).toContain('packages = ["file"]');
  expect(stderr).toContain('env = { LEVEL = "debug" }');

  const aside = temporaryFolder();
  expect((await run("-o", aside)).code).toBe(0);
  expect(fs.readFileSync(path.join(aside, "Dockerfile"), "utf8")).toContain(" LEVEL=debug ");
  expect(read("Dockerfile")).toBe(mine);

  expect((await run("--force")).code).toBe(0);
  expect(read("Dockerfile")).toMatch(/^# Written by Sheaf: sheaf dockerfile, /m);
});

it("keeps what was edited by hand, and shows the edit", async () => {
  const { folder, run, read } = await projectWith();
  await run();
  const edited = `${read("Dockerfile")}# mine\n`;
  writeFiles(folder, { Dockerfile: edited });
  const refused = await run();
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("was changed by hand")]);
  expect(read("Dockerfile")).toBe(edited);
  const shown = await run("--check");
  expect([shown.code, shown.stdout]).toEqual([1, expect.stringContaining("-# mine")]);
});

it("says what it can't write down", async () => {
  const { run } = await projectWith({ "sheaf.toml": "shell = false\n" });
  const refused = await run();
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("shell = false")]);
  const { run: other } = await projectWith();
  const unused = await other("--cuda-base", "nvidia/cuda:12.1.1-runtime-ubuntu22.04");
  expect([unused.code, unused.stderr]).toEqual([2, expect.stringContaining("no image of this project is for a GPU")]);
});

it("writes requirements with hashes for a lock that pip doesn't read, and says that they belong to it", async () => {
  const { folder, run, read } = await projectWith({
    "requirements.txt": "",
    "pyproject.toml": poetryProject,
    "poetry.lock": poetryLock(framework()),
  });
  fs.rmSync(path.join(folder, "requirements.txt"));
  const first = await run();
  expect([first.code, first.stdout]).toEqual([0, expect.stringContaining("commit requirements.lock too")]);
  for (const wheel of framework()) {
    const [name, version] = wheel.filename.split("-");
    expect(read("requirements.lock")).toContain(`${name}==${version} \\\n    --hash=sha256:${sha256Of(wheel.bytes)}\n`);
  }
  expect(read("Dockerfile")).toContain("source=requirements.lock,target=/build/requirements.lock");
  expect(read("Dockerfile")).not.toMatch(/COPY .*lock/);
  expect((await run("--check")).code).toBe(0);
  fs.rmSync(path.join(folder, "requirements.lock"));
  const gone = await run("--check");
  expect([gone.code, gone.stdout]).toEqual([1, expect.stringContaining("--- /dev/null")]);
});

const poetryProject = `[tool.poetry]
name = "shop"
version = "1.0.0"
package-mode = false

[tool.poetry.dependencies]
python = "^3.12"
fastapi = "*"
uvicorn = "*"
`;

function poetryLock(wheels: readonly BuiltWheel[]): string {
  const packages = wheels.map((wheel) => {
    const [name, version] = wheel.filename.split("-");
    return `[[package]]
name = "${name}"
version = "${version}"
description = ""
optional = false
python-versions = "*"
groups = ["main"]
files = [{ file = "${wheel.filename}", hash = "sha256:${sha256Of(wheel.bytes)}" }]
`;
  });
  return `${packages.join("\n")}
[metadata]
lock-version = "2.1"
python-versions = "^3.12"
content-hash = "0000000000000000000000000000000000000000000000000000000000000000"
`;
}
