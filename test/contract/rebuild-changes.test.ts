import { describe, expect, it } from "vitest";

import { withoutDependency } from "../../src/contract/rebuild/without-dependency.ts";

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
