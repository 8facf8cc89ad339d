import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

import type { Image, Layer } from "../../src/oci/image.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { text } from "../archive/oracle.ts";
import { d, digestOf, f, h, imageOf, layerOf, reshaped, s, tarOf } from "./images.ts";

async function codes(image: Image): Promise<string[]> {
  return (await validateImage(image)).map((problem) => problem.code);
}

const sound = [d("usr"), d("usr/lib"), s("lib", "usr/lib"), f("usr/lib/a.so"), h("usr/lib/b.so", "usr/lib/a.so")];

/** An image whose manifest says other things of its only layer than the layer's bytes do. */
function lying(lies: Partial<Layer> & { blob?: Uint8Array }): Image {
  return imageOf([layerOf(sound, lies)]);
}

describe("validateImage", () => {
  it("finds nothing in a sound image", async () => {
    const second = [d("usr"), f("usr/lib/c.so"), f("usr/lib/.wh.b.so", ""), d("opt"), f("opt/.wh..wh..opq", "")];
    expect(await validateImage(imageOf([layerOf(sound), layerOf(second)]))).toEqual([]);
  });

  it.each<[string, Image, string[]]>([
    ["a blob that isn't what its digest names", lying({ digest: digestOf(text("other")) }), ["digest"]],
    ["a blob that differs in its gzip header only, which Docker misses", lying({ blob: flipped(4) }), ["digest"]],
    ["a blob of another size", lying({ size: 3 }), ["size"]],
    ["another diffID", lying({ diffId: digestOf(text("other")) }), ["diff-id"]],
    ["a damaged blob", lying({ blob: flipped(30) }), ["digest", "unreadable"]],
    ["a path twice", imageOf([layerOf([f("a", "1"), f("a", "2")])]), ["duplicate-path"]],
    ["a path twice, written two ways", imageOf([layerOf([f("etc/a"), f("./etc/a")])]), ["duplicate-path"]],
    ["a directory twice, written two ways", imageOf([layerOf([d("./etc"), d("etc")])]), ["duplicate-path"]],
    ["a hard link to a layer below", imageOf([layerOf([f("a")]), layerOf([h("b", "a")])]), ["hardlink-cross-layer"]],
    ["a hard link to nothing", imageOf([layerOf([h("b", "a")])]), ["hardlink-missing"]],
    ["a hard link before its target", imageOf([layerOf([h("b", "c"), f("c")])]), ["hardlink-early"]],
    ["126 layers", imageOf(Array.from({ length: 126 }, (_, index) => layerOf([f(`f${index}`)]))), ["layer-count"]],
    [
      "no rootfs.type",
      reshaped(imageOf([layerOf(sound)]), { config: { rootfs: { diff_ids: [layerOf(sound).diffId] } } }),
      ["rootfs-type"],
    ],
    [
      "a diffID too many",
      reshaped(imageOf([layerOf(sound)]), {
        config: { rootfs: { type: "layers", diff_ids: [layerOf(sound).diffId, digestOf(text(""))] } },
      }),
      ["diff-id-count"],
    ],
    ["a history that is too long", reshaped(imageOf([layerOf(sound)]), { config: { history: [{}, {}] } }), ["history"]],
    [
      "a history that is too short",
      reshaped(imageOf([layerOf(sound)]), { config: { history: [{ empty_layer: true }] } }),
      ["history"],
    ],
    ["a path that leads out", imageOf([layerOf([f("../evil")])]), ["unsafe-path"]],
    ["an absolute path", imageOf([layerOf([f("/etc/passwd")])]), ["unsafe-path"]],
    ["a hard link that leads out", imageOf([layerOf([h("a", "../../etc/passwd")])]), ["unsafe-path"]],
    [
      "a merged /usr broken by a directory",
      imageOf([layerOf(sound), layerOf([d("lib"), f("lib/new")])]),
      ["symlink-replaced"],
    ],
    ["a merged /usr broken without one", imageOf([layerOf(sound), layerOf([f("lib/new")])]), ["symlink-replaced"]],
    ["a file under a file", imageOf([layerOf([f("a"), f("a/b")])]), ["parent-not-directory"]],
    ["a file under a link of its own layer", imageOf([layerOf([s("a", "b"), f("a/b")])]), ["parent-not-directory"]],
    ["no platform", reshaped(imageOf([layerOf(sound)]), { config: { architecture: undefined } }), ["platform"]],
    ["a manifest of another digest", { ...imageOf([layerOf(sound)]), digest: digestOf(text("")) }, ["manifest-digest"]],
    [
      "a config of another digest",
      { ...imageOf([layerOf(sound)]), configBytes: text("{}") },
      ["config-digest", "config-size"],
    ],
    [
      "a manifest without mediaType (jib #2819)",
      reshaped(imageOf([layerOf(sound)]), { manifest: { mediaType: undefined } }),
      ["media-type"],
    ],
    [
      "Docker's layers in an OCI manifest (ko: some registries refuse them)",
      withLayerType(mediaTypes.dockerLayerGzip),
      ["mixed-media-types"],
    ],
    [
      "a zstd layer, which Docker 20.10 can't load (amazon-ecs-agent #4179)",
      withLayerType(mediaTypes.layerZstd),
      ["layer-media-type"],
    ],
  ])("finds %s", async (_name, image, expected) => {
    expect(await codes(image)).toEqual(expected);
  });

  it("names layer and path, and says what follows", async () => {
    const [problem] = await validateImage(imageOf([layerOf(sound), layerOf([d("lib"), f("lib/new"), f("lib/newer")])]));
    expect(problem).toEqual({
      code: "symlink-replaced",
      severity: "error",
      layer: 1,
      path: "lib",
      message: expect.stringMatching(
        /layer 1: "lib" goes over lib, a symbolic link to usr\/lib .* Docker replaces the link/,
      ),
    });
  });

  it("lets a layer replace a link that it removes first", async () => {
    expect(await codes(imageOf([layerOf(sound), layerOf([f(".wh.lib", ""), d("lib"), f("lib/new")])]))).toEqual([]);
  });

  it("lets parents be left out, as Docker and umoci do", async () => {
    expect(await codes(imageOf([layerOf([f("a/b/c")]), layerOf([f("a/b/d/e")])]))).toEqual([]);
  });

  it("knows that a directory replaced by a file took its content along", async () => {
    const layers = [layerOf([d("a"), f("a/b")]), layerOf([f("a")]), layerOf([d("a"), h("c", "a/b")])];
    expect(await codes(imageOf(layers))).toEqual(["hardlink-missing"]);
  });

  it("reads layers that aren't compressed", async () => {
    expect(await codes(imageOf([layerOf(sound, { mediaType: mediaTypes.layer })]))).toEqual([]);
  });

  it("takes 125 layers", async () => {
    expect(await codes(imageOf(Array.from({ length: 125 }, (_, index) => layerOf([f(`f${index}`)]))))).toEqual([]);
  });

  it("passes on what is no fault of the image", async () => {
    const broken = layerOf(sound, {
      // oxlint-disable-next-line require-yield
      compressed: async function* () {
        throw new Error("the network fails");
      },
    });
    await expect(validateImage(imageOf([broken]))).rejects.toThrow("the network fails");
  });
});

function flipped(at: number): Uint8Array {
  const blob = Buffer.from(gzipSync(tarOf(sound)));
  blob[at] = (blob[at] ?? 0) ^ 0xff;
  return blob;
}

function withLayerType(mediaType: string): Image {
  const image = imageOf([layerOf(sound)]);
  return reshaped(image, { manifest: { layers: image.manifest.layers.map((layer) => ({ ...layer, mediaType })) } });
}
