import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { builtExample, copyExample } from "./example.ts";
import { repository, sharedStore, temporaryFolder } from "./sheaf.ts";

const run = promisify(execFile);
const documents = ["README.md", "docs/library.md"];
const tsc = path.join(repository, "node_modules", ".bin", "tsc");

describe("the library's examples", () => {
  it.each(documents)("of %s have the types that are published, and run", { timeout: 300_000 }, async (document) => {
    const digest = (await builtExample()).digest;
    const folder = installed();
    const examples = examplesOf(document);
    expect(examples).not.toEqual([]);
    for (const [index, example] of examples.entries())
      fs.writeFileSync(path.join(folder, `example${index}.ts`), example);
    await run(tsc, ["-p", folder], { cwd: folder, timeout: 60_000 }).catch((error: { stdout: string }) => {
      throw new Error(error.stdout);
    });
    const env = { ...process.env, SHEAF_CACHE_DIR: sharedStore };
    for (const index of examples.keys()) {
      const { stdout, stderr } = await run(process.execPath, [path.join(folder, "out", `example${index}.js`)], {
        cwd: folder,
        env,
      });
      expect(stdout + stderr).not.toBe("");
    }
    const layout = ["demeterai-oci", "out/oci"]
      .map((name) => path.join(folder, name, "index.json"))
      .find((file) => fs.existsSync(file));
    expect(fs.readFileSync(layout ?? "", "utf8")).toContain(digest);
  });
});

/** A folder that has the package as npm would link it, and the example's repository. */
function installed(): string {
  const folder = temporaryFolder();
  copyExample(path.join(folder, "examples"));
  fs.mkdirSync(path.join(folder, "node_modules"));
  fs.symlinkSync(repository, path.join(folder, "node_modules", "sheaf"));
  fs.symlinkSync(path.join(repository, "node_modules", "@types"), path.join(folder, "node_modules", "@types"));
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = {
    target: "es2023",
    module: "nodenext",
    strict: true,
    types: ["node"],
    skipLibCheck: true,
    outDir: "out",
    rootDir: ".",
  };
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  return folder;
}

function examplesOf(document: string): string[] {
  const text = fs.readFileSync(path.join(repository, document), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
}
