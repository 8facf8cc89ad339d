import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { openImageReference, type OpenReferenceOptions } from "../../src/assemble/open-reference.ts";
import { saveImage } from "../../src/assemble/stored-images.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import type { Image } from "../../src/oci/image.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { serveImage } from "../../src/registry/serve.ts";
import { openStore, sha256 } from "../../src/store/store.ts";
import { temporary } from "../archive/oracle.ts";
import { dockerEngine, podman, requireOrSkip } from "../lab/lab.ts";
import { d, f, imageOf, layerOf } from "../oci/images.ts";

const image = imageOf([layerOf([d("app"), f("app/a", "a".repeat(100_000))]), layerOf([f("app/b")])]);
const other = imageOf([layerOf([f("other")])]);

/** A machine without engines: nothing on PATH, no socket. */
const bare = { PATH: "", HOME: "/nonexistent", DOCKER_HOST: "unix:///nonexistent.sock" };

function fresh(more: Partial<OpenReferenceOptions> = {}): OpenReferenceOptions & { folder: string } {
  const folder = temporary();
  const store = openStore(path.join(folder, "store"));
  return { store, folder, offline: true, environment: bare, ...more };
}

/** Puts an image into the store as a build would. */
function keep(options: OpenReferenceOptions, reference: string, kept: Image): void {
  const { architecture } = kept.platform;
  const plan = { platform: { os: "linux", architecture }, role: "api" } as Parameters<typeof saveImage>[2]["plan"];
  saveImage(options.store, reference, { built: { image: kept, layers: [] }, plan, root: "/project" });
}

async function diffIds({ layers }: Image): Promise<string[]> {
  const found: string[] = [];
  for (const layer of layers) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of layer.uncompressed()) chunks.push(chunk);
    found.push(sha256(Buffer.concat(chunks)));
  }
  return found;
}

const wanted = image.layers.map(({ diffId }) => diffId);

describe("openImageReference", () => {
  it("opens a layout and archives, by a tag where they hold several", async () => {
    const options = fresh();
    const at = (name: string) => path.join(options.folder, name);
    await writeLayout(at("layout"), image, { tag: "1.0" });
    await writeDockerArchive(at("app.tar"), image, ["team/app:1.0"]);
    for (const [name, from] of [
      ["layout", "layout"],
      ["./layout", "layout"],
      [at("layout"), "layout"],
      ["layout:1.0", "layout"],
      ["oci:layout:1.0", "layout"],
      ["app.tar", "archive"],
      ["app.tar:team/app:1.0", "archive"],
      ["docker-archive:app.tar", "archive"],
    ] as const) {
      const opened = await openImageReference(name, options);
      expect(opened.from, name).toBe(from);
      expect(await diffIds(opened.image), name).toEqual(wanted);
      await opened.close();
    }
    await writeLayout(at("layout"), other, { tag: "2.0" });
    await expect(openImageReference("layout", options)).rejects.toMatchObject({
      code: "SHEAF_IMAGE",
      details: [["tags", "1.0, 2.0"], expect.anything()],
    });
    await expect(openImageReference("layout:3.0", options)).rejects.toMatchObject({ code: "SHEAF_IMAGE" });
  });

  it("opens an image of the store by its tag, its digest, its config's, and the beginnings of those", async () => {
    const options = fresh();
    keep(options, "team/app:1.0", image);
    keep(options, "app:latest", other);
    const names = [
      "team/app:1.0",
      image.digest,
      image.digest.slice(0, 19),
      image.manifest.config.digest,
      `team/app@${image.digest}`,
    ];
    for (const name of names) {
      const opened = await openImageReference(name, options);
      expect(opened, name).toMatchObject({ from: "store", title: "team/app:1.0", image: { digest: image.digest } });
    }
    expect((await openImageReference("app", options)).image.digest).toBe(other.digest);
  });

  it("takes a file before the store, but not a folder that is no layout", async () => {
    const options = fresh();
    keep(options, "app:latest", other);
    fs.mkdirSync(path.join(options.folder, "app"));
    expect((await openImageReference("app", options)).from).toBe("store");
    await writeLayout(path.join(options.folder, "app"), image, { tag: "x" });
    expect((await openImageReference("app", options)).from).toBe("layout");
  });

  it("opens an image of a registry, and asks none when offline", async () => {
    const serving = await serveImage(image, { repository: "team/app", tag: "1.0" });
    onTestFinished(() => serving.close());
    const name = `${serving.host}/team/app:1.0`;
    await expect(openImageReference(name, fresh())).rejects.toMatchObject({
      code: "SHEAF_NO_IMAGE",
      details: expect.arrayContaining([[serving.host, "is not asked, because of --offline"]]),
    });
    expect(serving.requests).toBe(0);
    const opened = await openImageReference(name, fresh({ offline: false }));
    expect(opened).toMatchObject({ from: "registry", title: name });
    expect(await diffIds(opened.image)).toEqual(wanted);
    await opened.close();
    const missing = openImageReference(`${serving.host}/team/app:2.0`, fresh({ offline: false }));
    await expect(missing).rejects.toMatchObject({
      code: "SHEAF_REGISTRY",
      details: expect.arrayContaining([["store", "it is empty"]]),
    });
  });

  it("says where it looked, and what was probably meant", async () => {
    const options = fresh();
    keep(options, "demeter-api:latest", image);
    const error = openImageReference("demeter-apo", options);
    await expect(error).rejects.toMatchObject({
      code: "SHEAF_NO_IMAGE",
      details: [
        ["store", "has no such image"],
        ["docker", "does not answer"],
        ["podman", "does not answer"],
        ["docker.io", "is not asked, because of --offline"],
      ],
      hints: ["did you mean demeter-api:latest?", expect.anything()],
    });
  });

  it.each([
    ["./nowhere", [["files", "there is no such path"]]],
    ["nowhere.tar", [["files", "there is no such path"]]],
    ["Not A Name", [["store", "it is empty"]]],
    ["docker-daemon:app", [["docker", "does not answer"]]],
    ["oci:nowhere", [["name", expect.anything()]]],
  ])("finds nothing under %s", async (name, details) => {
    await expect(openImageReference(name, fresh())).rejects.toMatchObject({ code: "SHEAF_NO_IMAGE", details });
  });

  it("says so of a file that is no image", async () => {
    const options = fresh();
    fs.writeFileSync(path.join(options.folder, "README"), "not a tar archive\n".repeat(100));
    await expect(openImageReference("README", options)).rejects.toMatchObject({ code: /SHEAF_(TAR|IMAGE)/ });
  });
});

const docker = dockerEngine();
const podmanEngine = podman();
const engines = [
  { kind: "docker", prefix: "docker-daemon:", command: docker?.command },
  { kind: "podman", prefix: "containers-storage:", command: podmanEngine?.command },
] as const;

describe.each(engines)("an image in $kind", ({ kind, prefix, command }) => {
  it.skipIf(!requireOrSkip(kind, command))("is opened by its name and id, through a file that goes", async () => {
    const options = fresh({ environment: process.env });
    const tag = `sheaf-opener-${process.pid}:1`;
    const archive = path.join(options.folder, "load.tar");
    await writeDockerArchive(archive, image, [tag]);
    const run = (...words: string[]) => execFileSync(command ?? "", words, { encoding: "utf8" }).trim();
    run("load", "-q", "-i", archive);
    onTestFinished(() => void run("rmi", "-f", tag));
    for (const name of [`${prefix}${tag}`, `${prefix}${image.manifest.config.digest}`]) {
      const opened = await openImageReference(name, options);
      expect(opened.from).toBe(kind);
      expect(opened.image.config.config).toEqual(image.config.config);
      expect(opened.image.manifest.config.digest, "the image's id").toBe(image.manifest.config.digest);
      expect(await diffIds(opened.image)).toEqual(wanted);
      const temporaries = () => fs.readdirSync(path.join(options.store.root, "tmp"));
      expect(temporaries()).toHaveLength(1);
      await opened.close();
      expect(temporaries()).toEqual([]);
    }
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(openImageReference(`${prefix}${tag}`, { ...options, signal: stopped })).rejects.toThrow("stopped");
  });
});
