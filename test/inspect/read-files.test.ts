import { describe, expect, it } from "vitest";

import { readFiles } from "../../src/inspect/read-files.ts";
import { installed } from "../ingest/base-builder.ts";
import { d, f, h, imageOf, layerOf, s, type TarSpec } from "../oci/images.ts";

const root = "usr/lib/python3/dist-packages";
const read = (...layers: TarSpec[][]) =>
  readFiles(imageOf(layers.map((entries) => layerOf(entries))), new AbortController().signal);

describe("readFiles", () => {
  it("lists what a container would see, with the layer that has the last word", async () => {
    const files = await read(
      [d("etc"), f("etc/a", "old"), f("etc/gone"), { ...f("bin/tool", "x"), mode: 0o755 }],
      [f("etc/a", "newer"), f("etc/.wh.gone"), h("bin/same", "bin/tool"), s("sh", "bin/tool")],
    );
    expect(files).toEqual([
      expect.objectContaining({ path: "bin", type: "directory" }),
      { path: "bin/same", type: "hardlink", size: 0, mode: 0o755, layer: 1 },
      { path: "bin/tool", type: "file", size: 1, mode: 0o755, layer: 0 },
      { path: "etc", type: "directory", size: 0, mode: 0o755, layer: 0 },
      { path: "etc/a", type: "file", size: 5, mode: 0o644, layer: 1 },
      { path: "sh", type: "symlink", size: 0, mode: 0o777, layer: 1 },
    ]);
  });

  it("tells who brought each: distributions, their bytecode, Debian packages through links of the merged /usr", async () => {
    const pyc = `${root}/__pycache__/one.cpython-312.pyc`;
    const files = await read([
      s("lib", "usr/lib"),
      f("usr/lib/libx.so.1"),
      f("var/lib/dpkg/status", "Package: libx1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2-3\n"),
      f("var/lib/dpkg/info/libx1.list", "/.\n/lib\n/lib/libx.so.1\n"),
      ...installed("one 1.0", ["one.py"], root),
      f(pyc),
      f("app/main.py"),
    ]);
    const owners = new Map(files.map(({ path, owner }) => [path, owner]));
    expect(owners.get(`${root}/one.py`)).toBe("one 1.0");
    expect(owners.get(pyc)).toBe("one 1.0");
    expect(owners.get("usr/lib/libx.so.1")).toBe("libx1 1.2-3");
    expect(owners.get("app/main.py")).toBeUndefined();
  });

  it("says which layer can't be read", async () => {
    const broken = layerOf([f("x")], { blob: Buffer.from([31, 139, 8, 0, 0]) });
    const image = imageOf([layerOf([f("a")]), broken]);
    await expect(readFiles(image, new AbortController().signal)).rejects.toMatchObject({
      code: "SHEAF_IMAGE",
      message: /layer 1 can't be read/,
    });
  });
});
