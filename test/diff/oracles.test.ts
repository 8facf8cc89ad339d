import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { compareImages } from "../../src/diff/compare.ts";
import { readSides } from "../../src/diff/read-sides.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { sha256 } from "../../src/store/store.ts";
import { output, requireOrSkip, tool } from "../lab/lab.ts";
import { temporary } from "../archive/oracle.ts";
import { installed } from "../ingest/base-builder.ts";
import { d, f, h, imageOf, layerOf, s } from "../oci/images.ts";

const umoci = tool("umoci");
const syft = tool("syft");
const isRoot = process.getuid?.() === 0;

const root = "usr/local/lib/python3.12/site-packages";
const image = imageOf([
  layerOf([
    d("etc"),
    f("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
    f("etc/os-release", 'ID=debian\nVERSION_ID="12"\n'),
    d("opaque"),
    f("opaque/old"),
    f("gone"),
    { ...f("bin/tool", "#!/bin/sh\n"), mode: 0o4755 },
    f(
      "var/lib/dpkg/status",
      ["libc6 2.36-9", "libssl3 3.0.17-1"]
        .map((each) => each.split(" "))
        .map(
          ([name, version]) =>
            `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
        )
        .join("\n"),
    ),
  ]),
  layerOf([
    f(".wh.gone"),
    d("opaque"),
    f("opaque/.wh..wh..opq"),
    f("opaque/new"),
    s("lib", "usr/lib"),
    h("bin/same", "bin/tool"),
    { ...d("app"), uid: 10_001, gid: 10_001, mode: 0o750 },
    { ...f("app/settings.py", "x = 1\n"), uid: 10_001, gid: 10_001, mode: 0o640 },
    ...installed("Foo_Bar 1.0", ["foo/__init__.py"], root),
    ...installed("requests 2.32.3", ["requests/__init__.py"], root),
  ]),
]);
const empty = imageOf([layerOf([])]);

async function listed() {
  const [a, b] = await readSides([empty, image], new AbortController().signal);
  return compareImages(
    { title: "a", from: "layout", image: empty, facts: a },
    { title: "b", from: "layout", image, facts: b },
  );
}

describe("what is compared", () => {
  it.skipIf(!requireOrSkip("umoci, as root", umoci && isRoot))(
    "is the file system that umoci unpacks: types, modes, owners, sizes, contents and targets",
    async () => {
      const folder = temporary();
      await writeLayout(path.join(folder, "layout"), image, { tag: "it" });
      execFileSync(umoci ?? "", ["unpack", "--image", "layout:it", "bundle"], { cwd: folder, stdio: "ignore" });
      const rootfs = path.join(folder, "bundle", "rootfs");
      const unpacked = fs
        .readdirSync(rootfs, { recursive: true, encoding: "utf8" })
        .toSorted()
        .map((file) => {
          const stat = fs.lstatSync(path.join(rootfs, file));
          const type = stat.isSymbolicLink() ? "symlink" : stat.isDirectory() ? "directory" : "file";
          return {
            path: file,
            type,
            mode: type === "symlink" ? 0o777 : stat.mode & 0o7777,
            uid: stat.uid,
            gid: stat.gid,
            size: type === "file" ? stat.size : 0,
            ...(type === "symlink" ? { target: fs.readlinkSync(path.join(rootfs, file)) } : {}),
          };
        });
      const { files } = await listed();
      const read = files?.changes.map(({ path, b }) => ({ path, ...b, sha256: undefined }));
      expect(read).toEqual(unpacked);
      for (const { path: file, b } of files?.changes ?? []) {
        if (b?.type !== "file") continue;
        expect(b.sha256, file).toBe(sha256(fs.readFileSync(path.join(rootfs, file))));
      }
    },
  );

  it.skipIf(!requireOrSkip("syft", syft))("is what syft lists: distributions and Debian packages", async () => {
    const folder = temporary();
    await writeLayout(path.join(folder, "layout"), image, { tag: "it" });
    const text = await output(syft ?? "", ["scan", `oci-dir:${path.join(folder, "layout")}`, "-o", "json", "-q"]);
    const { artifacts } = JSON.parse(text) as { artifacts: { name: string; version: string; type: string }[] };
    const found = (type: string) =>
      artifacts
        .filter((each) => each.type === type)
        .map(({ name, version }) => `${name.toLowerCase().replaceAll("_", "-")} ${version}`)
        .toSorted();
    const { distributions, debian } = await listed();
    expect(distributions?.changes.map(({ name, b }) => `${name} ${b}`)).toEqual(found("python"));
    expect(debian?.changes.map(({ name, b }) => `${name} ${b}`)).toEqual(found("deb"));
    expect(found("python")).toHaveLength(2);
    expect(found("deb")).toHaveLength(2);
  });
});
