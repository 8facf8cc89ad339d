import { describe, expect, it } from "vitest";

import { ensureFolder, mergeLayers, segments, type LayerChange, type TreeNode } from "../../src/engine/rootfs-tree.ts";

const file = (path: string, content = path): LayerChange => ({ type: "file", path, content });
const folder = (path: string, mode = 0o755): LayerChange => ({ type: "directory", path, mode });
const link = (path: string, target: string): LayerChange => ({ type: "symlink", path, target });

/** `path content`, `path/`, `path -> target` for every node. */
function list(node: TreeNode, prefix = ""): string[] {
  if (node.type !== "directory") return [];
  return [...node.children].flatMap(([name, child]) => {
    const path = `${prefix}${name}`;
    if (child.type === "file") return [`${path} ${child.content}`];
    if (child.type === "symlink") return [`${path} -> ${child.target}`];
    return [`${path}/`, ...list(child, `${path}/`)];
  });
}

const merge = (...layers: LayerChange[][]) => list(mergeLayers(layers));

describe("mergeLayers", () => {
  it("lets the upper layer win, and keeps the rest of a folder", () => {
    expect(merge([folder("a"), file("a/x", "1"), file("a/y", "1")], [folder("a", 0o700), file("a/x", "2")])).toEqual([
      ...["a/", "a/x 2", "a/y 1"],
    ]);
    const tree = mergeLayers([[folder("a", 0o755)], [folder("a", 0o700)]]);
    expect(tree.children.get("a")).toMatchObject({ mode: 0o700 });
  });

  it("replaces a folder by a file and the other way round", () => {
    expect(merge([file("a/b/c")], [file("a/b", "now")])).toEqual(["a/", "a/b now"]);
    expect(merge([file("a")], [file("a/b")])).toEqual(["a/", "a/b a/b"]);
    expect(merge([file("a")], [folder("a")])).toEqual(["a/"]);
  });

  it("takes away what a whiteout names, from lower layers only", () => {
    const whiteout: LayerChange = { type: "whiteout", path: "a/x" };
    expect(merge([file("a/x"), file("a/y")], [whiteout])).toEqual(["a/", "a/y a/y"]);
    expect(merge([file("a/x", "low")], [file("a/x", "own"), whiteout])).toEqual(["a/", "a/x own"]);
    expect(merge([file("a/x/deep")], [whiteout])).toEqual(["a/"]);
    expect(merge([], [whiteout, { type: "whiteout", path: "no/such" }])).toEqual([]);
  });

  it("empties an opaque folder of what lower layers have, wherever the mark stands", () => {
    const opaque: LayerChange = { type: "opaque", path: "a" };
    expect(merge([file("a/x"), file("a/d/y")], [file("a/new"), opaque])).toEqual(["a/", "a/new a/new"]);
    expect(merge([file("a/x")], [{ type: "opaque", path: "b" }])).toEqual(["a/", "a/x a/x"]);
  });

  it("never goes through a symbolic link: the folder takes its place", () => {
    const layers = merge([link("lib", "usr/lib"), link("out", "/etc")], [file("lib/new"), file("out/passwd")]);
    expect(layers).toEqual(["lib/", "lib/new lib/new", "out/", "out/passwd out/passwd"]);
    expect(merge([link("etc", "/etc")], [{ type: "whiteout", path: "etc/passwd" }])).toEqual(["etc -> /etc"]);
  });

  it("takes paths as archives write them", () => {
    expect(merge([file("./a//b"), file("/c"), folder("./")])).toEqual(["a/", "a/b ./a//b", "c /c"]);
  });

  it("refuses paths that leave the root", () => {
    for (const path of ["../evil", "a/../../evil", "/..", "a/.."]) {
      expect(() => merge([file(path)])).toThrow(expect.objectContaining({ code: "SHEAF_LAYER" }));
    }
    expect(segments("a/..b/.c")).toEqual(["a", "..b", ".c"]);
  });

  it("treats names that objects know as any other", () => {
    expect(merge([file("__proto__/x"), file("constructor")])).toHaveLength(3);
  });
});

describe("ensureFolder", () => {
  it("puts a folder where a link or file was", () => {
    const tree = mergeLayers([[link("dev", "/dev"), file("proc"), folder("etc"), file("etc/x")]]);
    for (const path of ["dev/pts", "proc", "etc"]) ensureFolder(tree, path);
    expect(list(tree)).toEqual(["dev/", "dev/pts/", "proc/", "etc/", "etc/x etc/x"]);
  });
});
