import { randomBytes } from "node:crypto";

import { afterAll, describe, expect, it } from "vitest";

import { DockerApi } from "../../../src/engine/docker/api.ts";
import { loadByArchive, pullProgress } from "../../../src/engine/docker/load.ts";
import { findEngines } from "../../../src/engine/find.ts";
import { dockerEndpoints } from "../../../src/engine/docker/endpoint.ts";
import type { SheafEvent } from "../../../src/events.ts";
import { dockerEngine, output, requireOrSkip } from "../../lab/lab.ts";
import { testEngine } from "../engine-suite.ts";
import { imageOf, layerOf } from "../images.ts";

const client = dockerEngine();
const available = requireOrSkip("Docker", client);
const engine = available ? (await findEngines()).find((each) => each.kind === "docker") : undefined;
const ask = (...args: string[]) => output(client?.command ?? "", args);

describe.skipIf(!available)("Docker (skipped where no engine answers)", () => {
  it("is found and described", () => {
    expect(engine?.describe()).toMatch(/^Docker \d+\.\d+\S* at \S+$/);
  });

  if (!engine) return;
  testEngine(engine, ask);

  const tag = `sheaf-test-archive-${randomBytes(4).toString("hex")}:1`;
  afterAll(() => engine.removeImage(tag));

  it("takes a whole archive where it can't reach the registry", async () => {
    const [endpoint] = dockerEndpoints(process.env);
    if (!endpoint) throw new Error("no endpoint");
    const image = imageOf([layerOf([{ path: "a", data: randomBytes(1_000_000) }])]);
    const loaded = await loadByArchive(new DockerApi(endpoint), image, tag);
    expect(loaded).toMatchObject({ way: "archive", layersReused: 0 });
    expect(loaded.transferred).toBeGreaterThan(1_000_000);
    expect(await engine.imageId(tag)).toBe(image.manifest.config.digest);
  });
});

describe("pullProgress", () => {
  it("turns Docker's lines into one download a layer", () => {
    const layers = [layerOf([{ path: "a", data: "a" }]), layerOf([{ path: "b", data: "b" }])];
    const [a, b] = layers.map((layer) => layer.digest.slice(7, 19));
    const events: SheafEvent[] = [];
    const take = pullProgress({ layers }, (event) => events.push(event));
    const lines = [
      { id: "load", status: "Pulling from sheaf/x" },
      { id: a, status: "Already exists" },
      { id: b, status: "Pulling fs layer" },
      { id: b, status: "Downloading", progressDetail: { current: 10, total: 99 } },
      { id: b, status: "Downloading", progressDetail: { current: 50, total: 99 } },
      { id: b, status: "Download complete" },
      { id: b, status: "Extracting", progressDetail: { current: 1 } },
      { id: b, status: "Download complete" },
      { status: "Status: Downloaded newer image" },
    ];
    for (const line of lines) take(line);
    const [, layer] = layers;
    expect(events).toEqual([
      { type: "download-start", id: layer?.digest, label: "test", total: layer?.size },
      { type: "download-progress", id: layer?.digest, received: 10 },
      { type: "download-progress", id: layer?.digest, received: 50 },
      { type: "download-end", id: layer?.digest, received: layer?.size, reused: false },
    ]);
  });
});
