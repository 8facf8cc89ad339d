import { describe, expect, it } from "vitest";

import { findEngines } from "../../../src/engine/find.ts";
import { pipeIntoPodman } from "../../../src/engine/podman/load.ts";
import { output, podman, requireOrSkip } from "../../lab/lab.ts";
import { testEngine } from "../engine-suite.ts";
import { imageOf, layerOf } from "../images.ts";

const client = podman();
const available = requireOrSkip("Podman", client);
const engine = available ? (await findEngines()).find((each) => each.kind === "podman") : undefined;

describe.skipIf(!available)("Podman (skipped where it does not work)", () => {
  it("is found and described", () => {
    expect(engine?.describe()).toMatch(/^Podman \d+\.\d+/);
  });

  if (!engine) return;
  testEngine(engine, (...args) => output(client?.command ?? "", args));

  it("takes a whole archive where it can't reach the registry", async () => {
    const image = imageOf([layerOf([{ path: "a", data: String(Math.random()) }])]);
    const command = { program: client?.command ?? "", environment: process.env };
    expect(await pipeIntoPodman(command, image, "sheaf-test-archive:1")).toMatchObject({ way: "archive" });
    expect(await engine.imageId("sheaf-test-archive:1")).toBe(image.manifest.config.digest);
    await engine.removeImage("sheaf-test-archive:1");
  });
});
