import { execFileSync } from "node:child_process";
import * as path from "node:path";

import { expect, it } from "vitest";

import { resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { type BrokerSource, brokerSourceOf } from "../../src/contract/running/broker-source.ts";
import { probeFiles, withProbe } from "../../src/contract/running/worker-probe.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import type { ContractSettings } from "../../src/project/config/schema.ts";
import { imageOf, layerOf } from "../engine/images.ts";
import { temporaryFolder, writeFiles } from "../e2e/sheaf.ts";
import { pythonWith } from "../lab/lab.ts";

const python = pythonWith("json");

it.skipIf(!python)(
  "the probe waits for Celery's worker, and leaves the image its own sitecustomize (needs Python)",
  () => {
    const folder = writeFiles(temporaryFolder(), {
      "probe/sitecustomize.py": probeFiles["sitecustomize.py"],
      "probe/sheaf_probe.py": "print('probe')",
      "own/sitecustomize.py": "print('own')",
      "celery/__init__.py": "print('celery')",
      "celery/apps/__init__.py": "",
      "celery/apps/worker.py": "print('worker')",
    });
    const run = (program: string, ...names: string[]) =>
      execFileSync(python ?? "", ["-S", "-c", `import site; site.execsitecustomize(); ${program}`], {
        encoding: "utf8",
        cwd: folder,
        env: { PYTHONPATH: ["probe", ...names].map((name) => path.join(folder, name)).join(":") },
      }).split("\n");
    expect(run("import celery", "own")).toEqual(["own", "celery", ""]);
    expect(run("import celery.apps.worker", "own")).toEqual(["own", "celery", "probe", "worker", ""]);
    expect(run("import sys; print(sys.modules['sitecustomize'].__file__.endswith('probe/sitecustomize.py'))")).toEqual([
      "True",
      "",
    ]);
  },
);

it("the probe stands before what the image has in PYTHONPATH, and changes no file of its", () => {
  const image = imageOf([layerOf([{ path: "app/a.py" }])], { Env: ["PYTHONPATH=/app"], Cmd: ["celery"] });
  const probed = withProbe(image, { runEnv: {} });
  expect(probed.env["PYTHONPATH"]).toBe("/.sheaf-probe:/app");
  expect(probed.image.layers.slice(0, -1)).toEqual(image.layers);
  expect(probed.image.config.config).toEqual(image.config.config);
  expect(withProbe(image, { runEnv: { PYTHONPATH: "/srv" } }).env["PYTHONPATH"]).toBe("/.sheaf-probe:/srv");
  expect(withProbe(imageOf([], {}), { runEnv: {} }).env["PYTHONPATH"]).toBe("/.sheaf-probe");
});

const celery = ["celery", "-A", "shop.app", "worker"];
const site = "usr/lib/python3.12/site-packages";

/** What runs beside an image of Celery's with these distributions and this code. */
async function sourceOf(
  distributions: string[],
  {
    config = {},
    settings = {},
    code = "",
  }: { config?: RuntimeConfig; settings?: ContractSettings; code?: string } = {},
): Promise<BrokerSource | string | undefined> {
  const pieces = distributions.map((name) => ({
    path: `${site}/${name}-1.0.dist-info/METADATA`,
    data: `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`,
  }));
  const image = imageOf([layerOf([...pieces, { path: "app/shop/settings.py", data: code }])], {
    Cmd: celery,
    ...config,
  });
  const runtime = image.config.config ?? {};
  const contract = resolveContract({ name: "worker", runtime, config: { contract: settings } });
  const interest = { startModules: new Set(["shop"]), files: new Set<string>() };
  const facts = await readImageFacts(image, { interest, signal: new AbortController().signal });
  return brokerSourceOf({ image, facts, contract, composeBroker: async () => "not asked here" });
}

it("variables that Celery, the code and the image have lead to the broker", async () => {
  const code =
    'from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    queue: str = "redis://localhost/3"\n    database_url: str = "postgresql://localhost/shop"\n    redis_host: str = "cache"\n';
  const source = await sourceOf(["celery", "redis"], {
    code,
    config: { Env: ["CACHE_URL=redis://cache:6379/2", "AMQP=amqp://rabbit", "REDIS_PORT=1"] },
  });
  expect(source).toMatchObject({
    variables: {
      CELERY_BROKER_URL: "redis://127.0.0.1:6379/0",
      CELERY_RESULT_BACKEND: "redis://127.0.0.1:6379/1",
      QUEUE: "redis://127.0.0.1:6379/3",
      CACHE_URL: "redis://127.0.0.1:6379/2",
      REDIS_HOST: "127.0.0.1",
      REDIS_PORT: "6379",
    },
  });
  expect(Object.keys((source as BrokerSource).variables)).toHaveLength(6);
});

it("a broker is there for what is Celery's and can use it, and for whoever names variables", async () => {
  expect(await sourceOf(["celery"])).toMatch(/no client for one/);
  expect(await sourceOf(["redis"])).toBeUndefined();
  expect(await sourceOf(["celery", "redis"], { config: { Cmd: ["uvicorn", "shop:app"] } })).toBeUndefined();
  expect(await sourceOf(["celery", "redis"], { settings: { "broker-env": [] } })).toMatch(/broker-env is empty/);
  const named = { "broker-env": ["QUEUE", "REDIS_PORT"] };
  expect(await sourceOf([], { config: { Cmd: ["uvicorn", "shop:app"] }, settings: named })).toMatchObject({
    variables: { QUEUE: "redis://127.0.0.1:6379/0", REDIS_PORT: "6379" },
  });
});
