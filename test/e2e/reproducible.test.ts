import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { buildJson, builtExample, type BuiltJson, copyExample, example } from "./example.ts";
import { copyStore, filesBelow, sheaf, startProgram, temporaryFolder, cli } from "./sheaf.ts";

let first: BuiltJson;

beforeAll(async () => {
  first = await builtExample();
}, 300_000);

/** All that a registry would see. */
function identity({ digest, layers }: BuiltJson): unknown {
  return { digest, layers: layers.map((layer) => [layer.digest, layer.diffId]) };
}

const words = (folder: string) => [folder, "--image", "api", "-t", "sheaf-e2e-reproduced"];

describe("the same plan gives the same digests", () => {
  it("in another folder, with files of another time and another umask", { timeout: 120_000 }, async () => {
    const copy = copyExample(path.join(temporaryFolder(), "deep", "elsewhere"));
    const then = new Date("2001-02-03T04:05:06Z");
    for (const file of filesBelow(copy)) {
      fs.utimesSync(path.join(copy, file), then, then);
      fs.chmodSync(path.join(copy, file), 0o600);
    }
    expect(identity(await buildJson(words(copy)))).toEqual(identity(first));
  });

  it("with everything made anew from the downloads, on this thread alone", { timeout: 240_000 }, async () => {
    const store = copyStore();
    const kept = /^(resolution|default-index|index-release|debian-suite|debian-index)$/;
    for (const kind of fs.readdirSync(path.join(store, "records"))) {
      if (!kept.test(kind)) fs.rmSync(path.join(store, "records", kind), { recursive: true });
    }
    const again = await buildJson(words(example), { store, env: { SHEAF_WORKERS: "0" } });
    expect(again.layers.filter((layer) => layer.reused)).toEqual([]);
    expect(identity(again)).toEqual(identity(first));
  });

  it("with one worker", { timeout: 240_000 }, async () => {
    const store = copyStore();
    for (const kind of ["wheel", "deb", "interpreter", "layer", "layer-group", "environment", "bytecode-pack"])
      fs.rmSync(path.join(store, "records", kind), { recursive: true, force: true });
    const again = await buildJson(words(example), { store, env: { SHEAF_WORKERS: "1" } });
    expect(again.layers.some((layer) => layer.reused)).toBe(false);
    expect(identity(again)).toEqual(identity(first));
  });

  it("and moves every time in the image with SOURCE_DATE_EPOCH, and no other", { timeout: 240_000 }, async () => {
    const env = { SOURCE_DATE_EPOCH: "1700000000" };
    const moved = await buildJson(words(example), { env });
    expect(moved.digest).not.toBe(first.digest);
    expect((await buildJson(words(example), { env, store: copyStore() })).digest).toBe(moved.digest);
    expect(moved.layers.map((layer) => layer.unpacked)).toEqual(first.layers.map((layer) => layer.unpacked));
  });
});

describe("a build where nothing has changed", () => {
  it("makes nothing and says so", { timeout: 60_000 }, async () => {
    const again = await buildJson(words(example));
    expect(again.layers.filter((layer) => !layer.reused)).toEqual([]);
    expect(identity(again)).toEqual(identity(first));
  });
});

describe("a build without a network", () => {
  it("names what is missing from an empty store", { timeout: 60_000 }, async () => {
    const outcome = await sheaf(["build", example, "--image", "api", "--offline", "--json"], {
      store: temporaryFolder(),
    });
    expect(outcome.code).toBe(2);
    const { errors } = JSON.parse(outcome.stdout) as { errors: { code: string; hints: string[] }[] };
    expect(errors[0]).toMatchObject({ code: "SHEAF_OFFLINE", hints: [expect.stringContaining("without --offline")] });
    expect(outcome.stderr).toMatch(/is not in the cache, and --offline forbids fetching it/);
  });

  it("works from a warm store with --offline", { timeout: 120_000 }, async () => {
    const again = await buildJson([...words(example), "--offline"]);
    expect(identity(again)).toEqual(identity(first));
  });

  const isolated = ["unshare", "--net", "--map-root-user", process.execPath, cli, "build", ...words(example)];

  it.skipIf(process.platform !== "linux")(
    "works from a warm store where there is none, without being told (needs unshare)",
    { timeout: 120_000 },
    async () => {
      const outcome = await startProgram([...isolated, "--json"]).ended;
      expect(outcome.stderr).not.toMatch(/error/);
      const [image] = (JSON.parse(outcome.stdout) as { images: BuiltJson[] }).images;
      expect(image?.digest).toBe(first.digest);
    },
  );
});
