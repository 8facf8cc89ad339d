import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { dockerEngine, output, requireOrSkip, tool } from "../lab/lab.ts";
import { example } from "./example.ts";
import { photoOf, writePlantsRepository } from "./plants-repository.ts";
import { freePort } from "./ports.ts";
import { sheaf, temporaryFolder } from "./sheaf.ts";

const run = promisify(execFile);
const docker = dockerEngine();
const compose = tool("docker-compose");
const available = requireOrSkip("Docker", docker) && requireOrSkip("docker-compose", compose);

it.each([["compose"], ["kubernetes"]])(
  "the example's files are what sheaf %s writes",
  { timeout: 120_000 },
  async (command) => {
    const { code, stdout, stderr } = await sheaf([command, example, "--check"]);
    expect(code, `${stdout}${stderr}`).toBe(0);
  },
);

it("writes, keeps what people write, and tells drift from a plan", { timeout: 120_000 }, async () => {
  const folder = path.join(temporaryFolder(), "repository");
  writePlantsRepository(folder, "sheaf-e2e-drift");
  const person = path.join(folder, "docker-compose.yml");
  fs.writeFileSync(person, "services: {}\n");
  const shadowed = await sheaf(["compose", folder]);
  expect(shadowed.code).toBe(2);
  expect(shadowed.stderr).toContain("Docker would read compose.yaml instead of it");
  fs.rmSync(person);

  expect((await sheaf(["compose", folder])).stdout).toContain("wrote ");
  expect((await sheaf(["compose", folder, "--check"])).code).toBe(0);
  const file = path.join(folder, "compose.yaml");
  fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("memory: 1G", "memory: 2G"));
  const drifted = await sheaf(["compose", folder, "--check"]);
  expect(drifted.code).toBe(1);
  expect(drifted.stdout).toMatch(/^-\s+memory: 2G\n\+\s+memory: 1G$/m);
  expect(await sheaf(["compose", folder])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("changed by hand"),
  });

  await sheaf(["kubernetes", folder, "--keda"]);
  const manifests = path.join(folder, "kubernetes");
  expect(fs.readdirSync(manifests)).toContain("worker.yaml");
  // An image that is gone takes its file with it; a person's file stays.
  fs.writeFileSync(path.join(manifests, "ingress.yaml"), "kind: Ingress\n");
  const pyproject = path.join(folder, "pyproject.toml");
  fs.writeFileSync(
    pyproject,
    fs.readFileSync(pyproject, "utf8").replace(/\[tool\.sheaf\.images\.worker\]\n(?:.+\n)+/, ""),
  );
  expect((await sheaf(["kubernetes", folder, "--keda"])).stdout).toMatch(/removed \S*worker\.yaml/);
  expect(fs.readdirSync(manifests)).toContain("ingress.yaml");
});

describe.skipIf(!available)("the compose file in Docker (skipped without an engine or docker-compose)", () => {
  const project = `sheaf-e2e-plants-${process.pid}`;
  let folder = "";
  let port = 0;
  const inFolder = (words: string[], timeout = 180_000) =>
    run(compose ?? "", ["-p", project, ...words], { cwd: folder, timeout });

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-e2e-compose-"));
    writePlantsRepository(folder, project);
    const built = await sheaf(["build", folder, "--load"], { timeoutMs: 280_000 });
    if (built.code !== 0) throw new Error(built.stderr);
    const written = await sheaf(["compose", folder]);
    if (written.code !== 0) throw new Error(written.stderr);
    port = await freePort();
    fs.writeFileSync(path.join(folder, ".env"), `POSTGRES_PASSWORD=0123abcd\nAPI_PORT=${port}\n`);
    // The health checks' 30 s are the images' own; here nobody waits for them.
    fs.writeFileSync(
      path.join(folder, "compose.override.yaml"),
      "services:\n  api: { healthcheck: { interval: 1s } }\n  worker: { healthcheck: { interval: 1s } }\n",
    );
    await inFolder(["up", "--wait", "--wait-timeout", "120"]);
  }, 300_000);

  afterAll(async () => {
    await inFolder(["down", "-v"]).catch(() => undefined);
    const images = ["api", "worker", "redis", "postgres"].map((name) => `${project}-${name}:latest`);
    if (docker) await output(docker.command, ["rmi", ...images]).catch(() => undefined);
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const ask = async (route: string, init?: RequestInit): Promise<Record<string, unknown>> => {
    const response = await fetch(`http://127.0.0.1:${port}${route}`, init);
    return (await response.json()) as Record<string, unknown>;
  };
  let photo = "";

  it("is ready: PostgreSQL and Redis answer the API", async () => {
    expect(await ask("/ready")).toEqual({ status: "ready", checks: { postgresql: "ok", redis: "ok" } });
  });

  it("takes a photo, which the worker counts", { timeout: 60_000 }, async () => {
    const body = new FormData();
    body.set("file", new Blob([photoOf(77)]), "photo.ppm");
    const { photo_id: id, task_id: task } = await ask("/photos", { method: "POST", body });
    photo = String(id);
    let state: Record<string, unknown> = {};
    for (let waited = 0; waited < 40 && state["state"] !== "SUCCESS"; waited += 1) {
      await sleep(500);
      state = await ask(`/tasks/${String(task)}`);
    }
    expect(state).toMatchObject({ state: "SUCCESS", plants: 77 });
    expect(await ask(`/photos/${photo}`)).toMatchObject({ plants: 77, width: 32 });
  });

  it("runs everything without root, capabilities or a file system that can be written", async () => {
    for (const service of ["api", "worker", "redis", "postgres"]) {
      const script = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/1/status; touch /etc/x 2>&1 || true";
      const { stdout } = await inFolder(["exec", "-T", service, "sh", "-c", script]);
      expect(stdout).toMatch(/^10001\nCapEff:\s+0+\nNoNewPrivs:\s+1\n.*Read-only file system/);
    }
  });

  it("ends in seconds, and has its data when it starts again", { timeout: 120_000 }, async () => {
    const started = performance.now();
    await inFolder(["stop"]);
    expect(performance.now() - started).toBeLessThan(15_000);
    const { stdout } = await inFolder(["ps", "-a", "--format", "{{.Service}} {{.ExitCode}}"]);
    // uvicorn ends by the signal that it was sent, after it has answered what it had begun.
    const ends = stdout.trim().replace("api 143", "api 0").split("\n").toSorted();
    expect(ends).toEqual(["api 0", "migrate 0", "postgres 0", "redis 0", "worker 0"]);
    await inFolder(["up", "--wait", "--wait-timeout", "60"]);
    expect(await ask(`/photos/${photo}`)).toMatchObject({ plants: 77 });
  });

  it("stops with a sentence where a secret is missing", async () => {
    fs.renameSync(path.join(folder, ".env"), path.join(folder, "kept.env"));
    await expect(inFolder(["config", "-q"])).rejects.toMatchObject({
      stderr: expect.stringContaining("set POSTGRES_PASSWORD in .env"),
    });
    fs.renameSync(path.join(folder, "kept.env"), path.join(folder, ".env"));
  });
});
