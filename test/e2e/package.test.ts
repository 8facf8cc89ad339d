import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { builtExample, example } from "./example.ts";
import { repository, sharedStore } from "./sheaf.ts";

const run = promisify(execFile);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-package-"));
const installed = path.join(folder, "elsewhere");
let tarball: string;

/** npm and what it starts, without what this test run has set. */
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV|NODE_OPTIONS)/.test(name))),
  SHEAF_CACHE_DIR: sharedStore,
};

beforeAll(async () => {
  await builtExample();
  // The bundle is there already: `npm test` has made it.
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    cwd: repository,
    env,
  });
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  tarball = path.join(folder, packed?.filename ?? "");
  fs.mkdirSync(installed);
  fs.writeFileSync(path.join(installed, "package.json"), '{"name":"elsewhere","private":true,"type":"module"}');
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", tarball], { cwd: installed, env });
}, 300_000);

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe("the packed package, installed elsewhere", () => {
  it("holds the bundle, its types and the documents, and nothing of the sources", async () => {
    const { stdout } = await run("tar", ["-tzf", tarball]);
    const files = stdout.trim().split("\n");
    expect(files).toEqual(
      expect.arrayContaining(["package/dist/cli.js", "package/dist/index.js", "package/dist/worker.js"]),
    );
    expect(files).toContain("package/dist/types/index.d.ts");
    expect(files.filter((file) => !/^package\/(dist|schemas)\/|^package\/[^/]+$/.test(file))).toEqual([]);
  });

  it("runs as a command", async () => {
    const { version } = JSON.parse(fs.readFileSync(path.join(repository, "package.json"), "utf8")) as {
      version: string;
    };
    const { stdout } = await run("npx", ["--no-install", "sheaf", "--version"], { cwd: installed, env });
    expect(stdout).toBe(`sheaf ${version}\n`);
    const plan = await run("npx", ["--no-install", "sheaf", "plan", example, "--image", "api"], {
      cwd: installed,
      env,
    });
    expect(plan.stdout).toContain("uvicorn app.main:app");
  });

  it("plans and builds as a library", { timeout: 120_000 }, async () => {
    const program = [
      'import { build, plan, SheafError } from "sheaf";',
      "const [directory] = process.argv.slice(2);",
      'const { images } = await plan({ directory, images: ["api"] });',
      'const [image] = await build({ directory, images: ["api"], tag: "sheaf-e2e-library" });',
      'const failure = await plan({ directory: "/nonexistent" }).catch((error) => error);',
      "console.log(JSON.stringify([images[0].plan.name, image.image.digest, failure instanceof SheafError, failure.code]));",
    ].join("\n");
    fs.writeFileSync(path.join(installed, "library.js"), program);
    const { stdout } = await run(process.execPath, ["library.js", example], { cwd: installed, env });
    expect(JSON.parse(stdout)).toEqual(["api", (await builtExample()).digest, true, "SHEAF_NO_PROJECT"]);
  });

  it("has types that TypeScript takes", { timeout: 60_000 }, async () => {
    const program = [
      'import { build, type BuildResult, plan, SheafError } from "sheaf";',
      'const results: BuildResult[] = await build({ directory: ".", tag: "demo:1", onEvent: (event) => event.type });',
      "const names: string[] = (await plan({ offline: true })).images.map((image) => image.plan.name);",
      "// @ts-expect-error a folder is a string",
      "await plan({ directory: 1 });",
      "console.log(results[0]?.reference, names, SheafError);",
    ].join("\n");
    fs.writeFileSync(path.join(installed, "typed.ts"), program);
    const words = [
      "--noEmit",
      "--strict",
      "--skipLibCheck",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--types",
      "node",
    ];
    const roots = ["--typeRoots", path.join(repository, "node_modules", "@types")];
    const tsc = path.join(repository, "node_modules", ".bin", "tsc");
    const { stdout } = await run(tsc, [...words, ...roots, "typed.ts"], { cwd: installed, env });
    expect(stdout).toBe("");
  });

  it("passes publint and attw", { timeout: 240_000 }, async () => {
    // Neither is needed to work on Sheaf: npm brings them for this one test.
    const once = (name: string, ...words: string[]) =>
      run("npm", ["exec", "--yes", "--package", name, "--", ...words], { cwd: folder, env });
    const publint = await once("publint@0.3.25", "publint", "run", tarball, "--strict");
    expect(publint.stdout).toMatch(/All good!/);
    const attw = await once(
      "@arethetypeswrong/cli@0.18.5",
      "attw",
      tarball,
      "--profile",
      "esm-only",
      "--no-emoji",
      "--no-color",
    );
    expect(attw.stdout).toMatch(/node16 \(from ESM\) +│ OK/);
  });
});
