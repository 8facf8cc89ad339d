import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { dockerEngine, output, podman, requireOrSkip } from "../lab/lab.ts";
import { builtExample, example, exampleTag } from "./example.ts";
import { filesBelow, sharedStore, sheaf, startSheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

const engines = [
  { kind: "docker", client: requireOrSkip("Docker", dockerEngine()) ? (dockerEngine()?.command ?? "") : "" },
  { kind: "podman", client: requireOrSkip("Podman", podman()) ? (podman()?.command ?? "") : "" },
].filter(({ client }) => client !== "");
const ids = ["rebuild.clean", "rebuild.cached", "rebuild.same", "rebuild.code", "rebuild.dependency"];

function checksOf(text: string) {
  const { checks } = VerdictDocument.parse(JSON.parse(text));
  return checks.filter(({ group }) => group === "rebuild");
}

/** What builds would leave in a store. */
const left = (store: string) => filesBelow(path.join(store, "tmp")).filter((file) => file.startsWith("rebuild"));

describe("sheaf verify --rebuild", () => {
  it("measures builds of the example as sheaf build makes them, and leaves its files alone", async () => {
    await builtExample();
    const before = new Map(filesBelow(example).map((file) => [file, fs.lstatSync(path.join(example, file)).mtimeMs]));
    const words = ["verify", exampleTag, "--static", "--rebuild", "--project", example, "--image", "api"];
    const { stdout, stderr, code } = await sheaf([...words, "--json"], { timeoutMs: 500_000 });
    expect(code).toBe(0);
    const checks = checksOf(stdout);
    expect(checks.map(({ id, verdict }) => [id, verdict])).toEqual(ids.map((id) => [id, "pass"]));
    const evidence = Object.fromEntries(checks.map((check) => [check.id, check.evidence.join("\n")]));
    expect(evidence["rebuild.clean"]).toMatch(
      /sheaf build: [\d.]+ s, \d+ layers, \d+ MB downloaded; its store was empty/,
    );
    expect(evidence["rebuild.cached"]).toMatch(/all \d+ layers as before/);
    expect(evidence["rebuild.code"]).toMatch(
      /comment at the end of app\/main\.py; 1 of \d+ layers new: demeterai files$/,
    );
    expect(evidence["rebuild.dependency"]).toMatch(/left out of .*requirements\/api\.txt.*; [12] of \d+ layers new/);
    expect(stderr).toMatch(/rebuild: sheaf build, clean \(/);
    expect(left(sharedStore)).toEqual([]);
    const after = new Map(filesBelow(example).map((file) => [file, fs.lstatSync(path.join(example, file)).mtimeMs]));
    expect(after).toEqual(before);
  }, 600_000);

  it("leaves nothing behind when it is interrupted", async () => {
    await builtExample();
    const words = ["verify", exampleTag, "--static", "--rebuild", "--project", example, "--image", "api"];
    const started = startSheaf([...words, "--progress", "json"]);
    await started.told(/"id":"rebuild\.clean"/);
    // Until the build has begun to fill its store.
    const hasBegun = () => left(sharedStore).some((file) => file.includes("rebuild-store"));
    for (let tries = 0; tries < 100 && !hasBegun(); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(hasBegun()).toBe(true);
    started.child.kill("SIGINT");
    expect((await started.ended).code).toBe(130);
    expect(left(sharedStore)).toEqual([]);
  }, 300_000);

  it.each(engines)(
    "measures $kind build where another builder made the image, and removes what it built (needs $kind)",
    async ({ kind, client }) => {
      const dockerfile = 'FROM scratch\nCOPY requirements.txt /\nCOPY app /app\nCMD ["uvicorn", "app.main:app"]\n';
      const folder = writeFiles(temporaryFolder(), {
        "docker/Dockerfile": dockerfile,
        ".dockerignore": ".git\n**/.env\n",
        "requirements.txt": "fastapi==1\nuvicorn==1\n",
        "app/main.py": "x = 1\n",
      });
      const archive = path.join(temporaryFolder(), "image.tar");
      const tag = `sheaf-test-rebuild-${path.basename(folder).toLowerCase()}`;
      const words = ["build", "-q", "-t", tag, "-f", `${folder}/docker/Dockerfile`, folder];
      await output("env", ["DOCKER_BUILDKIT=1", client, ...words]);
      await output(client, ["save", "-o", archive, tag]);
      await output(client, ["rmi", tag]);
      const store = temporaryFolder();
      const options = ["--static", "--rebuild", "--project", folder, "--dockerfile", "docker/Dockerfile"];
      const verifying = ["verify", archive, ...options, "--engine", kind, "--json"];
      const { stdout } = await sheaf(verifying, { store, cwd: folder });
      const checks = checksOf(stdout);
      expect(checks.map(({ id, verdict, notRun }) => [id, verdict, notRun])).toEqual([
        ["rebuild.clean", "pass", false],
        ["rebuild.cached", "pass", false],
        ["rebuild.same", "skipped", false],
        ["rebuild.code", "pass", false],
        ["rebuild.dependency", "skipped", true],
      ]);
      expect(checks[0]?.evidence.join()).toMatch(
        /(?:docker|podman) build: [\d.]+ s, 2 layers; base images were there$/,
      );
      expect(checks[3]?.evidence.join()).toMatch(
        /comment at the end of app\/main\.py; 1 of 2 layers new: COPY (?:app \/app|dir:)/,
      );
      expect(checks[4]?.measured).toContain("no dependency");
      expect(await output(client, ["images", "--format", "{{.Repository}}"])).not.toMatch(/sheaf-rebuild-/);
      expect(left(store)).toEqual([]);
    },
    200_000,
  );
});
