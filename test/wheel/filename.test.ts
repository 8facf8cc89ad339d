import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SheafError } from "../../src/errors.ts";
import { normalizeName, parseWheelFilename } from "../../src/wheel/filename.ts";

describe("parseWheelFilename", () => {
  it("reads the five parts", () => {
    expect(
      parseWheelFilename("pydantic_core-2.50.4-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"),
    ).toEqual({
      name: "pydantic-core",
      version: "2.50.4",
      pythonTags: ["cp311"],
      abiTags: ["cp311"],
      platformTags: ["manylinux2014_x86_64", "manylinux_2_17_x86_64"],
    });
  });

  it("reads a build tag and a local version", () => {
    const parsed = parseWheelFilename("torch-2.3.1+cu121-1special-cp312-cp312-linux_x86_64.whl");
    expect(parsed).toMatchObject({ version: "2.3.1+cu121", build: "1special", platformTags: ["linux_x86_64"] });
  });

  // Edge case 31: abi3, free-threaded and bare linux tags are tags like any other.
  it.each([
    ["cryptography-42.0-cp37-abi3-manylinux_2_28_x86_64.whl", "abi3"],
    ["numpy-2.1.0-cp313-cp313t-musllinux_1_2_aarch64.whl", "cp313t"],
    ["six-1.16.0-py2.py3-none-any.whl", "none"],
  ])("reads %s", (filename, abi) => {
    expect(parseWheelFilename(filename).abiTags).toEqual([abi]);
  });

  it.each([
    "demo-1.0-py3-none-any.zip",
    "demo-1.0-py3-none.whl",
    "demo-1.0-1-2-py3-none-any.whl",
    "demo-1.0-x1-py3-none-any.whl",
    "demo-one-py3-none-any.whl",
    "de__mo-1.0-py3-none-any.whl",
    "-1.0-py3-none-any.whl",
    "../demo-1.0-py3-none-any.whl",
    "demo-1.0-py3..py2-none-any.whl",
    "demo-1.0-py3-none-.whl",
  ])("refuses %s", (filename) => {
    expect(() => parseWheelFilename(filename)).toThrow(expect.objectContaining({ code: "SHEAF_WHEEL" }));
  });

  it("never throws anything but a SheafError", () => {
    const parts = fc.constantFrom(
      "demo",
      "1.0",
      "py3",
      "none",
      "any",
      "-",
      ".",
      "_",
      "1",
      "+",
      "é",
      "\0",
      "/",
      ".whl",
      " ",
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 14 }), (pieces) => {
        const filename = pieces.join("");
        const result = attempt(() => parseWheelFilename(filename));
        if (result instanceof Error) expect(result).toBeInstanceOf(SheafError);
        else expect(result.name).toBe(normalizeName(result.name));
      }),
    );
  });

  it.skipIf(!hasPackaging())("agrees with Python's packaging library (skipped without it)", () => {
    // Tags stay valid: packaging takes any text for them, which is the one thing that Sheaf is stricter in.
    const piece = fc.constantFrom("demo", "De.mo_x", "de__mo", "1.0", "1.0rc1+cu.1", "1!2", "x", "1a", "1.0.post1");
    const filenames = fc.sample(
      fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => `${pieces.join("-")}-py2.py3-cp313t-any.whl`),
      { numRuns: 400, seed: 7 },
    );
    filenames.push("demo-1.0-py3-none-any.whl", "De.mo_x-1.0rc1+cu.1-1a-py2.py3-none-any.whl");
    const expected = JSON.parse(
      execFileSync("python3", ["-c", packagingScript], { input: JSON.stringify(filenames), encoding: "utf8" }),
    ) as (string[] | null)[];
    const actual = filenames.map((filename) => {
      const result = attempt(() => parseWheelFilename(filename));
      return result instanceof Error ? null : [result.name, result.build ?? ""];
    });
    expect(actual).toEqual(expected);
    expect(actual.filter((parsed) => parsed !== null).length).toBeGreaterThan(2);
  });
});

const packagingScript = `
import json, sys
from packaging.utils import parse_wheel_filename
def parse(name):
    try:
        name, version, build, tags = parse_wheel_filename(name)
        return [name, "".join(str(part) for part in build)]
    except ValueError:
        return None
print(json.dumps([parse(name) for name in json.load(sys.stdin)]))
`;

function hasPackaging(): boolean {
  const result = attempt(() => execFileSync("python3", ["-c", "import packaging.utils"], { stdio: "ignore" }));
  return !(result instanceof Error);
}

function attempt<T>(action: () => T): T | Error {
  try {
    return action();
  } catch (error) {
    return error as Error;
  }
}
