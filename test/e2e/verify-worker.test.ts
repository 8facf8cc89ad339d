import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { openStoredImage } from "../../src/assemble/stored-images.ts";
import { composeBroker } from "../../src/cli/compose-broker.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { Broker } from "../../src/contract/running/broker.ts";
import { daemonlessRuntime } from "../../src/contract/running/daemonless-runtime.ts";
import type { Runtime } from "../../src/contract/running/runtime.ts";
import type { CheckResult } from "../../src/contract/verdict.ts";
import { silent } from "../../src/events.ts";
import { buildImage, type Image } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import type { ContractSettings } from "../../src/project/config/schema.ts";
import { openStore } from "../../src/store/store.ts";
import { verifyRunning } from "../contract/running-image.ts";
import { earlyModule, workerDefects } from "../contract/worker-defects.ts";
import { layerOf } from "../engine/images.ts";

import { namespacesWork } from "../engine/namespaces-available.ts";
import { dockerEngine, podman, requireOrSkip, tool } from "../lab/lab.ts";
import { writePlantsRepository } from "./plants-repository.ts";
import { sharedStore, sheaf } from "./sheaf.ts";

const name = `sheaf-e2e-busy-${process.pid}`;
let repository = "";
let image: Image;

beforeAll(async () => {
  repository = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
  writePlantsRepository(repository, name);
  const built = await sheaf(["build", repository, "--image", "worker"], { timeoutMs: 280_000 });
  if (built.code !== 0) throw new Error(built.stderr);
  image = openStoredImage(openStore(sharedStore), `${name}-worker:latest`).image;
}, 300_000);

afterAll(() => fs.rmSync(repository, { recursive: true, force: true }));

const engines: [Runtime["kind"], boolean][] = [
  ["none", namespacesWork()],
  ["docker", requireOrSkip("Docker", dockerEngine())],
  ["podman", requireOrSkip("Podman", podman())],
];

interface Held {
  config?: RuntimeConfig;
  contract?: ContractSettings;
  engine?: Runtime["kind"];
}

/** The running checks of the worker with another configuration. */
async function verified({ config = {}, contract, engine = "none" }: Held): Promise<CheckResult[]> {
  const { rootfs: _, history: __, ...rest } = image.config;
  const own = rest.config ?? {};
  const changed = buildImage({
    layers: [...image.layers, layerOf([{ path: "app/early.py", data: earlyModule }])],
    config: { ...rest, config: { ...own, ...config, Env: [...(own.Env ?? []), ...(config.Env ?? [])] } },
  });
  const { verdict, bugs } = await verifyRunning(changed, { starts: 1, ...contract }, { engine, folder: sharedStore });
  expect(bugs).toEqual([]);
  return verdict.checks.filter(({ group }) => group === "runtime");
}

it.skipIf(!namespacesWork())(
  "where the machine has no Redis, one of Debian's packages runs beside a worker (skipped where namespaces are refused)",
  { timeout: 180_000 },
  async () => {
    const context = new CommandContext({ cacheDir: sharedStore, quiet: true, signal: new AbortController().signal });
    onTestFinished(() => context.close());
    const composed = await composeBroker(context);
    if (typeof composed === "string") expect.fail(composed);
    const broker = await Broker.start(daemonlessRuntime(composed, context.store, silent), {});
    onTestFinished(() => broker.end());
    const redis = await broker.connect();
    expect(await redis.ask("PING")).toBe("PONG");
    expect(await broker.hasConsumer()).toBe(false);
    redis.close();
  },
);

describe.skipIf(!requireOrSkip("redis-server", tool("redis-server")))(
  "a worker of Celery's beside a Redis (skipped without)",
  () => {
    it.each(engines.filter(([, there]) => there))(
      "is healthy while it is busy, and loses no task (%s)",
      { timeout: 180_000 },
      async (engine) => {
        const checks = await verified({ engine });
        expect(checks.filter(({ verdict, notRun }) => verdict === "fail" || notRun)).toEqual([]);
        const of = (id: string) => checks.find((check) => check.id === id);
        expect(of("runtime.worker-busy")).toMatchObject({
          verdict: "pass",
          measured: expect.stringContaining("while sheaf.probe runs"),
        });
        expect(of("runtime.worker-stop")).toMatchObject({
          verdict: "pass",
          measured: expect.stringMatching(/^sheaf.probe was finished; stops within [2-9]/),
        });
      },
    );

    it.skipIf(!namespacesWork()).each(workerDefects)(
      "$id finds $what, and no other does",
      { timeout: 180_000 },
      async ({ id, config, contract }) => {
        const checks = await verified({ config, ...(contract ? { contract } : {}) });
        expect(checks.find((check) => check.id === id)).toMatchObject({ verdict: "fail" });
        const failed = checks.filter(({ verdict }) => verdict === "fail");
        expect(failed.map((check) => `${check.id}: ${check.measured}`)).toEqual([expect.stringContaining(`${id}: `)]);
        expect(failed[0]?.hint).toMatch(/\w/);
      },
    );

    it.skipIf(!namespacesWork())("has a beat that comes up beside a Redis, too", { timeout: 180_000 }, async () => {
      const Cmd = ["celery", "-A", "app.celery_app", "beat", "--schedule", "/tmp/schedule"];
      const checks = await verified({ config: { Cmd }, contract: { role: "beat" } });
      expect(checks.filter(({ verdict, notRun }) => verdict === "fail" || notRun)).toEqual([]);
      expect(checks.find(({ id }) => id === "runtime.worker-busy")?.measured).toBe("it is no worker");
    });

    it.skipIf(!namespacesWork())("is not tried where it can't be, and says why", { timeout: 180_000 }, async () => {
      const Cmd = ["python3", "-E", "-m", "celery", "-A", "app.celery_app", "worker", "--pool=solo"];
      const others = ["user", "healthcheck", "health-negative", "zombies", "read-only", "arbitrary-user", "no-network"];
      const skip = Object.fromEntries(others.map((id) => [`runtime.${id}`, "not asked here"]));
      const checks = await verified({ config: { Cmd }, contract: { skip } });
      const worker = checks.filter(({ id }) => id.startsWith("runtime.worker"));
      expect(worker.map(({ notRun, measured }) => [notRun, measured])).toEqual(
        [1, 2].map(() => [true, "the worker loads no module by PYTHONPATH, so no task can be tried"]),
      );
    });
  },
);
