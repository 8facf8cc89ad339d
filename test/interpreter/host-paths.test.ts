import { array, assert, constantFrom, property, string } from "fast-check";
import { describe, expect, it } from "vitest";

import { buildFolders, configuredPrefix, mendBinary, mendBuildText } from "../../src/interpreter/host-paths.ts";

/** A binary's string section. */
function section(...strings: string[]): Buffer {
  return Buffer.from(`\0${strings.join("\0")}\0`, "latin1");
}

function mended(bytes: Buffer, ...prefixes: string[]): string[] {
  mendBinary(bytes, prefixes);
  return bytes.toString("latin1").split("\0").slice(1, -1);
}

describe("mendBinary", () => {
  it("keeps the length and the last segment, which another string may be the tail of", () => {
    expect(mended(section("/home/me/.pyenv/versions/3.12.1", "x"), "/home/me/.pyenv/versions/3.12.1")).toEqual([
      "/usr/local///////////////3.12.1",
      "x",
    ]);
  });

  it("mends paths below, and leaves what only looks alike", () => {
    const strings = [
      "/opt/python/3.12/lib",
      "/opt/python/3.12.1",
      "/opt/python/3.129",
      "/mnt/opt/python/3.12",
      "a:/opt/python/3.12:b",
    ];
    expect(mended(section(...strings), "/opt/python/3.12")).toEqual([
      "/usr/local//3.12/lib",
      "/opt/python/3.12.1",
      "/opt/python/3.129",
      "/mnt/opt/python/3.12",
      "a:/usr/local//3.12:b",
    ]);
  });

  it("has shorter words for short folders, and none for the root's own", () => {
    expect(mended(section("/home/py"), "/home/py")).toEqual(["/usr//py"]);
    expect(mended(section("/py/3"), "/py/3")).toEqual(["////3"]);
    expect(mended(section("/install", "/usr/bin/install -c"), "/install")).toEqual(["/install", "/usr/bin/install -c"]);
  });

  it("never changes the length or what isn't the path", () => {
    const prefix = "/home/somebody/versions/3.12.1";
    const piece = constantFrom(prefix, `${prefix}/lib`, "3.12.1", "/usr/bin", "\0", "-L");
    assert(
      property(array(piece), string(), (pieces, tail) => {
        const before = Buffer.from(pieces.join("\0") + tail, "utf8");
        const after = Buffer.from(before);
        mendBinary(after, [prefix]);
        expect(after.length).toBe(before.length);
        expect(after.toString("latin1").replaceAll(/\/usr\/local\/+3\.12\.1/g, prefix)).toBe(before.toString("latin1"));
      }),
    );
  });
});

describe("mendBuildText", () => {
  it("puts /usr/local for the prefix, after compilers' flags too", () => {
    const text =
      "'LDFLAGS': '-L/home/me/py/lib -Wl,-rpath,/home/me/py/lib', 'CONFIG_ARGS': \"'--prefix=/home/me/py' '-I/home/me/py/include'\"";
    expect(mendBuildText(text, ["/home/me/py"])).toBe(
      "'LDFLAGS': '-L/usr/local/lib -Wl,-rpath,/usr/local/lib', 'CONFIG_ARGS': \"'--prefix=/usr/local' '-I/usr/local/include'\"",
    );
  });

  it("doesn't take the end of a program's path for the prefix of relocatable builds", () => {
    const text = "'INSTALL': '/usr/bin/install -c', 'prefix': '/install', 'BINDIR': '/install/bin'";
    expect(configuredPrefix(text)).toBe("/install");
    expect(mendBuildText(text, ["/install"])).toBe(
      "'INSTALL': '/usr/bin/install -c', 'prefix': '/usr/local', 'BINDIR': '/usr/local/bin'",
    );
  });

  it("hides where it was compiled", () => {
    const text =
      "'abs_srcdir': '/tmp/build.7/Python-3.12.1', 'abs_builddir': '/tmp/build.7/Python-3.12.1', 'A': '/tmp/build.7/Python-3.12.1/Include'";
    expect(buildFolders(text)).toEqual(["/tmp/build.7/Python-3.12.1"]);
    expect(mendBuildText(text, [])).not.toContain("/tmp");
  });
});
