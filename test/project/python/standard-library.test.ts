import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { standardLibrary } from "../../../src/project/python/standard-library.ts";

function ask(python: string): { minor: string; names: string[] } | undefined {
  try {
    const output = execFileSync(
      python,
      ["-c", "import sys, json; print(json.dumps(['%d.%d' % sys.version_info[:2], sorted(sys.stdlib_module_names)]))"],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    const [minor, names] = JSON.parse(output) as [string, string[]];
    return { minor, names };
  } catch {
    return undefined;
  }
}

describe("standardLibrary", () => {
  for (const python of ["python3", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"]) {
    const answer = ask(python);
    it.skipIf(!answer)(`is what ${python} says (skipped when it is not installed)`, () => {
      const { minor, names } = answer as { minor: string; names: string[] };
      expect([...standardLibrary(minor)].toSorted()).toEqual(names.toSorted());
    });
  }

  it("knows what came and went", () => {
    expect(standardLibrary("3.11").has("distutils")).toBe(true);
    expect(standardLibrary("3.12.4").has("distutils")).toBe(false);
    expect(standardLibrary("3.10").has("tomllib")).toBe(false);
    expect(standardLibrary("").has("annotationlib")).toBe(true);
    expect(standardLibrary("3.9").has("formatter")).toBe(true);
  });
});
