import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { readLdSoCache, ldSoCache } from "../../src/debian/ld-so-cache.ts";
import { knownBase } from "../../src/ingest/base/facts.ts";
import { ingestBase } from "../../src/ingest/base/ingest-base.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import { openStore } from "../../src/store/store.ts";
import { destinationOf } from "../../src/wheel/destination.ts";
import { temporary } from "../archive/oracle.ts";
import { d, digestOf, f, h, imageOf, layerOf, s, tarOf } from "../oci/images.ts";
import { distribution, elf, installed, python, readBase } from "./base-builder.ts";

const amd64 = { os: "linux", architecture: "amd64" } as const;

describe("reading a base image", () => {
  it("puts layers together as an engine does", async () => {
    const { image } = await readBase(temporary(), [
      [...distribution(), d("a"), f("a/gone"), f("a/kept"), d("b"), f("b/below"), f("c", "old"), f("deep/x/y")],
      [f("a/.wh.gone", ""), f("b/new"), f("b/.wh..wh..opq", ""), s("c", "a/kept"), f(".wh.deep", "")],
      [h("hard", "a/kept"), { ...d("a"), mode: 0o700, uid: 7 }],
    ]);
    const at = (file: string) => image.tree.get(file)?.type;
    expect(at("a/gone")).toBeUndefined();
    expect(at("deep/x/y")).toBeUndefined();
    expect(at("b/below")).toBeUndefined();
    expect(at("b/new")).toBe("file");
    expect(image.tree.get("c")).toMatchObject({ type: "symlink", target: "a/kept" });
    expect(image.tree.find("c")?.size).toBe("a/kept".length);
    expect(image.tree.get("hard")?.size).toBe("a/kept".length);
    expect(image.tree.get("a")).toMatchObject({ type: "directory", mode: 0o700, uid: 7 });
    expect(image.tree.place("bin/x/y")).toBe("usr/bin/x/y");
    expect(image.tree.place("bin")).toBe("bin");
  });

  it("keeps the blobs of gzip layers as they are", async () => {
    const { facts, store, original } = await readBase(temporary(), [distribution(), [f("x")]]);
    expect(facts.layers.map((layer) => layer.digest)).toEqual(original.layers.map((layer) => layer.digest));
    expect(facts.layers.map((layer) => layer.diffId)).toEqual(original.config.rootfs.diff_ids);
    for (const { digest, size } of facts.layers) expect(store.readBlob(digest)?.length).toBe(size);
    expect(knownBase(store, facts.digest)).toEqual(facts);
    fs.rmSync(store.blobPath(facts.layers[0]?.digest ?? "sha256:"));
    expect(knownBase(store, facts.digest)).toBeUndefined();
  });

  it("compresses layers of docker save once, always with the same bytes", async () => {
    // Three members' worth, so that they are compressed side by side.
    const noise = Array.from({ length: 60_000 }, (_, index) =>
      createHash("sha256").update(`${index}`).digest("hex"),
    ).join("");
    const tar = tarOf([...distribution(), f("noise", noise)]);
    const digests = new Set<string>();
    for (const cut of [tar.length, 100_003]) {
      const folder = temporary();
      const compressed = async function* () {
        for (let at = 0; at < tar.length; at += cut) yield tar.subarray(at, at + cut);
      };
      const digest = digestOf(tar);
      const lies = { mediaType: mediaTypes.layer, digest, size: tar.length, compressed };
      const image = imageOf([layerOf(tar, lies)]);
      const layout = path.join(folder, "layout");
      await writeLayout(layout, image);
      const store = openStore(path.join(folder, "store"));
      const { facts } = await ingestBase({ storeRoot: store.root, file: layout, platform: amd64 });
      const [layer] = facts.layers;
      const blob = store.readBlob(layer?.digest ?? "sha256:") ?? new Uint8Array();
      expect(gunzipSync(blob).equals(Buffer.from(tar))).toBe(true);
      expect(layer).toMatchObject({ diffId: digest, unpackedSize: tar.length, size: blob.length, kind: "base" });
      digests.add(layer?.digest ?? "");
    }
    expect(digests.size).toBe(1);
  });

  it("refuses a layer that its config does not name, and one with another digest", async () => {
    const folder = temporary();
    const other = layerOf([f("other")]);
    const lying = imageOf([layerOf(distribution(), { diffId: other.diffId })]);
    const file = path.join(folder, "lying.tar");
    await writeDockerArchive(file, lying, []);
    const storeRoot = path.join(folder, "store");
    await expect(ingestBase({ storeRoot, file, platform: amd64 })).rejects.toMatchObject({ code: "SHEAF_BASE" });

    const layout = path.join(folder, "layout");
    const good = imageOf([layerOf(distribution())]);
    await writeLayout(layout, good);
    const blob = path.join(layout, "blobs", "sha256", good.layers[0]?.digest.slice(7) ?? "");
    fs.chmodSync(blob, 0o644);
    fs.writeFileSync(blob, gzipSync(tarOf(distribution()), { level: 1 }));
    await expect(ingestBase({ storeRoot, file: layout, platform: amd64 })).rejects.toMatchObject({
      code: "SHEAF_BASE",
    });
    expect(openStore(storeRoot).listRecords("base")).toEqual([]);
  });

  it("refuses a path that leads out of the image and another architecture", async () => {
    const folder = temporary();
    await expect(readBase(folder, [[f("../x")]])).rejects.toMatchObject({ code: "SHEAF_BASE" });
    await readBase(folder, [distribution()]);
    const task = { storeRoot: path.join(folder, "store"), file: path.join(folder, "base.tar") };
    await expect(ingestBase({ ...task, platform: { os: "linux", architecture: "arm64" } })).rejects.toMatchObject({
      message: expect.stringContaining("linux/arm64"),
    });
  });

  it("tells distribution, C library, packages and programs", async () => {
    const status =
      "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\nDepends: x\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
    const { facts, files, name } = await readBase(
      temporary(),
      [
        [
          ...distribution(),
          f("var/lib/dpkg/status", status),
          f("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\n"),
          f("var/lib/dpkg/status.d/tzdata.md5sums", "Package: no\n"),
          elf("usr/bin/busybox"),
          s("usr/bin/wget", "/bin/busybox"),
          s("usr/bin/curl", "nowhere"),
          f("usr/bin/sh"),
        ],
      ],
      { tags: ["python:3.12-slim"], config: { Env: ["PATH=/opt/bin:/usr/bin"] } },
    );
    expect(facts.os).toEqual({ id: "debian", codename: "bookworm", name: "debian 12" });
    expect(facts).toMatchObject({ libc: "glibc", glibc: [2, 36] });
    expect(facts.python).toBeUndefined();
    expect(facts.programs).toEqual({ wget: "/usr/bin/wget" });
    expect(files.packages.map((pkg) => `${pkg.name} ${pkg.version}`)).toEqual(["libc6 2.36-9", "tzdata 2024a"]);
    expect(files.shadow).toContain("root:!");
    expect(name).toBe("python:3.12-slim");
  });

  it("tells musl and no C library at all", async () => {
    const musl = await readBase(temporary(), [
      [d("lib"), elf("lib/ld-musl-x86_64.so.1", { soname: "libc.musl-x86_64.so.1" })],
    ]);
    expect(musl.facts.libc).toBe("musl");
    expect((await readBase(temporary(), [[f("app")]])).facts).toMatchObject({ libc: "none", os: { id: "" } });
  });
});

describe("Python in a base image", () => {
  const pythonOf = async (...layers: Parameters<typeof readBase>[1]) =>
    (await readBase(temporary(), layers)).facts.python;

  it("is the one in /usr/local, with its version from the header", async () => {
    const found = await pythonOf([
      ...distribution(),
      ...python("3.12.7"),
      f("usr/local/lib/python3.12/site-packages/yaml/__init__.py"),
    ]);
    expect(found).toMatchObject({
      version: "3.12.7",
      minor: "3.12",
      modules: ["yaml"],
      layout: {
        executable: "/usr/local/bin/python3.12",
        purelib: "usr/local/lib/python3.12/site-packages",
        scripts: "usr/local/bin",
        stdlib: "usr/local/lib/python3.12",
        cacheTag: "cpython-312",
      },
    });
  });

  it("is Debian's own, whose packages go to dist-packages", async () => {
    const status = "Package: python3.11-minimal\nStatus: install ok installed\nVersion: 3.11.2-6+deb12u6\n";
    const header = "usr/include/python3.11/patchlevel.h";
    const own = python("3.11.9", "usr").filter(({ path }) => path !== header);
    const found = await pythonOf([...distribution(), ...own, f("var/lib/dpkg/status", status)]);
    expect(found).toMatchObject({
      version: "3.11.2",
      layout: {
        executable: "/usr/bin/python3.11",
        purelib: "usr/local/lib/python3.11/dist-packages",
        scripts: "usr/local/bin",
        stdlib: "usr/lib/python3.11",
      },
    });
  });

  it("is found on PATH, as conda has it, past a virtual environment", async () => {
    const { facts } = await readBase(
      temporary(),
      [
        [
          ...distribution(),
          ...python("3.11.5", "opt/conda"),
          f("venv/pyvenv.cfg"),
          s("venv/bin/python3.11", "/opt/conda/bin/python3.11"),
        ],
      ],
      { config: { Env: ["PATH=/venv/bin:/opt/conda/bin:/usr/bin"] } },
    );
    expect(facts.python).toMatchObject({ version: "3.11.5", layout: { scripts: "opt/conda/bin", data: "opt/conda" } });
  });

  it("is the one that python3 stands for, and its sources are kept without the tests", async () => {
    const { facts, files, store } = await readBase(temporary(), [
      [...distribution(), ...python("3.13.1"), ...python("3.12.7")],
    ]);
    expect(facts.python?.version).toBe("3.12.7");
    expect(Object.keys(files.sources)).toEqual(["usr/local/lib/python3.12/os.py", "usr/local/lib/python3.12/abc.py"]);
    const [offset, length] = files.sources["usr/local/lib/python3.12/os.py"] ?? [0, 0];
    const all = Buffer.from((facts.sources && store.readBlob(facts.sources)) ?? []);
    expect(all.toString("utf8", offset, offset + length)).toBe("import abc\n");
  });

  it("has folders where the base's links lead", async () => {
    const { image, facts } = await readBase(temporary(), [
      [
        ...distribution(),
        ...python("3.12.7"),
        d("usr/local/share/man"),
        s("usr/local/man", "share/man"),
        s("usr/local/file", "bin/python3"),
        d("data/site"),
      ],
      [f("usr/local/lib/python3.12/.wh.site-packages"), s("usr/local/lib/python3.12/site-packages", "/data/site")],
    ]);
    const layout = image.layoutOver(facts.python?.layout ?? expect.fail("it has Python"));
    expect(layout).toMatchObject({ purelib: "data/site", scripts: "usr/local/bin" });
    expect(layout.links).toEqual({ "usr/local/man": "usr/local/share/man" });
    const schemes = { layout, rootIsPurelib: true, name: "x" };
    const to = (file: string) => destinationOf(file, schemes).path;
    expect(to("x-1.data/data/man/man1/x.1")).toBe("usr/local/share/man/man1/x.1");
    expect(to("x-1.data/data/manual/x")).toBe("usr/local/manual/x");
    expect(to("x/__init__.py")).toBe("data/site/x/__init__.py");
  });

  it("has distributions with the files of their RECORD that are there", async () => {
    const root = "usr/local/lib/python3.12/site-packages";
    const { files } = await readBase(temporary(), [
      [
        ...distribution(),
        ...python("3.12.7"),
        ...installed("Some_Thing 1.0", ["some/a.py", "../../../bin/thing"], root),
      ],
      [f(`${root}/some/.wh.a.py`, "")],
    ]);
    expect(files.distributions).toMatchObject([
      { name: "some-thing", version: "1.0", info: `${root}/Some_Thing-1.0.dist-info` },
    ]);
    expect(files.distributions[0]?.files).toContain("usr/local/bin/thing");
    expect(files.distributions[0]?.files).not.toContain(`${root}/some/a.py`);
  });
});

describe("/etc/ld.so.cache", () => {
  it("reads what is written", () => {
    const libraries = [
      { soname: "libz.so.1", path: "/lib/x86_64-linux-gnu/libz.so.1" },
      { soname: "liba.so.2", path: "/usr/local/lib/liba.so.2" },
    ];
    expect(readLdSoCache(ldSoCache(libraries, "x86_64"), "x86_64")).toEqual(libraries);
    expect(readLdSoCache(ldSoCache(libraries, "x86_64"), "aarch64")).toEqual([]);
    expect(readLdSoCache(new Uint8Array(60), "x86_64")).toEqual([]);
    for (let end = 0; end < 200; end += 7) readLdSoCache(ldSoCache(libraries, "x86_64").subarray(0, end), "x86_64");
  });
});
