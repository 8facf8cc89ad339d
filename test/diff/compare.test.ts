import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { compareImages } from "../../src/diff/compare.ts";
import type { ImageDiff, Section } from "../../src/diff/image-diff.ts";
import { readSides } from "../../src/diff/read-sides.ts";
import type { Image } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { installed } from "../ingest/base-builder.ts";
import { d, f, h, imageOf, layerOf, s, type TarSpec } from "../oci/images.ts";

const never = new AbortController().signal;

async function compare(a: Image, b: Image, sections?: Section[]): Promise<ImageDiff> {
  const [left, right] = await readSides([a, b], never);
  return compareImages(
    { title: "a", from: "layout", image: a, facts: left },
    { title: "b", from: "archive", image: b, facts: right },
    sections,
  );
}

const of = (...layers: TarSpec[][]) => imageOf(layers.map((entries) => layerOf(entries)));
const withConfig = (config: RuntimeConfig) =>
  imageOf([layerOf([f("a")])], { config: { os: "linux", architecture: "amd64", config } });
const files = async (a: TarSpec[][], b: TarSpec[][]) => (await compare(of(...a), of(...b))).files;

describe("files", () => {
  it.each<[what: string, sides: [TarSpec, TarSpec], aspects: string[]]>([
    ["content of another length", [f("x", "1"), f("x", "22")], ["content"]],
    ["content of the same length", [f("x", "1"), f("x", "2")], ["content"]],
    ["mode", [f("x"), { ...f("x"), mode: 0o755 }], ["mode"]],
    ["a setuid bit", [f("x"), { ...f("x"), mode: 0o4644 }], ["mode"]],
    ["user", [f("x"), { ...f("x"), uid: 1 }], ["owner"]],
    ["group of a folder", [d("x"), { ...d("x"), gid: 1 }], ["owner"]],
    ["target", [s("x", "a"), s("x", "b")], ["target"]],
    ["type", [f("x"), s("x", "a")], ["type"]],
    ["all at once", [f("x", "1"), { ...f("x", "2"), mode: 0o600, uid: 5 }], ["content", "mode", "owner"]],
  ])("differ in %s", async (_, [left, right], aspects) => {
    const diff = await files([[left]], [[right]]);
    expect(diff?.changes).toMatchObject([{ path: "x", how: "changed", aspects }]);
  });

  it("are those of the merged layers: deleted, replaced and hidden ones don't count", async () => {
    const left = [
      [d("etc"), f("etc/a", "old"), f("etc/gone")],
      [f("etc/a", "new"), f("etc/.wh.gone")],
    ];
    expect(await files(left, [[d("etc"), f("etc/a", "new")]])).toMatchObject({ same: 2, changes: [] });
    const opaque = [
      [d("x"), f("x/1"), f("x/2")],
      [d("x"), f("x/.wh..wh..opq"), f("x/3")],
    ];
    expect(await files(opaque, [[d("x"), f("x/3")]])).toMatchObject({ changes: [] });
  });

  it("are the same through a hard link and as a copy", async () => {
    const diff = await files([[f("a", "1"), h("b", "a")]], [[f("a", "1"), f("b", "1")]]);
    expect(diff).toMatchObject({ same: 2, changes: [] });
  });

  it("may differ in their times", async () => {
    const diff = await files(
      [[f("a"), d("b")]],
      [
        [
          { ...f("a"), mtime: 99 },
          { ...d("b"), mtime: 99 },
        ],
      ],
    );
    expect(diff).toMatchObject({ same: 2, otherTimes: 1, changes: [] });
  });

  it("belong to who brought them, bytecode to its source's package", async () => {
    const root = "usr/lib/python3/dist-packages";
    const pyc = `${root}/__pycache__/one.cpython-312.pyc`;
    const diff = await files([[f("app/x")]], [[...installed("one 1.0", ["one.py"], root), f(pyc)]]);
    const owners = new Map(diff?.changes.map(({ path, owner }) => [path, owner]));
    expect([owners.get(`${root}/one.py`), owners.get(pyc), owners.get("app/x")]).toEqual([
      "one 1.0",
      "one 1.0",
      undefined,
    ]);
  });
});

describe("versions", () => {
  const root = "usr/local/lib/python3.12/site-packages";
  const status = (...packages: string[]) =>
    f(
      "var/lib/dpkg/status",
      packages
        .map((each) => each.split(" "))
        .map(
          ([name, version, state = "installed"]) =>
            `Package: ${name}\nStatus: install ok ${state}\nArchitecture: amd64\nVersion: ${version}\n`,
        )
        .join("\n"),
    );

  it("of distributions are compared by their normalised names, wherever they are", async () => {
    const diff = await compare(
      of([
        ...installed("Foo_Bar 1.0", ["x.py"], root),
        ...installed("gone 1", ["g.py"], root),
        ...installed("up 1", ["u.py"], root),
      ]),
      of([
        ...installed("foo-bar 1.0", ["x.py"], "opt/venv/lib/python3.12/site-packages"),
        ...installed("new 2", ["n.py"], root),
        ...installed("up 2", ["u.py"], root),
      ]),
    );
    expect(diff.distributions).toEqual({
      same: 1,
      changes: [
        { name: "gone", a: "1" },
        { name: "new", b: "2" },
        { name: "up", a: "1", b: "2" },
      ],
    });
  });

  it("of a project beside its sources count, those within other distributions don't", async () => {
    const diff = await compare(
      of([...installed("shop 1.0", [], "app"), ...installed("vendored 3", [], `${root}/setuptools/_vendor`)]),
      of([...installed("shop 1.0", [], root)]),
    );
    expect(diff.distributions).toEqual({ same: 1, changes: [] });
  });

  it("of Debian packages are read from dpkg's database and from status.d", async () => {
    const piece = (name: string, version: string) =>
      f(`var/lib/dpkg/status.d/${name}`, `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\n`);
    const diff = await compare(
      of([status("libc6 2.36", "old 1", "half 1 config-files")]),
      of([piece("libc6", "2.36"), piece("new", "3")]),
    );
    expect(diff.debian).toEqual({
      same: 1,
      changes: [
        { name: "new", b: "3" },
        { name: "old", a: "1" },
      ],
    });
  });
});

describe("config", () => {
  const change = async (a: RuntimeConfig, b: RuntimeConfig) =>
    (await compare(withConfig(a), withConfig(b), ["config"])).config;

  it.each<[RuntimeConfig, RuntimeConfig]>([
    [{}, { Cmd: null, Entrypoint: [], User: "", Labels: {}, ExposedPorts: {} }],
    [{ StopSignal: "SIGTERM" }, {}],
    [{ Env: ["A=1", "A=2", "B=3"] }, { Env: ["B=3", "A=2"] }],
    [{ Healthcheck: { Test: ["CMD", "x"], Retries: 0 } }, { Healthcheck: { Test: ["CMD", "x"] } }],
  ])("of %j and %j is the same", async (a, b) => {
    expect(await change(a, b)).toEqual([]);
  });

  it.each<[RuntimeConfig, RuntimeConfig, object]>([
    [{ User: "1" }, { User: "2" }, { field: "user", a: "1", b: "2" }],
    [{ WorkingDir: "/app" }, {}, { field: "workdir", a: "/app" }],
    [{ Cmd: ["a b"] }, { Cmd: ["a", "b"] }, { field: "cmd", a: '["a b"]', b: '["a","b"]' }],
    [{ Entrypoint: ["a"] }, {}, { field: "entrypoint", a: '["a"]' }],
    [{ Env: ["A=1"] }, { Env: ["A=1=2"] }, { field: "env A", a: "1", b: "1=2" }],
    [{ Env: ["A="] }, {}, { field: "env A", a: '""' }],
    [{ Labels: { x: "1" } }, { Labels: { x: "2" } }, { field: "label x", a: "1", b: "2" }],
    [{ ExposedPorts: { "80/tcp": {} } }, {}, { field: "port 80/tcp", a: "yes" }],
    [{ Volumes: { "/v": {} } }, {}, { field: "volume /v", a: "yes" }],
    [{ StopSignal: "SIGINT" }, { StopSignal: "SIGTERM" }, { field: "stop signal", a: "SIGINT", b: "SIGTERM" }],
    [
      { Healthcheck: { Timeout: 3e9 } },
      { Healthcheck: { Timeout: 5e9 } },
      { field: "health timeout", a: "3 s", b: "5 s" },
    ],
  ])("of %j and %j differs", async (a, b, expected) => {
    expect(await change(a, b)).toEqual([expect.objectContaining(expected)]);
  });
});

describe("layers", () => {
  const [one, two, three] = ["1", "2", "3"].map((name) => layerOf([f(name)])) as [
    ReturnType<typeof layerOf>,
    ReturnType<typeof layerOf>,
    ReturnType<typeof layerOf>,
  ];

  it("are shared by what they hold, whatever they are compressed with", async () => {
    const plain = layerOf([f("1")], { mediaType: "application/vnd.oci.image.layer.v1.tar" });
    const diff = await compare(imageOf([one, two]), imageOf([plain, three]));
    expect(diff.layers?.shared.map(({ diffId }) => diffId)).toEqual([one.diffId]);
    expect(diff.layers?.onlyA.map(({ diffId }) => diffId)).toEqual([two.diffId]);
    expect(diff.layers?.onlyB.map(({ diffId }) => diffId)).toEqual([three.diffId]);
  });

  it("in another order are a difference, though the files are the same", async () => {
    const diff = await compare(imageOf([one, two]), imageOf([two, one]));
    expect(diff).toMatchObject({
      equal: false,
      files: { changes: [] },
      layers: { sameOrder: false, onlyA: [], onlyB: [] },
    });
    expect(await compare(imageOf([one, two]), imageOf([two, one]), ["files"])).toMatchObject({ equal: true });
  });

  it("that both images have are read once", async () => {
    const reads = { shared: 0, own: 0 };
    const counting = (layer: typeof one, key: keyof typeof reads) => ({
      ...layer,
      compressed: () => {
        reads[key] += 1;
        return layer.compressed();
      },
    });
    const shared = counting(one, "shared");
    await compare(imageOf([shared, counting(two, "own")]), imageOf([shared, counting(three, "own")]));
    expect(reads).toEqual({ shared: 1, own: 2 });
  });

  it("that are not what their image says are refused, and those that can't be read", async () => {
    const lying = layerOf([f("x")], { diffId: one.diffId });
    await expect(compare(imageOf([lying]), imageOf([two]))).rejects.toMatchObject({ code: "SHEAF_IMAGE" });
    const cut = layerOf([f("x")], { blob: Buffer.from([31, 139, 8, 0, 0]) });
    await expect(compare(imageOf([two]), imageOf([cut]))).rejects.toMatchObject({ code: "SHEAF_IMAGE" });
  });
});

it("finds nothing between an image and itself, and the opposite the other way round", async () => {
  const name = fc.constantFrom("a", "b", "dir/c", "dir/d", "dir/sub/e");
  const entry = fc.record({ name, content: fc.constantFrom("1", "2"), mode: fc.constantFrom(0o644, 0o755) });
  const layers = fc.array(fc.uniqueArray(entry, { selector: (each) => each.name, maxLength: 4 }), {
    minLength: 1,
    maxLength: 3,
  });
  const image = layers.map((all) =>
    of(...all.map((each) => each.map(({ name, content, mode }) => ({ ...f(name, content), mode })))),
  );
  await fc.assert(
    fc.asyncProperty(image, image, async (a, b) => {
      expect(await compare(a, a)).toMatchObject({ equal: true });
      const [there, back] = [await compare(a, b), await compare(b, a)];
      expect(there.equal).toBe(back.equal);
      const opposite = { added: "removed", removed: "added", changed: "changed" } as const;
      expect(back.files?.changes.map(({ path, how }) => [path, how])).toEqual(
        there.files?.changes.map(({ path, how }) => [path, opposite[how]]),
      );
    }),
    { numRuns: 60 },
  );
});
