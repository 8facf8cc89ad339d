import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openDockerArchive } from "../../src/oci/open-docker-archive.ts";
import { openLayout } from "../../src/oci/layout.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { dockerEngine, output, podman, requireOrSkip, tool } from "../lab/lab.ts";
import { buildJson, builtExample, type BuiltJson, example, examplePlan, openExample } from "./example.ts";

const skopeo = tool("skopeo");
const umoci = tool("umoci");
const crane = tool("crane");
const syft = tool("syft");
const docker = dockerEngine();
const podmanEngine = podman();
const tag = "sheaf-e2e-oracles:latest";

/** Every form that can be written, made once for all that read it. */
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-oracles-"));
const layout = path.join(folder, "layout");
const archive = path.join(folder, "image.tar");
let written: BuiltJson;

beforeAll(async () => {
  await builtExample();
  const outputs = ["-o", `type=oci,dest=${layout}`, "-o", `type=docker-archive,dest=${archive}`];
  written = await buildJson([example, "--image", "api", "-t", tag, ...outputs]);
}, 300_000);

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe("the example's API image, written out", () => {
  it("is the image of the store in either form", { timeout: 60_000 }, async () => {
    const stored = (await openExample()).image;
    expect(written.digest).toBe(stored.digest);
    expect(openLayout(layout).digest).toBe(stored.digest);
    const fromArchive = await openDockerArchive(archive);
    expect(fromArchive.manifest.config.digest).toBe(stored.manifest.config.digest);
    expect(fs.readdirSync(folder).toSorted()).toEqual(["image.tar", "layout"]);
  });

  it("has nothing that our own validation objects to", { timeout: 120_000 }, async () => {
    expect(await validateImage(openLayout(layout))).toEqual([]);
  });

  it.skipIf(!requireOrSkip("skopeo", skopeo))(
    "is copied and inspected by skopeo (skipped without)",
    { timeout: 180_000 },
    async () => {
      for (const source of [`oci:${layout}:latest`, `docker-archive:${archive}`]) {
        const copy = path.join(folder, "copy");
        await output(skopeo ?? "", ["copy", "--quiet", source, `dir:${copy}`]);
        const manifest = JSON.parse(fs.readFileSync(path.join(copy, "manifest.json"), "utf8")) as {
          layers: unknown[];
        };
        expect(manifest.layers).toHaveLength(written.layers.length);
        fs.rmSync(copy, { recursive: true });
      }
      const seen = JSON.parse(await output(skopeo ?? "", ["inspect", `oci:${layout}:latest`])) as {
        Digest: string;
        Layers: string[];
        Architecture: string;
      };
      expect(seen.Digest).toBe(written.digest);
      expect(seen.Layers).toEqual(written.layers.map((layer) => layer.digest));
      expect(`linux/${seen.Architecture}`).toBe(written.platform);
    },
  );

  it.skipIf(!requireOrSkip("umoci", umoci))(
    "is unpacked by umoci, rootless (skipped without)",
    { timeout: 180_000 },
    async () => {
      const bundle = path.join(folder, "bundle");
      await output(umoci ?? "", ["unpack", "--rootless", "--image", `${layout}:latest`, bundle]);
      const { files } = await examplePlan();
      const root = path.join(bundle, "rootfs");
      for (const file of files.filter((each) => each.symlink === undefined)) {
        expect(fs.statSync(path.join(root, file.path)).size, file.path).toBe(file.size);
      }
      expect(fs.readFileSync(path.join(root, "etc", "passwd"), "utf8")).toMatch(/^appuser:x:10001:10001:/m);
      fs.rmSync(bundle, { recursive: true });
    },
  );

  it.skipIf(!requireOrSkip("crane", crane))(
    "passes crane's validator (skipped without)",
    { timeout: 120_000 },
    async () => {
      expect(await output(crane ?? "", ["validate", "--tarball", archive])).toContain("PASS");
    },
  );

  it.skipIf(!requireOrSkip("Docker", docker))(
    "is loaded by docker load (skipped without an engine)",
    { timeout: 180_000 },
    async () => {
      const client = docker?.command ?? "";
      expect(await output(client, ["load", "-i", archive])).toContain(tag);
      const id = (await output(client, ["image", "inspect", "--format", "{{.Id}}", tag])).trim();
      expect(id).toBe((await openExample()).image.manifest.config.digest);
      await output(client, ["rmi", tag]);
    },
  );

  it.skipIf(!requireOrSkip("Podman", podmanEngine))(
    "is loaded by podman load (skipped without)",
    { timeout: 240_000 },
    async () => {
      const client = podmanEngine?.command ?? "";
      const told = await output(client, ["load", "-q", "-i", archive]);
      expect(told).toContain(tag);
      const id = (await output(client, ["image", "inspect", "--format", "{{.Id}}", tag])).trim();
      expect(`sha256:${id}`).toBe((await openExample()).image.manifest.config.digest);
      await output(client, ["rmi", tag]);
    },
  );

  it.skipIf(!requireOrSkip("syft", syft))(
    "shows syft exactly the plan's distributions and Debian packages (skipped without)",
    { timeout: 240_000 },
    async () => {
      const plan = await examplePlan();
      const words = ["scan", `oci-dir:${layout}`, "-o", "json", "-q"];
      const { artifacts } = JSON.parse(await output(syft ?? "", words, 200_000)) as {
        artifacts: { name: string; version: string; type: string }[];
      };
      const found = (type: string) => artifacts.filter((each) => each.type === type);
      const project = { name: plan.project.name, version: plan.project.version ?? "" };
      const names = (all: { name: string; version: string }[], normal = (name: string) => name) =>
        all.map(({ name, version }) => `${normal(name)} ${version}`).toSorted();
      expect(names(found("python"), normalName)).toEqual(names([...plan.distributions, project], normalName));
      expect(names(found("deb"))).toEqual(names(plan.packages));
    },
  );
});

/** Names as PEP 503 compares them. */
function normalName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, "-");
}
