import { describe, expect, it } from "vitest";

import { composeGroup, type GroupContext } from "../../src/layers/compose-group.ts";
import { composeLayerTask } from "../../src/layers/tasks.ts";
import { entriesOver } from "../../src/layers/entries-over.ts";
import { replacedSegment } from "../../src/layers/replaced.ts";
import { buildSegment } from "../../src/archive/segment.ts";
import { readTarStream } from "../../src/archive/tar-read.ts";
import { readLdSoCache } from "../../src/debian/ld-so-cache.ts";
import type { InstalledFacts } from "../../src/debian/base.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { layerFromRecord } from "../../src/oci/compose-layer.ts";
import { buildImage } from "../../src/oci/image.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { temporary } from "../archive/oracle.ts";
import { d, f, s, type TarSpec } from "../oci/images.ts";
import { distribution, elf, installed, python, readBase, type ReadBase } from "../ingest/base-builder.ts";
import { ldSoCache } from "../../src/debian/ld-so-cache.ts";
import { elfFacts } from "../../src/elf/facts.ts";
import { buildElf } from "../elf/build-elf.ts";

const user = { name: "appuser", uid: 10001, gid: 10001 };
const platform = { os: "linux", architecture: "amd64" } as const;
const plain = { debs: [], user, platform, shell: false };

const textOf = (entries: Entry[], path: string): string | undefined => {
  const entry = entries.find((each) => each.path === path);
  return entry?.type === "file" && entry.content.kind === "bytes"
    ? Buffer.from(entry.content.bytes).toString("latin1")
    : undefined;
};

/** A package that brings one library. */
const library = (name: string): InstalledFacts => {
  const path = `usr/lib/x86_64-linux-gnu/${name}`;
  const facts = elfFacts(buildElf({ type: "dyn", soname: name }));
  if (!facts) throw new Error("not ELF");
  return { name, entries: [{ path, type: "file" }], effects: [], elf: [{ path, facts }], links: [] };
};

async function layerOver(base: ReadBase, entries: Entry[]): Promise<{ path: string; mode: number; uid: number }[]> {
  const record = await composed(base, entries);
  const found: { path: string; mode: number; uid: number }[] = [];
  for await (const { path, mode, uid } of readTarStream(layerFromRecord(base.store, record).uncompressed()))
    found.push({ path, mode, uid });
  return found;
}

async function composed({ store, image }: ReadBase, entries: Entry[]) {
  const { chunks, compressed, unpacked } = buildSegment(entries, { mtime: 0 });
  const context: GroupContext = { store, compose: composeLayerTask, over: image };
  const segments = [{ digest: store.putBlob(chunks), compressed, unpacked }];
  const paths = () => entries.map((entry) => entry.path);
  const group = { kind: "app", name: "test", segments, directories: [], paths, contents: [], mtime: 0 } as const;
  const { record } = await composeGroup({ ...group, segments, directories: [], contents: [] }, context);
  return record;
}

const fileAt = (path: string): Entry => ({
  type: "file",
  path,
  mode: 0o644,
  uid: 0,
  gid: 0,
  content: { kind: "bytes", bytes: Buffer.from(path) },
});

describe("a layer over a base", () => {
  it("leaves folders of the base as they are", async () => {
    const base = await readBase(temporary(), [[...distribution(), { ...d("srv"), mode: 0o2775, uid: 33 }]]);
    const entries = await layerOver(base, [fileAt("srv/new/a"), fileAt("tmp/b")]);
    expect(entries).toMatchObject([
      { path: "srv", mode: 0o2775, uid: 33 },
      { path: "srv/new", mode: 0o755, uid: 0 },
      { path: "tmp", mode: 0o1777 },
      { path: "srv/new/a" },
      { path: "tmp/b" },
    ]);
  });

  it.each([true, false])("is one that engines take, with a merged /usr: %s", async (merged) => {
    const base = await readBase(temporary(), [distribution({ merged })]);
    const added = entriesOver(base.image, { ...plain, debs: [library("liba.so.1")] });
    const files = [...added, fileAt("usr/lib/x86_64-linux-gnu/liba.so.1")].filter((each) => each.type !== "directory");
    const record = await composed(
      base,
      files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    );
    const layers = [...base.facts.layers, record].map((each) => layerFromRecord(base.store, each));
    expect(await validateImage(buildImage({ layers, config: { os: "linux", architecture: "amd64" } }))).toEqual([]);
    const cache = textOf(added, "etc/ld.so.cache") ?? "";
    expect(readLdSoCache(Buffer.from(cache, "latin1"), "x86_64")).toEqual([
      { soname: "liba.so.1", path: `${merged ? "" : "/usr"}/lib/x86_64-linux-gnu/liba.so.1` },
    ]);
  });

  it("never goes over a link or a file of the base", async () => {
    const base = await readBase(temporary(), [[...distribution(), s("usr/local/man", "share/man"), f("usr/games")]]);
    await expect(layerOver(base, [fileAt("bin/tool")])).rejects.toMatchObject({ code: "SHEAF_BASE_PATH" });
    await expect(layerOver(base, [fileAt("usr/local/man/man1/a.1")])).rejects.toMatchObject({
      code: "SHEAF_BASE_PATH",
    });
    await expect(layerOver(base, [fileAt("usr/games/a")])).rejects.toMatchObject({ code: "SHEAF_BASE_PATH" });
  });
});

describe("what a base lacks", () => {
  it("is the user, at the end of the tables", async () => {
    const { image } = await readBase(temporary(), [distribution()]);
    const entries = entriesOver(image, plain);
    expect(entries.map(({ path }) => path)).toEqual(["etc/group", "etc/passwd", "etc/shadow", "home/appuser"]);
    expect(textOf(entries, "etc/passwd")).toBe(
      "root:x:0:0:root:/root:/bin/sh\nDaemon:x:1:1::/:/bin/false\nappuser:x:10001:10001::/home/appuser:/usr/sbin/nologin\n",
    );
    expect(textOf(entries, "etc/group")).toBe("root:x:0:\nappuser:x:10001:\n");
    expect(textOf(entries, "etc/shadow")).toContain("root:!:19000");
    expect(entries.find(({ path }) => path === "etc/shadow")).toMatchObject({ mode: 0o640, gid: 42 });
    expect(entries.find(({ path }) => path === "home/appuser")).toMatchObject({ uid: 10001, type: "directory" });
  });

  it("is nothing when the base has the user", async () => {
    const tables = [
      f("etc/passwd", "appuser:x:10001:10001::/home/appuser:/bin/sh"),
      f("etc/group", "app:x:10001:\n"),
      d("home/appuser"),
    ];
    const { image } = await readBase(temporary(), [distribution(), tables]);
    expect(entriesOver(image, plain)).toEqual([]);
  });

  it("is written where links of the base lead", async () => {
    const { image } = await readBase(temporary(), [
      [...distribution().filter(({ path }) => path !== "home"), d("var/home"), s("home", "var/home")],
    ]);
    expect(entriesOver(image, plain).map(({ path }) => path)).toContain("var/home/appuser");
  });

  it("is accounts with free numbers and links that packages ask for", async () => {
    const { image } = await readBase(temporary(), [[...distribution(), f("etc/there")]]);
    const deb: InstalledFacts = {
      ...library("liba.so.1"),
      effects: [
        { kind: "group", name: "messagebus" },
        { kind: "user", name: "messagebus", group: "messagebus" },
        { kind: "directory", path: "/var/lib/dbus", owner: "messagebus", create: true },
        { kind: "symlink", path: "/etc/there", target: "x" },
        { kind: "symlink", path: "/etc/new", target: "x" },
      ],
    };
    const entries = entriesOver(image, { ...plain, debs: [deb] });
    expect(entries.map(({ path }) => path)).toEqual([
      "etc/group",
      "etc/ld.so.cache",
      "etc/new",
      "etc/passwd",
      "etc/shadow",
      "home/appuser",
      "var/lib/dbus",
    ]);
    expect(textOf(entries, "etc/passwd")).toMatch(/^messagebus:x:101:101:/m);
    expect(entries.find(({ path }) => path === "var/lib/dbus")).toMatchObject({ uid: 101 });
  });

  it("is a cache that has the base's libraries too, added ones first", async () => {
    const known = { soname: "libz.so.1", path: "/lib/x86_64-linux-gnu/libz.so.1" };
    const cache: TarSpec = { ...f("etc/ld.so.cache"), content: ldSoCache([known], "x86_64") };
    const { image } = await readBase(temporary(), [[...distribution(), cache]]);
    const entries = entriesOver(image, { ...plain, debs: [library("libq.so.1")] });
    const read = readLdSoCache(Buffer.from(textOf(entries, "etc/ld.so.cache") ?? "", "latin1"), "x86_64");
    expect(read).toEqual([known, { soname: "libq.so.1", path: "/lib/x86_64-linux-gnu/libq.so.1" }]);
    expect(entriesOver(image, plain).some(({ path }) => path === "etc/ld.so.cache")).toBe(false);
  });
});

describe("distributions that replace those of a base", () => {
  const root = "usr/local/lib/python3.12/site-packages";

  it("take away the old files, whole folders at once, and bytecode that belongs to them", async () => {
    const base = await readBase(temporary(), [
      [
        ...distribution(),
        ...python("3.12.7"),
        ...installed("old 1.0", ["old/__init__.py", "old/sub/b.py", "shared/old.py"], root),
        ...installed("other 2.0", ["shared/other.py"], root),
        f(`${root}/old/__pycache__/__init__.cpython-312.pyc`),
        f(`${root}/shared/__pycache__/old.cpython-312.pyc`),
        f(`${root}/shared/__pycache__/other.cpython-312.pyc`),
        elf("usr/local/bin/tool"),
      ],
    ]);
    const replaced = replacedSegment(base.image, { names: ["Old", "unrelated"], mtime: 0 }, base.store);
    expect(replaced?.paths()).toEqual([
      `${root}/.wh.old`,
      `${root}/.wh.old-1.0.dist-info`,
      `${root}/shared/.wh.old.py`,
      `${root}/shared/__pycache__/.wh.old.cpython-312.pyc`,
    ]);
    expect(replacedSegment(base.image, { names: ["unrelated"], mtime: 0 }, base.store)).toBeUndefined();
  });
});
