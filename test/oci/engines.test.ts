import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { crc32, deflateRawSync } from "node:zlib";

import { buildSegment, parentDirectories } from "../../src/archive/segment.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { composeLayer, layerFromRecord } from "../../src/oci/compose-layer.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import type { Image, Layer } from "../../src/oci/image.ts";
import { openLayout, writeLayout } from "../../src/oci/layout.ts";
import { openDockerArchive } from "../../src/oci/open-docker-archive.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { openStore } from "../../src/store/store.ts";
import { has, run, temporary, text } from "../archive/oracle.ts";
import { d, digestOf, f, h, imageOf, layerOf, reshaped, s } from "./images.ts";

const withSkopeo = has("skopeo");
const withUmoci = has("umoci");
const withDocker = has("docker", "info");
const crane = [process.env["CRANE"], "crane", path.join(process.env["HOME"] ?? "", "go", "bin", "crane")].find(
  (program) => program && has(program, "version"),
);

/** A layer made the way Sheaf makes them, of everything that a segment can hold. */
async function composedLayer(): Promise<Layer> {
  const store = openStore(temporary());
  const base = { mode: 0o644, uid: 0, gid: 0 };
  const large = Buffer.alloc(100_000).map((_, index) => (index * 2_654_435_761) >>> 13);
  const entries: Entry[] = [
    {
      ...base,
      path: "opt/app/a.so",
      type: "file",
      mode: 0o755,
      content: { kind: "deflated", deflated: deflateRawSync(large), crc32: crc32(large), size: large.length },
    },
    { ...base, path: "opt/app/b.so", type: "hardlink", target: "opt/app/a.so" },
    { ...base, path: "opt/app/link", type: "symlink", mode: 0o777, target: "a.so" },
    {
      ...base,
      path: `opt/app/${"long/".repeat(50)}größe.txt`,
      type: "file",
      content: { kind: "bytes", bytes: text("größe") },
    },
  ];
  const segment = buildSegment(entries, { mtime: 0 });
  const record = await composeLayer(store, {
    segments: [{ digest: store.putBlob(segment.chunks), compressed: segment.compressed, unpacked: segment.unpacked }],
    directories: parentDirectories(entries.map((entry) => entry.path)),
    mtime: 0,
    kind: "wheels",
    createdBy: "sheaf: wheels",
  });
  return layerFromRecord(store, record);
}

async function soundImage(): Promise<Image> {
  const base = layerOf([d("usr"), d("usr/lib"), s("lib", "usr/lib"), f("usr/lib/a"), h("usr/lib/b", "usr/lib/a")]);
  return imageOf([base, await composedLayer()], {
    config: {
      os: "linux",
      architecture: "amd64",
      created: "1970-01-01T00:00:00Z",
      config: {
        Cmd: ["/opt/app/a.so"],
        User: "10001:10001",
        Healthcheck: { Test: ["CMD", "true"], Interval: 3e10, Timeout: 3e9, StartPeriod: 4e10, Retries: 3 },
      },
    },
  });
}

function accepts(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "pipe", timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}

describe("a sound image", () => {
  it.skipIf(!withSkopeo)(
    "is read by skopeo as a layout, an OCI archive and a Docker archive (needs skopeo)",
    async () => {
      const folder = temporary();
      const image = await soundImage();
      await writeLayout(path.join(folder, "layout"), image, { tag: "v1" });
      await writeDockerArchive(path.join(folder, "image.tar"), image, ["app:v1"]);
      const copy = (from: string, to: string) => run("skopeo", ["--insecure-policy", "copy", "-q", from, to]);
      for (const source of [`oci:${folder}/layout:v1`, `oci-archive:${folder}/image.tar:v1`]) {
        const [to] = [path.join(folder, source.slice(0, source.indexOf(":")))];
        copy(source, `oci:${to}:v1`);
        expect(openLayout(to, { tag: "v1" }).digest).toBe(image.digest);
      }
      copy(`docker-archive:${folder}/image.tar:app:v1`, `oci:${folder}/docker:v1`);
      const diffIds = openLayout(path.join(folder, "docker")).config.rootfs.diff_ids;
      expect(diffIds).toEqual(image.config.rootfs.diff_ids);
    },
  );

  it.skipIf(!withSkopeo)("is opened from what skopeo writes (needs skopeo)", async () => {
    const folder = temporary();
    const image = await soundImage();
    await writeLayout(path.join(folder, "layout"), image, { tag: "v1" });
    for (const [transport, digest] of [
      ["oci-archive", image.digest],
      ["docker-archive", undefined],
    ] as const) {
      const file = path.join(folder, `${transport}.tar`);
      run("skopeo", ["--insecure-policy", "copy", "-q", `oci:${folder}/layout:v1`, `${transport}:${file}:app:v1`]);
      const opened = await openDockerArchive(file);
      if (digest) expect(opened.digest).toBe(digest);
      expect(opened.layers.map((layer) => layer.diffId)).toEqual(image.layers.map((layer) => layer.diffId));
      expect(await validateImage(opened)).toEqual([]);
    }
  });

  it.skipIf(!withUmoci)("is unpacked by umoci (needs umoci)", async () => {
    const folder = temporary();
    await writeLayout(path.join(folder, "layout"), await soundImage(), { tag: "v1" });
    run("umoci", ["unpack", "--rootless", "--image", `${folder}/layout:v1`, `${folder}/bundle`]);
    const root = path.join(folder, "bundle", "rootfs");
    expect(fs.statSync(path.join(root, "opt/app/b.so")).ino).toBe(fs.statSync(path.join(root, "opt/app/a.so")).ino);
    expect(fs.readlinkSync(path.join(root, "lib"))).toBe("usr/lib");
    expect(fs.readFileSync(path.join(root, `opt/app/${"long/".repeat(50)}größe.txt`), "utf8")).toBe("größe");
  });

  it.skipIf(!crane)("passes crane validate (needs crane)", async () => {
    const file = path.join(temporary(), "image.tar");
    await writeDockerArchive(file, await soundImage(), ["app:v1"]);
    expect(run(crane!, ["validate", "--tarball", file])).toMatch(/PASS/);
  });

  it.skipIf(!withDocker)(
    "is loaded by docker with the same layers, and saved images are opened (needs a running docker)",
    async () => {
      const folder = temporary();
      const image = await soundImage();
      const name = `sheaf-test-${process.pid}:v1`;
      await writeDockerArchive(path.join(folder, "image.tar"), image, [name]);
      try {
        run("docker", ["load", "-q", "-i", path.join(folder, "image.tar")]);
        const [seen] = JSON.parse(run("docker", ["image", "inspect", name])) as [DockerImage];
        expect(seen.RootFS.Layers).toEqual(image.config.rootfs.diff_ids);
        expect(seen.Config).toMatchObject({ User: "10001:10001", Healthcheck: image.config.config?.Healthcheck });
        run("docker", ["save", "-o", path.join(folder, "saved.tar"), name]);
      } finally {
        accepts("docker", ["image", "rm", "-f", name]);
      }
      const saved = await openDockerArchive(path.join(folder, "saved.tar"));
      expect(saved.layers.map((layer) => layer.diffId)).toEqual(image.config.rootfs.diff_ids);
      expect(await validateImage(saved)).toEqual([]);
    },
    60_000,
  );
});

interface DockerImage {
  RootFS: { Layers: string[] };
  Config: object;
}

const good = [f("a")];
const defects: [string, () => Image][] = [
  ["another diffID", () => imageOf([layerOf(good, { diffId: digestOf(text("x")) })])],
  ["a path twice", () => imageOf([layerOf([f("a", "1"), f("a", "2")])])],
  ["a path twice, written two ways", () => imageOf([layerOf([f("etc/a"), f("./etc/a")])])],
  ["a hard link to a layer below", () => imageOf([layerOf(good), layerOf([h("b", "a")])])],
  ["a hard link before its target", () => imageOf([layerOf([h("b", "c"), f("c")])])],
  ["126 layers", () => imageOf(Array.from({ length: 126 }, (_, index) => layerOf([f(`f${index}`)])))],
  ["a history that is too long", () => reshaped(imageOf([layerOf(good)]), { config: { history: [{}, {}] } })],
  [
    "no rootfs.type",
    () => reshaped(imageOf([layerOf(good)]), { config: { rootfs: { diff_ids: [layerOf(good).diffId] } } }),
  ],
];

describe("whatever an engine refuses, validateImage finds", () => {
  it.skipIf(!withDocker).each(defects)(
    "docker load: %s (needs a running docker)",
    async (_name, make) => {
      const file = path.join(temporary(), "image.tar");
      const name = `sheaf-test-${process.pid}:defect`;
      await writeDockerArchive(file, make(), [name]);
      const loaded = accepts("docker", ["load", "-q", "-i", file]);
      accepts("docker", ["image", "rm", "-f", name]);
      if (!loaded) expect(await validateImage(make())).not.toEqual([]);
      expect(loaded).toBe(_name === "no rootfs.type");
    },
    60_000,
  );

  it.skipIf(!withUmoci).each(defects)("umoci unpack: %s (needs umoci)", async (_name, make) => {
    const folder = temporary();
    await writeLayout(path.join(folder, "layout"), make(), { tag: "v1" });
    const unpacked = accepts("umoci", ["unpack", "--rootless", "--image", `${folder}/layout:v1`, `${folder}/bundle`]);
    expect(await validateImage(make())).not.toEqual([]);
    const misses = [
      "a path twice",
      "a path twice, written two ways",
      "a hard link to a layer below",
      "126 layers",
      "a history that is too long",
    ];
    expect(unpacked).toBe(misses.includes(_name));
  });

  it.skipIf(!crane).each(defects)("crane validate: %s (needs crane)", async (_name, make) => {
    const file = path.join(temporary(), "image.tar");
    await writeDockerArchive(file, make(), ["app:v1"]);
    const passed = accepts(crane!, ["validate", "--tarball", file]);
    expect(await validateImage(make())).not.toEqual([]);
    const catches = ["another diffID", "a path twice", "no rootfs.type"];
    expect(!passed).toBe(catches.includes(_name));
  });
});
