import { describe, expect, it } from "vitest";
import { poetryConstraint, readMetadata, setupRequirements } from "../../src/project/pyproject.ts";

const read = (files: Record<string, string>, folder = "") => readMetadata(folder, (path) => files[path]);

describe("readMetadata", () => {
  it("reads PEP 621, each value with its line", async () => {
    const metadata = await read(
      {
        "b/pyproject.toml": `[project]
name = "svc"
version = "1.2"
requires-python = ">=3.11"
[project.scripts]
svc = "svc.cli:main"
[project.optional-dependencies]
ml = ["torch"]
[dependency-groups]
dev = ["pytest"]
`,
        "b/.python-version": "# remark\n3.12.1\n",
      },
      "b",
    );
    expect(metadata).toMatchObject({
      name: { value: "svc", source: "b/pyproject.toml:2" },
      version: { value: "1.2", source: "b/pyproject.toml:3" },
      requiresPython: { value: ">=3.11", source: "b/pyproject.toml:4" },
      pythonVersion: { value: "3.12.1", source: "b/.python-version:2" },
      extras: ["ml"],
      groups: ["dev"],
      scripts: { svc: "svc.cli:main" },
    });
  });

  it("reads poetry's tables", async () => {
    const metadata = await read({
      "pyproject.toml":
        '[tool.poetry]\nname = "svc"\nversion = "0.0.0"\n[tool.poetry.dependencies]\npython = "^3.11"\n[tool.poetry.group.gpu.dependencies]\n[tool.poetry.extras]\nml = ["x"]\n',
    });
    expect(metadata).toMatchObject({
      name: { value: "svc" },
      requiresPython: { value: ">=3.11,<4.0", source: "pyproject.toml:5" },
      groups: ["gpu"],
      extras: ["ml"],
    });
    expect(metadata.version).toBeUndefined();
  });

  it.each([
    [
      "setuptools' attr",
      '[project]\nname = "svc"\ndynamic = ["version"]\n[tool.setuptools.dynamic]\nversion = { attr = "svc.about.VERSION" }\n',
      { "src/svc/about.py": '\nVERSION = "3"' },
      "src/svc/about.py:2",
    ],
    [
      "setuptools' file",
      '[project]\nname = "svc"\n[tool.setuptools.dynamic]\nversion = { file = "VERSION" }\n',
      { VERSION: "3\n" },
      "VERSION:1",
    ],
    [
      "hatch's path",
      '[project]\nname = "svc"\n[tool.hatch.version]\npath = "svc/v.py"\n',
      { "svc/v.py": '__version__ = "3"' },
      "svc/v.py:1",
    ],
    [
      "the package",
      '[project]\nname = "my-svc"\ndynamic = ["version"]\n',
      { "my_svc/__init__.py": '__version__: str = "3"' },
      "my_svc/__init__.py:1",
    ],
  ])("finds a dynamic version by %s", async (...[, pyproject, files, source]) => {
    expect((await read({ "pyproject.toml": pyproject, ...files })).version).toEqual({ value: "3", source });
  });

  it("reads setup.cfg, setup.py, runtime.txt and Pipfile without running them", async () => {
    expect(
      await read({
        "setup.cfg": "[metadata]\nname = cfg\nversion = attr: x\n[options]\npython_requires = >=3.9\n",
        "runtime.txt": "python-3.11.4\n",
      }),
    ).toMatchObject({
      name: { value: "cfg", source: "setup.cfg:2" },
      requiresPython: { value: ">=3.9", source: "setup.cfg:5" },
      pythonVersion: { value: "3.11.4" },
    });
    const setup =
      'from setuptools import setup\nsetup(name="py", version=compute(), python_requires=">=3.8", install_requires=["a>1", "b"])\n';
    expect(await read({ "setup.py": setup, Pipfile: '[requires]\npython_version = "3.10"\n' })).toMatchObject({
      name: { value: "py" },
      requiresPython: { value: ">=3.8" },
      pythonVersion: { value: "3.10", source: "Pipfile:2" },
    });
    expect(setupRequirements(setup)).toEqual(["a>1", "b"]);
    expect(setupRequirements("setup(install_requires=read('x'))")).toBeUndefined();
  });
});

describe("poetryConstraint", () => {
  it.each([
    ["^3.11", ">=3.11,<4.0"],
    ["^3.11.2", ">=3.11.2,<4.0"],
    ["^0.3", ">=0.3,<0.4"],
    ["~3.11", ">=3.11,<3.12"],
    ["~3.11.4", ">=3.11.4,<3.12"],
    ["~3", ">=3,<4.0"],
    ["3.11.*", "==3.11.*"],
    ["3.11", "==3.11"],
    [">=3.9,<3.13", ">=3.9,<3.13"],
    [">=3.9 <4", ">=3.9,<4"],
    ["~=3.10", "~=3.10"],
    ["*", undefined],
    ["^3.8 || ^3.11", undefined],
    ["nonsense", undefined],
  ])("%s is %s", (constraint, expected) => {
    expect(poetryConstraint(constraint)).toBe(expected);
  });
});
