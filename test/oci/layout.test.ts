import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";

import type { Image } from "../../src/oci/image.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { openLayout, writeLayout } from "../../src/oci/layout.ts";
import { openImageFile } from "../../src/oci/open-file.ts";
import { blobFile } from "../../src/oci/open-image.ts";
import { refName, type Index } from "../../src/oci/types.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { openStore } from "../../src/store/store.ts";
import { collect, temporary, text } from "../archive/oracle.ts";
import { d, digestOf, f, imageOf, layerOf } from "./images.ts";

const layers = [layerOf([d("usr"), f("usr/base")], { kind: "base", createdBy: "sheaf: base" }), layerOf([f("app.py")])];

function forPlatform(architecture: string, content = "app"): Image {
  const config = { os: "linux", architecture, config: { Cmd: [content] } };
  return imageOf([layers[0]!, layerOf([f("app.py", content)])], { config });
}

function indexOf(directory: string): Index {
  return JSON.parse(fs.readFileSync(path.join(directory, "index.json"), "utf8")) as Index;
}

function blobsOf(directory: string): string[] {
  return fs.readdirSync(path.join(directory, "blobs", "sha256"));
}

describe("writeLayout and openLayout", () => {
  it("give back the same image", async () => {
    const directory = temporary();
    const image = imageOf(layers);
    const descriptor = await writeLayout(directory, image, { tag: "v1" });
    expect(descriptor).toMatchObject({ digest: image.digest, annotations: { [refName]: "v1" } });
    const opened = openLayout(directory);
    expect(opened.digest).toBe(image.digest);
    expect(opened.config).toEqual(image.config);
    expect(
      opened.layers.map(({ digest, diffId, size, kind, createdBy }) => ({ digest, diffId, size, kind, createdBy })),
    ).toEqual(layers.map(({ digest, diffId, size, kind, createdBy }) => ({ digest, diffId, size, kind, createdBy })));
    expect(digestOf(await collect(opened.layers[1]!.compressed()))).toBe(layers[1]!.digest);
    expect(digestOf(await collect(opened.layers[1]!.uncompressed()))).toBe(layers[1]!.diffId);
    expect(await validateImage(opened)).toEqual([]);
    expect(JSON.parse(fs.readFileSync(path.join(directory, "oci-layout"), "utf8"))).toEqual({
      imageLayoutVersion: "1.0.0",
    });
    expect(blobsOf(directory).filter((name) => !/^[0-9a-f]{64}$/.test(name))).toEqual([]);
  });

  it("write the same layout for the same image", async () => {
    const [first, second] = [temporary(), temporary()];
    for (const directory of [first, second]) await writeLayout(directory, imageOf(layers), { tag: "v1" });
    expect(fs.readFileSync(path.join(second, "index.json"))).toEqual(fs.readFileSync(path.join(first, "index.json")));
    expect(blobsOf(second).toSorted()).toEqual(blobsOf(first).toSorted());
  });

  it("keep blobs that are there, and mend one of another size", async () => {
    const directory = temporary();
    await writeLayout(directory, imageOf(layers));
    const [kept, mended] = layers.map((layer) => path.join(directory, blobFile(layer.digest)));
    const before = fs.statSync(kept!).ino;
    fs.appendFileSync(mended!, "x");
    await writeLayout(directory, imageOf(layers));
    expect(fs.statSync(kept!).ino).toBe(before);
    expect(fs.statSync(mended!).size).toBe(layers[1]!.size);
  });

  it("replace an image of the same tag and keep the others", async () => {
    const directory = temporary();
    await writeLayout(directory, forPlatform("amd64", "one"), { tag: "a" });
    await writeLayout(directory, forPlatform("amd64", "two"), { tag: "b" });
    await writeLayout(directory, forPlatform("amd64", "three"), { tag: "a" });
    await writeLayout(directory, forPlatform("arm64", "four"), { tag: "a" });
    expect(indexOf(directory).manifests.map((m) => [m.annotations?.[refName], m.platform?.architecture])).toEqual([
      ["b", "amd64"],
      ["a", "amd64"],
      ["a", "arm64"],
    ]);
    expect(openLayout(directory, { tag: "b" }).config.config?.Cmd).toEqual(["two"]);
    const platform = { os: "linux", architecture: "arm64" } as const;
    expect(openLayout(directory, { tag: "a", platform }).config.config?.Cmd).toEqual(["four"]);
    expect(() => openLayout(directory, { tag: "a" })).toThrow(/several platforms/);
    expect(() => openLayout(directory, { tag: "b", platform })).toThrow(/does not hold the image for linux\/arm64/);
    expect(() => openLayout(directory)).toThrow(/holds several images/);
    expect(() => openLayout(directory, { tag: "c" })).toThrow(/has no image with the tag c/);
  });

  it("write several platforms as one image", async () => {
    const directory = temporary();
    await writeLayout(directory, [forPlatform("amd64", "one"), forPlatform("arm64", "two")], { tag: "v1" });
    expect(indexOf(directory).manifests).toHaveLength(1);
    const opened = openLayout(directory, { tag: "v1", platform: { os: "linux", architecture: "arm64" } });
    expect(opened.config.config?.Cmd).toEqual(["two"]);
    expect(() => openLayout(directory, { tag: "v1" })).toThrow(/several platforms/);
  });

  it("say which platforms there are when the wanted one isn't", async () => {
    const directory = temporary();
    await writeLayout(directory, forPlatform("amd64"));
    expect(() => openLayout(directory, { platform: { os: "linux", architecture: "arm64" } })).toThrow(
      /does not hold the image for linux\/arm64/,
    );
  });

  it("pass over what else is in an index: BuildKit's attestations, signatures", async () => {
    const directory = temporary();
    const image = forPlatform("amd64");
    await writeLayout(directory, image);
    const index = indexOf(directory);
    index.manifests.unshift({
      ...index.manifests[0]!,
      digest: digestOf(text("x")),
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    });
    index.manifests.push({ ...index.manifests[1]!, digest: digestOf(text("y")), artifactType: "application/example" });
    fs.writeFileSync(path.join(directory, "index.json"), JSON.stringify(index));
    expect(openLayout(directory).digest).toBe(image.digest);
  });

  it("refuse a layer that isn't what it promises, and leave nothing of it", async () => {
    const directory = temporary();
    const lying = imageOf([layerOf([f("a")], { digest: digestOf(text("other")) })]);
    await expect(writeLayout(directory, lying)).rejects.toMatchObject({ code: "SHEAF_DIGEST" });
    expect(blobsOf(directory)).toEqual([]);
    expect(fs.existsSync(path.join(directory, "index.json"))).toBe(false);
  });

  it.each<[string, (directory: string, image: Image) => void, RegExp]>([
    ["no index", (directory) => fs.rmSync(path.join(directory, "index.json")), /has no index.json/],
    ["an index that isn't JSON", (directory) => fs.writeFileSync(path.join(directory, "index.json"), "{"), /not JSON/],
    [
      "an index without manifests",
      (directory) => fs.writeFileSync(path.join(directory, "index.json"), "{}"),
      /no list of manifests/,
    ],
    [
      "a missing manifest",
      (directory, image) => fs.rmSync(path.join(directory, blobFile(image.digest))),
      /has no blobs\/sha256/,
    ],
    [
      "a damaged manifest",
      (directory, image) => fs.appendFileSync(path.join(directory, blobFile(image.digest)), " "),
      /does not have the content/,
    ],
    [
      "a damaged config",
      (directory, image) => fs.appendFileSync(path.join(directory, blobFile(image.manifest.config.digest)), " "),
      /does not have the content/,
    ],
    [
      "a digest that leads elsewhere",
      (directory) =>
        fs.writeFileSync(
          path.join(directory, "index.json"),
          JSON.stringify({
            manifests: [
              {
                mediaType: "application/vnd.oci.image.manifest.v1+json",
                digest: "sha256:../../../etc/passwd",
                size: 1,
              },
            ],
          }),
        ),
      /not a SHA-256 digest/,
    ],
  ])("name %s", async (_name, spoil, message) => {
    const directory = temporary();
    const image = imageOf(layers);
    await writeLayout(directory, image);
    spoil(directory, image);
    expect(() => openLayout(directory)).toThrow(
      expect.objectContaining({ code: "SHEAF_IMAGE", message: expect.stringMatching(message) }),
    );
  });
});

describe("openImageFile", () => {
  it("opens folders and archives, and says when there is nothing", async () => {
    const folder = temporary();
    const image = imageOf(layers);
    await writeLayout(path.join(folder, "layout"), image, { tag: "v1" });
    await writeDockerArchive(path.join(folder, "image.tar"), image, ["app:v1"]);
    const store = openStore(path.join(folder, "store"));
    for (const file of ["layout", "image.tar"]) {
      expect((await openImageFile(path.join(folder, file), store, { tag: "v1" })).digest).toBe(image.digest);
    }
    await expect(openImageFile(path.join(folder, "other"), store)).rejects.toMatchObject({ code: "SHEAF_IMAGE" });
  });
});
