import * as fs from "node:fs";
import * as path from "node:path";
import { PassThrough, Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

import { readTar } from "../../src/archive/tar-read.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { openDockerArchive } from "../../src/oci/open-docker-archive.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { openStore } from "../../src/store/store.ts";
import { collect, temporary, text } from "../archive/oracle.ts";
import { d, digestOf, f, imageOf, layerOf, s, tarOf, type TarSpec } from "./images.ts";

const layers = [layerOf([d("usr"), f("usr/base")]), layerOf([f("app.py")])];
const image = imageOf(layers);

async function written(tags: string[]): Promise<string> {
  const file = path.join(temporary(), "image.tar");
  await writeDockerArchive(file, image, tags);
  return file;
}

function file(name: string, content: Uint8Array): TarSpec {
  return { ...f(name), content };
}

describe("writeDockerArchive", () => {
  it("writes an OCI layout and a Docker archive in one (docker load of a pure OCI archive fails on 20.10)", async () => {
    const entries = readTar(fs.readFileSync(await written(["app", "team/app:1.0"])));
    expect(entries.map((entry) => entry.path)).toEqual([
      "oci-layout",
      "index.json",
      "manifest.json",
      "blobs",
      "blobs/sha256",
      ...[image.digest, image.manifest.config.digest, ...layers.map((layer) => layer.digest)].map(
        (digest) => `blobs/sha256/${digest.slice(7)}`,
      ),
    ]);
    const [manifest] = JSON.parse(Buffer.from(entries[2]!.data).toString()) as [
      { RepoTags: string[]; Layers: string[] },
    ];
    expect(manifest.RepoTags).toEqual(["app:latest", "team/app:1.0"]);
    expect(manifest.Layers).toEqual(entries.slice(-2).map((entry) => entry.path));
  });

  it("writes the same bytes to a file and to a stream, every time", async () => {
    const stream = new PassThrough();
    const collected = collect(stream);
    await writeDockerArchive(stream, image, ["app"]);
    stream.end();
    expect(digestOf(await collected)).toBe(digestOf(fs.readFileSync(await written(["app"]))));
  });

  it("writes a layer once that the image has twice", async () => {
    const target = path.join(temporary(), "image.tar");
    await writeDockerArchive(target, imageOf([layers[0]!, layers[0]!]), []);
    const names = readTar(fs.readFileSync(target)).map((entry) => entry.path);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([
    ["another content", layerOf([f("a")], { blob: gzipSync(tarOf([f("b")])) })],
    ["more bytes", layerOf([f("a")], { blob: Buffer.concat([gzipSync(tarOf([f("a")])), text("x")]) })],
    ["fewer bytes", layerOf([f("a")], { blob: gzipSync(tarOf([f("a")])).subarray(0, -1) })],
  ])("refuses a layer of %s than it promises, and leaves no file", async (_name, layer) => {
    const folder = temporary();
    await expect(writeDockerArchive(path.join(folder, "image.tar"), imageOf([layer]), [])).rejects.toMatchObject({
      code: "SHEAF_DIGEST",
    });
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it("passes on an error of the stream", async () => {
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error("the pipe breaks")) });
    await expect(writeDockerArchive(failing, image, [])).rejects.toThrow("the pipe breaks");
  });

  it("waits for a slow stream", async () => {
    let size = 0;
    const slow = new Writable({
      highWaterMark: 1,
      write: (chunk: Uint8Array, _encoding, done) => {
        size += chunk.length;
        setTimeout(done, 1);
      },
    });
    await writeDockerArchive(slow, image, []);
    await new Promise<void>((resolve) => slow.end(resolve));
    expect(size).toBe(fs.statSync(await written([])).size);
  });
});

describe("openDockerArchive", () => {
  it("gives back what was written, by any of its names", async () => {
    const archive = await written(["app", "team/app:1.0"]);
    for (const tag of [undefined, "app", "app:latest", "latest", "team/app:1.0"]) {
      const opened = await openDockerArchive(archive, { tag });
      expect(opened.digest).toBe(image.digest);
      expect(await validateImage(opened)).toEqual([]);
    }
    await expect(openDockerArchive(archive, { tag: "other" })).rejects.toThrow(/has no image with the tag other/);
  });

  it("reads a compressed archive through the store, and cleans up with it", async () => {
    const archive = await written([]);
    fs.writeFileSync(`${archive}.gz`, gzipSync(fs.readFileSync(archive)));
    const store = openStore(temporary());
    expect(await validateImage(await openDockerArchive(`${archive}.gz`, { store }))).toEqual([]);
    store.dispose();
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
    await expect(openDockerArchive(`${archive}.gz`)).rejects.toThrow(/no store to unpack it in/);
  });

  it("reads what docker save writes: layers as they are, shared by links, no manifest", async () => {
    const config = Buffer.from(image.configBytes);
    const name = `${digestOf(config).slice(7)}.json`;
    const manifest = [{ Config: name, RepoTags: ["app:latest"], Layers: ["one/layer.tar", "two/layer.tar"] }];
    const archive = path.join(temporary(), "saved.tar");
    const entries = [
      d("one"),
      file("shared/layer.tar", tarOf([d("usr"), f("usr/base")])),
      s("one/layer.tar", "../shared/layer.tar"),
      file("two/layer.tar", gzipSync(tarOf([f("app.py")]))),
      file(name, config),
      file("manifest.json", text(JSON.stringify(manifest))),
    ];
    fs.writeFileSync(archive, tarOf(entries));
    const opened = await openDockerArchive(archive, { tag: "app" });
    expect(opened.layers.map((layer) => layer.diffId)).toEqual(layers.map((layer) => layer.diffId));
    expect(opened.layers.map((layer) => layer.mediaType.endsWith("gzip"))).toEqual([false, true]);
    expect(await validateImage(opened)).toEqual([]);
    await expect(openDockerArchive(archive, { tag: "other" })).rejects.toThrow(/its tags: app:latest/);
  });

  it.each<[string, TarSpec[], RegExp]>([
    ["an archive that is no image", [f("a")], /neither index.json nor manifest.json/],
    ["a manifest.json of another shape", [f("manifest.json", '[{"Config":1}]')], /not Docker's/],
    [
      "a layer that is missing",
      [f("manifest.json", '[{"Config":"c","Layers":["l"]}]'), f("c", "{}")],
      /has no l, which/,
    ],
    [
      "links that lead nowhere",
      [f("manifest.json", '[{"Config":"c","Layers":["l"]}]'), f("c", "{}"), s("l", "l")],
      /has no l, which/,
    ],
    [
      "a link out of the archive",
      [f("manifest.json", '[{"Config":"c","Layers":[]}]'), s("c", "../../../../etc/hostname")],
      /has no c/,
    ],
  ])("names %s", async (_name, entries, message) => {
    const archive = path.join(temporary(), "image.tar");
    fs.writeFileSync(archive, tarOf(entries));
    await expect(openDockerArchive(archive)).rejects.toMatchObject({
      code: "SHEAF_IMAGE",
      message: expect.stringMatching(message),
    });
  });

  it("names a file that can't be read, or that is cut short", async () => {
    const archive = await written([]);
    await expect(openDockerArchive(`${archive}.missing`)).rejects.toMatchObject({ code: "SHEAF_IMAGE" });
    fs.truncateSync(archive, fs.statSync(archive).size - 2000);
    await expect(openDockerArchive(archive)).rejects.toMatchObject({ code: "SHEAF_TAR" });
  });
});
