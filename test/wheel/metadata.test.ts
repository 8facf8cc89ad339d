import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SheafError } from "../../src/errors.ts";
import { parseEntryPoints, scriptReference } from "../../src/wheel/entry-points.ts";
import { parseHeaders } from "../../src/wheel/headers.ts";
import { parseMetadata, parseWheelInfo } from "../../src/wheel/metadata.ts";

describe("parseHeaders", () => {
  it("joins folded lines, keeps repeated fields in order and the body apart", () => {
    const { headers, body } = parseHeaders(
      bytes("Name: demo\r\nClassifier: a\r\nclassifier: b\r\nSummary: one\r\n   two\r\n\r\nThe: body\r\n"),
    );
    expect(headers.get("classifier")).toEqual(["a", "b"]);
    expect(headers.get("summary")).toEqual(["one two"]);
    expect(headers.has("the")).toBe(false);
    expect(body).toBe("The: body\n");
  });

  it("reads Latin-1 where the bytes are not UTF-8, and drops a byte order mark", () => {
    expect(parseHeaders(Buffer.from("Author: Andr\xe9\n", "latin1")).headers.get("author")).toEqual(["André"]);
    expect(parseHeaders(bytes("\uFEFFName: demo\n")).headers.get("name")).toEqual(["demo"]);
  });

  it("lets the body begin at a line that is no field", () => {
    const { headers, body } = parseHeaders(bytes("Name: demo\nno field here\nVersion: 1\n"));
    expect([headers.has("version"), body]).toEqual([false, "no field here\nVersion: 1\n"]);
  });
});

describe("parseMetadata", () => {
  it("reads what resolution and plans need", () => {
    const text = [
      "Metadata-Version: 2.3",
      "Name: Demo.App",
      "Version: 1.0",
      "Summary: UNKNOWN",
      "Requires-Python: >=3.9",
      "Requires-Dist: anyio<5,>=3.7.1",
      'Requires-Dist: httpx>=0.27; extra == "http"',
      "Provides-Extra: http",
      "",
      "Requires-Dist: not-this",
    ].join("\n");
    expect(parseMetadata(bytes(text))).toEqual({
      name: "Demo.App",
      version: "1.0",
      requiresPython: ">=3.9",
      requiresDist: ["anyio<5,>=3.7.1", 'httpx>=0.27; extra == "http"'],
      providesExtra: ["http"],
    });
  });

  it.each(["Version: 1\n", "Name: demo\n", "", "Name:\nVersion: 1\n"])("refuses %j", (text) => {
    expect(() => parseMetadata(bytes(text))).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL" }));
  });

  it("never throws anything but a SheafError", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => onlySheafErrors(() => parseMetadata(noise))));
  });
});

describe("parseWheelInfo", () => {
  it("accepts a newer minor version and reads the root's scheme", () => {
    expect(parseWheelInfo(bytes("Wheel-Version: 1.9\nRoot-Is-Purelib: True\nTag: py3-none-any\nBuild: 2\n"))).toEqual({
      wheelVersion: [1, 9],
      rootIsPurelib: true,
      tags: ["py3-none-any"],
      build: "2",
    });
  });

  it.each(["Wheel-Version: 2.0\n", "Wheel-Version: one\n", "Root-Is-Purelib: true\n"])("refuses %j", (text) => {
    expect(() => parseWheelInfo(bytes(text))).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL" }));
  });
});

describe("parseEntryPoints", () => {
  it("reads groups; the last of equal names counts; names keep their case and colons", () => {
    const points = parseEntryPoints(
      "# comment\n[console_scripts]\nrun = demo:main\nrun=demo.cli:main [fast]\n; comment\nRun:2 = demo:two\n\n[gui_scripts]\nwin = demo:gui\n",
    );
    expect(points).toEqual([
      { group: "console_scripts", name: "run", value: "demo.cli:main [fast]" },
      { group: "console_scripts", name: "Run:2", value: "demo:two" },
      { group: "gui_scripts", name: "win", value: "demo:gui" },
    ]);
  });

  it.each(["name = outside:any_group\n", "[group]\nno delimiter\n", "[group]\n= value\n"])("refuses %j", (text) => {
    expect(() => parseEntryPoints(text)).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL" }));
  });

  it("ignores extras of scripts", () => {
    expect(scriptReference(point("demo.cli:App.main [fast,slow]"))).toEqual({
      module: "demo.cli",
      attribute: "App.main",
    });
  });

  it.each(["demo", "demo:", ":main", "demo:main()", "demo:main; import os", "os\nimport:x", "a b:c", "1demo:main"])(
    "refuses %j as a script, which would be source text",
    (value) => {
      expect(() => scriptReference(point(value))).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL" }));
    },
  );

  it("never throws anything but a SheafError", () => {
    const pieces = fc.constantFrom("[", "]", "=", "\n", "a", ":", ".", " ", "#", "é", "\r", "\0");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (text) =>
        onlySheafErrors(() => parseEntryPoints(text.join("")).map((entry) => scriptReference(entry))),
      ),
    );
  });
});

function point(value: string) {
  return { group: "console_scripts", name: "run", value };
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

function onlySheafErrors(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
  }
}
