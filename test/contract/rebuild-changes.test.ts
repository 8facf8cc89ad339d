import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { withoutDependency } from "../../src/contract/rebuild/without-dependency.ts";
import { has, temporary } from "../archive/oracle.ts";

const removed = (path: string, text: string, name = "left-pad") => {
  const result = withoutDependency(path, text, name);
  return result && "text" in result ? result.text : result;
};

describe("a dependency that is left out", () => {
  it("goes from requirements with its hashes, and nothing else does", () => {
    const text = `--index-url https://example.test/simple
Left_Pad==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.in
left-pad-extra==2.0 --hash=sha256:cc
fastapi[all]>=0.1 ; python_version > "3.8"  # left-pad
`;
    expect(removed("requirements/api.txt", text)).toBe(`--index-url https://example.test/simple
    # via -r requirements.in
left-pad-extra==2.0 --hash=sha256:cc
fastapi[all]>=0.1 ; python_version > "3.8"  # left-pad
`);
    expect(removed("requirements.in", "left.pad\nx\n")).toBe("x\n");
    expect(removed("requirements-api.txt", text, "other")).toBeUndefined();
    expect(removed("notes.txt", text)).toBeUndefined();
  });

  it("goes from the lists of pyproject.toml, and from no other", () => {
    const text = `[project]
name = "left-pad"
keywords = ["left-pad"]
dependencies = [
  "uvicorn[standard]>=0.30", # [left-pad]
  'left.pad>=1; python_version < "4"', # pads
  "left-pads",
]
[project.optional-dependencies]
ml = ["torch", "Left-Pad[x]"]
[tool.other]
dependencies = ["left-pad"]
`;
    expect(removed("pyproject.toml", text)).toBe(`[project]
name = "left-pad"
keywords = ["left-pad"]
dependencies = [
  "uvicorn[standard]>=0.30", # [left-pad]
  "left-pads",
]
[project.optional-dependencies]
ml = ["torch", ]
[tool.other]
dependencies = ["left-pad"]
`);
  });

  it("goes from uv.lock with those who refer to it", () => {
    const text = `version = 1

[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [
    { name = "fastapi" },
    { name = "left-pad" },
]

[package.metadata]
requires-dist = [
    { name = "fastapi", specifier = ">=0.1" },
    { name = "left-pad", extras = ["x"] },
]

[[package]]
name = "left-pad"
version = "1.0"
wheels = [
    { url = "https://example.test/left_pad-1.0-py3-none-any.whl", hash = "sha256:aa" },
]

[[package]]
name = "zlib"
dependencies = [{ name = "left-pad" }]
`;
    const rest = removed("uv.lock", text) as string;
    expect(rest).not.toContain("left");
    expect(rest).toBe(`version = 1

[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [
    { name = "fastapi" },
]

[package.metadata]
requires-dist = [
    { name = "fastapi", specifier = ">=0.1" },
]

[[package]]
name = "zlib"
dependencies = []
`);
  });

  it.skipIf(!has("uv", "--version"))(
    "leaves a uv.lock that uv finds up to date (needs uv)",
    () => {
      const registry = 'source = { registry = "https://example.test/simple" }';
      const locked = (name: string) =>
        `[[package]]\nname = "${name}"\nversion = "1.0"\n${registry}\nwheels = [\n    { url = "https://example.test/${name.replace("-", "_")}-1.0-py3-none-any.whl", hash = "sha256:${"a".repeat(64)}", size = 10 },\n]\n\n`;
      const files: Record<string, string> = {
        "pyproject.toml": `[project]\nname = "shop"\nversion = "0.1.0"\nrequires-python = ">=3.8"\ndependencies = ["idna>=1", "left-pad"]\n[project.optional-dependencies]\nx = ["left-pad"]\n[[tool.uv.index]]\nurl = "https://example.test/simple"\ndefault = true\n`,
        "uv.lock": `version = 1\nrevision = 3\nrequires-python = ">=3.8"\n\n${locked("idna")}${locked("left-pad")}[[package]]\nname = "shop"\nversion = "0.1.0"\nsource = { virtual = "." }\ndependencies = [\n    { name = "idna" },\n    { name = "left-pad" },\n]\n\n[package.optional-dependencies]\nx = [\n    { name = "left-pad" },\n]\n\n[package.metadata]\nrequires-dist = [\n    { name = "idna", specifier = ">=1" },\n    { name = "left-pad" },\n    { name = "left-pad", marker = "extra == 'x'" },\n]\nprovides-extras = ["x"]\n`,
      };
      const folder = temporary();
      const isUpToDate = () => {
        const env = { ...process.env, UV_CACHE_DIR: path.join(folder, "cache"), UV_NO_CONFIG: "1" };
        try {
          execFileSync("uv", ["lock", "--check", "--offline"], { cwd: folder, stdio: "pipe", env });
          return true;
        } catch {
          return false;
        }
      };
      const write = (name: string, text: string) => fs.writeFileSync(path.join(folder, name), text);
      for (const [name, text] of Object.entries(files)) write(name, text);
      expect(isUpToDate()).toBe(true);
      write("pyproject.toml", removed("pyproject.toml", files["pyproject.toml"] ?? "") as string);
      expect(isUpToDate()).toBe(false);
      write("uv.lock", removed("uv.lock", files["uv.lock"] ?? "") as string);
      expect(isUpToDate()).toBe(true);
    },
    60_000,
  );

  it("goes from pylock.toml", () => {
    const text = `lock-version = "1.0"\n\n[[packages]]\nname = "a"\n\n[[packages]]\nname = "left-pad"\n[[packages.wheels]]\nname = "left_pad-1.0-py3-none-any.whl"\n\n[[packages]]\nname = "z"\n`;
    expect(removed("pylock.prod.toml", text)).toBe(
      `lock-version = "1.0"\n\n[[packages]]\nname = "a"\n\n[[packages]]\nname = "z"\n`,
    );
  });

  it.each([
    ["poetry.lock", '[[package]]\nname = "left-pad"\nversion = "1"\n'],
    ["pdm.lock", '[[package]]\nname = "left-pad"\nversion = "1"\n'],
    ["Pipfile.lock", '{ "default": {\n  "left-pad": {\n "version": "==1" } } }'],
  ])("stays in %s, whose hash its tool writes", (file, text) => {
    expect(removed(file, text)).toEqual({ refused: expect.stringContaining(file) });
    expect(removed(file, text, "other")).toBeUndefined();
  });
});
