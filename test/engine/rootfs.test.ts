import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { prepareRootFileSystem } from "../../src/engine/rootfs.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import type { Layer } from "../../src/oci/image.ts";
import { openStore } from "../../src/store/store.ts";
import { requireOrSkip, tool } from "../lab/lab.ts";
import { imageOf, layerOf, layerOfTar, tarOf, type Piece } from "./images.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-rootfs-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
let count = 0;
const freshStore = () => openStore(path.join(folder, `store${count++}`));
const root = { uid: 0, gid: 0 };
const appuser = { uid: 10001, gid: 10001 };

async function unpack(layers: Piece[][], user = root) {
  const store = freshStore();
  return {
    store,
    ...(await prepareRootFileSystem(
      store,
      layers.map((pieces) => layerOf(pieces)),
      user,
    )),
  };
}

describe("prepareRootFileSystem", () => {
  it("unpacks files, folders and links, with modes for the user", async () => {
    const { root: tree } = await unpack(
      [
        [
          { path: "usr/bin", type: "directory" },
          { path: "usr/bin/tool", data: "tool", mode: 0o4755 },
          { path: "usr/bin/same", type: "hardlink", target: "usr/bin/tool" },
          { path: "bin", type: "symlink", target: "usr/bin" },
          { path: "etc/shadow", data: "secret", mode: 0o640 },
          { path: "srv/own", data: "own", mode: 0o600, uid: 10001, gid: 10001 },
          { path: "srv/group", data: "group", mode: 0o060, gid: 10001 },
          { path: "srv/empty", data: "" },
        ],
      ],
      appuser,
    );
    const mode = (name: string) => (fs.statSync(path.join(tree, name)).mode & 0o7777).toString(8);
    expect(fs.readFileSync(path.join(tree, "usr/bin/same"), "utf8")).toBe("tool");
    expect(fs.statSync(path.join(tree, "usr/bin/same")).ino).toBe(fs.statSync(path.join(tree, "usr/bin/tool")).ino);
    expect(fs.readlinkSync(path.join(tree, "bin"))).toBe("usr/bin");
    expect([mode("usr/bin/tool"), mode("etc/shadow"), mode("srv/own"), mode("srv/group")]).toEqual([
      "555",
      "40",
      "600",
      "660",
    ]);
    expect(fs.readFileSync(path.join(tree, "srv/empty"), "utf8")).toBe("");
  });

  it("unpacks each layer once and each image once", async () => {
    const store = freshStore();
    let reads = 0;
    const counted = (layer: Layer): Layer => ({ ...layer, uncompressed: () => ((reads += 1), layer.uncompressed()) });
    const [one, two, three] = ["1", "2", "3"].map((data) => counted(layerOf([{ path: `f${data}`, data }]))) as [
      Layer,
      Layer,
      Layer,
    ];
    const first = await prepareRootFileSystem(store, [one, two], root);
    expect(reads).toBe(2);
    expect(await prepareRootFileSystem(store, [one, two], root)).toEqual(first);
    expect(reads).toBe(2);
    const second = await prepareRootFileSystem(store, [one, three], root);
    expect(reads).toBe(3);
    expect(fs.statSync(path.join(second.root, "f1")).ino).toBe(fs.statSync(path.join(first.root, "f1")).ino);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("may be asked by several at once", async () => {
    const store = freshStore();
    const layers = ["1", "2", "3", "1"].map((data) => layerOf([{ path: `f${data}`, data }]));
    const results = await Promise.all([1, 2, 3].map(() => prepareRootFileSystem(store, layers, root)));
    expect(new Set(results.map((result) => result.root)).size).toBe(1);
    expect(fs.readFileSync(path.join(results[0]?.root ?? "", "f3"), "utf8")).toBe("3");
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("makes harmless what an image puts where this machine's files are mounted", async () => {
    const outside = path.join(folder, "outside");
    fs.mkdirSync(outside);
    const { root: tree } = await unpack([
      [
        { path: "etc", type: "symlink", target: outside },
        { path: "dev", type: "symlink", target: outside },
        { path: "proc", data: "no folder" },
        { path: "sys/devices", type: "symlink", target: outside },
      ],
    ]);
    for (const name of ["etc/hosts", "dev/null", "proc", "sys/devices/system/cpu"]) {
      expect(fs.realpathSync(path.join(tree, name))).toBe(path.join(fs.realpathSync(tree), name));
    }
    expect(fs.readdirSync(outside)).toEqual([]);
  });

  it("writes nothing through an image's links", async () => {
    const outside = path.join(folder, "target");
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, "file"), "untouched");
    const { root: tree } = await unpack([
      [
        { path: "out", type: "symlink", target: outside },
        { path: "out/file", data: "evil" },
        { path: "direct", type: "symlink", target: path.join(outside, "file") },
        { path: "direct", data: "evil" },
      ],
      [{ path: "out/second", data: "evil" }],
    ]);
    expect(fs.readdirSync(outside)).toEqual(["file"]);
    expect(fs.readFileSync(path.join(outside, "file"), "utf8")).toBe("untouched");
    expect(fs.readFileSync(path.join(tree, "out/file"), "utf8")).toBe("evil");
  });

  it.each([
    ["a path that leaves the root", [{ path: "a/../../evil", data: "x" }]],
    ["a hard link out of the root", [{ path: "a", type: "hardlink", target: "../../etc/passwd" }]],
    ["a hard link to another layer's file", [{ path: "a", type: "hardlink", target: "etc/passwd" }]],
    ["a hard link before its target", [{ path: "a", type: "hardlink", target: "b" }, { path: "b" }]],
  ] satisfies [string, Piece[]][])("refuses %s and leaves nothing behind", async (_, pieces) => {
    const store = freshStore();
    const layers = [layerOf([{ path: "etc/passwd", data: "x" }]), layerOf(pieces)];
    await expect(prepareRootFileSystem(store, layers, root)).rejects.toMatchObject({ code: "SHEAF_LAYER" });
    expect(fs.existsSync(path.join(store.root, "rootfs", "trees"))).toBe(false);
    store.dispose();
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("refuses bytes that are not the layer's, so that one image can't speak for another", async () => {
    const honest = layerOf([{ path: "a", data: "honest" }]);
    const evil = { ...layerOf([{ path: "a", data: "evil" }]), diffId: honest.diffId };
    const store = freshStore();
    await expect(prepareRootFileSystem(store, [evil], root)).rejects.toMatchObject({ code: "SHEAF_LAYER" });
    const { root: tree } = await prepareRootFileSystem(store, [honest], root);
    expect(fs.readFileSync(path.join(tree, "a"), "utf8")).toBe("honest");
  });

  it("refuses an archive that is cut short", async () => {
    const tar = tarOf([{ path: "a", data: "x".repeat(5000) }]);
    await expect(prepareRootFileSystem(freshStore(), [layerOfTar(tar.subarray(0, 3000))], root)).rejects.toThrow();
  });

  it.skipIf(!requireOrSkip("umoci", tool("umoci")))(
    "merges as umoci does (skipped where umoci is not installed)",
    async () => {
      const layers: Piece[][] = [
        [
          { path: "a", type: "directory" },
          ...["keep", "gone", "replaced"].map((name): Piece => ({ path: `a/${name}`, data: `low ${name}` })),
          { path: "b/c/d", data: "deep" },
          { path: "opaque/low", data: "low" },
          { path: "opaque/sub/low", data: "low" },
          { path: "folder", type: "directory" },
          { path: "folder/x", data: "x" },
          { path: "file", data: "file" },
          { path: "link", type: "symlink", target: "a/keep" },
          { path: "hard", type: "hardlink", target: "a/keep" },
        ],
        [
          { path: "a/.wh.gone", data: "" },
          { path: "a/replaced", data: "high" },
          { path: "b/.wh.c", data: "" },
          { path: "opaque", type: "directory" },
          { path: "opaque/.wh..wh..opq", data: "" },
          { path: "opaque/high", data: "high" },
          { path: "folder", data: "a file now" },
          { path: "file", type: "directory" },
          { path: "file/x", data: "a folder now" },
          { path: "link", data: "no link now" },
        ],
        [
          { path: ".wh.hard", data: "" },
          { path: "b/c/new", data: "again" },
        ],
      ];
      const image = imageOf(layers.map((pieces) => layerOf(pieces)));
      const layout = path.join(folder, "layout");
      await writeLayout(layout, image, { tag: "it" });
      const bundle = path.join(folder, "bundle");
      execFileSync(tool("umoci") ?? "", ["raw", "unpack", "--rootless", "--image", `${layout}:it`, bundle], {
        stdio: "pipe",
      });
      const { root: tree } = await prepareRootFileSystem(freshStore(), image.layers, root);
      for (const name of ["dev", "proc", "sys", "run", "tmp", "etc"])
        fs.rmSync(path.join(tree, name), { recursive: true });
      expect(contents(tree)).toEqual(contents(bundle));
    },
  );
});

function contents(folder: string): string[] {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(folder, entry.name);
      if (entry.isSymbolicLink()) return [`${entry.name} -> ${fs.readlinkSync(file)}`];
      if (entry.isFile()) return [`${entry.name} = ${fs.readFileSync(file, "utf8")}`];
      return contents(file).map((line) => `${entry.name}/${line}`);
    });
}
