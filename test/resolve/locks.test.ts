import * as fs from "node:fs";
import * as path from "node:path";

import * as fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { SheafError } from "../../src/errors.ts";
import { emptySettings } from "../../src/resolve/index-config.ts";
import { Inputs } from "../../src/resolve/inputs.ts";
import { readPins } from "../../src/resolve/read-pins.ts";
import type { Resolution } from "../../src/resolve/resolution.ts";
import { failure, hashOf, type LocalIndex, makeBench, makeProject, serveIndex, shown, target } from "./support.ts";

const wheel = (name: string, version: string, tags = "py3-none-any") =>
  `${name.replaceAll("-", "_")}-${version}-${tags}.whl`;

const releases: [string, string][] = [
  ["web", "1.2"],
  ["standard-extra", "0.5"],
  ["numeric", "1.9"],
  ["numeric", "2.4"],
  ["imaging", "11.0"],
  ["tester", "8.1"],
  ["backport", "1.0"],
  ["winonly", "1.0"],
  ["deep", "3.0"],
];

/** Serves a wheel of every release above. */
async function serveAll(): Promise<LocalIndex> {
  const projects: Record<string, string[]> = {};
  for (const [name, version] of releases) (projects[name] ??= []).push(wheel(name, version));
  return serveIndex(projects);
}

const names = (resolution: Resolution) => resolution.distributions.map(({ name, version }) => `${name} ${version}`);
const older = { ...target, python: "3.10.4" };

beforeEach(() => {
  vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
  return () => vi.unstubAllEnvs();
});

const pyproject = `
[project]
name = "Demo"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = ["web[standard]>=1", "numeric", "backport; python_version < '3.11'", "winonly; sys_platform == 'win32'"]
[project.optional-dependencies]
ml = ["imaging>=10"]
[dependency-groups]
dev = ["tester", {include-group = "lint"}]
lint = ["deep"]
`;

/** What every lock below says, whatever tool wrote it. */
const expected = {
  plain: ["deep 3.0", "numeric 2.4", "standard-extra 0.5", "web 1.2"],
  older: ["backport 1.0", "deep 3.0", "numeric 1.9", "standard-extra 0.5", "web 1.2"],
  ml: ["deep 3.0", "imaging 11.0", "numeric 2.4", "standard-extra 0.5", "web 1.2"],
  dev: ["deep 3.0", "numeric 2.4", "standard-extra 0.5", "tester 8.1", "web 1.2"],
};

function uvFile(name: string, version: string): string {
  const filename = wheel(name, version);
  return `wheels = [{ url = "https://example.test/f/${filename}", hash = "sha256:${hashOf(filename)}", size = 12 }]\n`;
}

function uvPackage(name: string, version: string, rest = ""): string {
  return `[[package]]\nname = "${name}"\nversion = "${version}"\nsource = { registry = "https://example.test/simple" }\n${uvFile(name, version)}${rest}\n`;
}

const uvLock = `version = 1
revision = 3
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]

${uvPackage("web", "1.2", '[package.optional-dependencies]\nstandard = [{ name = "standard-extra" }]')}
${uvPackage("standard-extra", "0.5", 'dependencies = [{ name = "deep", marker = "sys_platform == \'linux\'" }]').replace(/(wheels.*\n)(dependencies.*)/, "$2\n$1")}
${uvPackage("numeric", "1.9", `resolution-markers = ["python_full_version < '3.11'"]`)}
${uvPackage("numeric", "2.4", `resolution-markers = ["python_full_version >= '3.11'"]`)}
${uvPackage("imaging", "11.0")}
${uvPackage("tester", "8.1")}
${uvPackage("backport", "1.0")}
${uvPackage("winonly", "1.0")}
${uvPackage("deep", "3.0")}
[[package]]
name = "demo"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
  { name = "backport", marker = "python_full_version < '3.11'" },
  { name = "numeric", version = "1.9", source = { registry = "https://example.test/simple" }, marker = "python_full_version < '3.11'" },
  { name = "numeric", version = "2.4", source = { registry = "https://example.test/simple" }, marker = "python_full_version >= '3.11'" },
  { name = "web", extra = ["standard"] },
  { name = "winonly", marker = "sys_platform == 'win32'" },
]
[package.optional-dependencies]
ml = [{ name = "imaging" }]
[package.dev-dependencies]
dev = [{ name = "tester" }, { name = "deep" }]
lint = [{ name = "deep" }]
[package.metadata]
provides-extras = ["ml"]
`;

function poetryPackage(name: string, version: string, rest = ""): string {
  const files = `files = [{file = "${wheel(name, version)}", hash = "sha256:${hashOf(wheel(name, version))}"}]\n`;
  const [own = "", ...tables] = `\n${rest}`.split(/(?=^\[package)/m);
  return `[[package]]\nname = "${name}"\nversion = "${version}"\ndescription = ""\noptional = false\n${own.includes("python-versions") ? "" : 'python-versions = "*"\n'}${own.trimStart()}${files}\n${tables.join("")}\n`;
}

const webTables =
  '[package.dependencies]\nstandard-extra = {version = ">=0.5", optional = true, markers = "extra == \\"standard\\""}\n[package.extras]\nstandard = ["standard-extra (>=0.5)"]\n';
const extraTables = '[package.dependencies]\ndeep = {version = "^3.0", markers = "sys_platform == \\"linux\\""}\n';

const poetryLock = `# This file is automatically @generated by Poetry 2.2.1 and should not be changed by hand.

${poetryPackage("web", "1.2", `groups = ["main"]\n${webTables}`)}
${poetryPackage("standard-extra", "0.5", `groups = ["main"]\n${extraTables}`)}
${poetryPackage("numeric", "1.9", 'groups = ["main"]\nmarkers = "python_version == \\"3.10\\""\n')}
${poetryPackage("numeric", "2.4", 'python-versions = ">=3.11"\ngroups = ["main"]\nmarkers = "python_version >= \\"3.11\\""\n')}
${poetryPackage("imaging", "11.0", 'groups = ["main"]\nmarkers = "extra == \\"ml\\""\n')}
${poetryPackage("tester", "8.1", 'groups = ["dev"]\n')}
${poetryPackage("backport", "1.0", 'groups = ["main"]\nmarkers = "python_version < \\"3.11\\""\n')}
${poetryPackage("winonly", "1.0", 'groups = ["main"]\nmarkers = "sys_platform == \\"win32\\""\n')}
${poetryPackage("deep", "3.0", 'groups = ["main", "dev", "lint"]\nmarkers = {main = "sys_platform == \\"linux\\""}\n')}
[extras]
ml = ["imaging"]
[metadata]
lock-version = "2.1"
python-versions = ">=3.10"
`;

const poetryOldProject = `
[tool.poetry]
name = "demo"
version = "0.1.0"
[tool.poetry.dependencies]
python = "^3.10"
web = {version = "^1.0", extras = ["standard"]}
numeric = [{version = "<2", python = "<3.11"}, {version = "~2.4", python = ">=3.11"}]
backport = {version = "1.*", python = "<3.11"}
winonly = {version = "*", platform = "win32"}
imaging = {version = ">=10", optional = true}
[tool.poetry.extras]
ml = ["imaging"]
[tool.poetry.dev-dependencies]
tester = "8.1"
`;

const poetryOldLock = `${[
  "web",
  "standard-extra",
  "numeric1",
  "numeric2",
  "imaging",
  "tester",
  "backport",
  "winonly",
  "deep",
]
  .map((name) => {
    const [plain, version] =
      name === "numeric1" ? ["numeric", "1.9"] : releases.findLast(([known]) => known === name.replace("2", ""))!;
    const rest = name === "web" ? webTables : name === "standard-extra" ? extraTables : "";
    return poetryPackage(plain!, version!, rest).replace(/^files = .*\n/m, 'category = "main"\n');
  })
  .join("")}
[extras]
ml = ["imaging"]
[metadata]
lock-version = "1.1"
python-versions = "^3.10"
content-hash = "0000"
[metadata.files]
${releases
  .filter(([name, version]) => name !== "numeric" || version === "1.9")
  .map(([name]) => {
    const files = releases
      .filter(([other]) => other === name)
      .map(([, version]) => `{file = "${wheel(name, version)}", hash = "sha256:${hashOf(wheel(name, version))}"}`);
    return `${name} = [${files.join(", ")}]`;
  })
  .join("\n")}
`;

function pdmPackage(name: string, version: string, rest = ""): string {
  return `[[package]]\nname = "${name}"\nversion = "${version}"\nrequires_python = ">=3.8"\nsummary = ""\ngroups = ["default"]\n${rest}files = [{file = "${wheel(name, version)}", hash = "sha256:${hashOf(wheel(name, version))}"}]\n\n`;
}

const pdmLock = `[metadata]
groups = ["default", "ml", "dev", "lint"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"
content_hash = "sha256:00"

${pdmPackage("web", "1.2")}${pdmPackage("web", "1.2", 'extras = ["standard"]\ndependencies = ["standard-extra>=0.5", "web==1.2"]\n')}
${pdmPackage("standard-extra", "0.5", "dependencies = [\"deep>=3; sys_platform == 'linux'\"]\n")}
${pdmPackage("numeric", "1.9", "marker = \"python_version < '3.11'\"\n")}
${pdmPackage("numeric", "2.4", "marker = \"python_version >= '3.11'\"\n")}
${pdmPackage("imaging", "11.0")}${pdmPackage("tester", "8.1")}${pdmPackage("backport", "1.0")}${pdmPackage("winonly", "1.0")}${pdmPackage("deep", "3.0")}`;

/** Before lock version 4.3 the files stood in a table of their own. */
const pdmOldLock = `${pdmLock.replace(/^files = .*\n/gm, "")}
[metadata.files]
${releases.map(([name, version]) => `"${name} ${version}" = [{file = "${wheel(name, version)}", hash = "sha256:${hashOf(wheel(name, version))}"}]`).join("\n")}
`;

const pipfileEntry = (name: string, version: string, markers?: string) => ({
  hashes: [`sha256:${hashOf(wheel(name, version))}`],
  version: `==${version}`,
  ...(markers && { markers }),
});

const pipfileLock = (index: string) =>
  JSON.stringify({
    _meta: { hash: { sha256: "00" }, "pipfile-spec": 6, sources: [{ name: "ours", url: index, verify_ssl: true }] },
    default: {
      web: { ...pipfileEntry("web", "1.2"), extras: ["standard"], index: "ours" },
      "standard-extra": pipfileEntry("standard-extra", "0.5"),
      numeric: pipfileEntry("numeric", "2.4"),
      deep: pipfileEntry("deep", "3.0"),
      backport: pipfileEntry("backport", "1.0", "python_version < '3.11'"),
      winonly: pipfileEntry("winonly", "1.0", "sys_platform == 'win32'"),
    },
    develop: { tester: pipfileEntry("tester", "8.1") },
  });

const pylockPackage = (name: string, version: string, rest = "") =>
  `[[packages]]\nname = "${name}"\nversion = "${version}"\n${rest}wheels = [{ url = "https://example.test/${wheel(name, version)}", hashes = { sha256 = "${hashOf(wheel(name, version))}" } }]\n`;

const pylock = `lock-version = "1.0"
requires-python = ">=3.10"
extras = ["ml"]
dependency-groups = ["dev"]
default-groups = []
created-by = "some tool"
${pylockPackage("web", "1.2", 'dependencies = [{ name = "standard-extra" }]\n')}${pylockPackage("standard-extra", "0.5")}
${pylockPackage("numeric", "1.9", "marker = \"python_version < '3.11'\"\n")}${pylockPackage("numeric", "2.4", "marker = \"python_version >= '3.11'\"\n")}
${pylockPackage("imaging", "11.0", "marker = \"'ml' in extras\"\n")}${pylockPackage("tester", "8.1", "marker = \"'dev' in dependency_groups\"\n")}
${pylockPackage("backport", "1.0", "marker = \"python_full_version < '3.11'\"\n")}${pylockPackage("winonly", "1.0", "marker = \"sys_platform == 'win32'\"\n")}${pylockPackage("deep", "3.0")}`;

describe.each([
  ["uv.lock", "uv.lock", uvLock, pyproject],
  ["pylock.toml", "pylock.toml", pylock, pyproject],
  ["poetry.lock of Poetry 2", "poetry.lock", poetryLock, pyproject],
  ["poetry.lock of Poetry 1", "poetry.lock", poetryOldLock, poetryOldProject],
  ["pdm.lock", "pdm.lock", pdmLock, pyproject],
  ["pdm.lock before 4.3", "pdm.lock", pdmOldLock, pyproject],
])("%s", (...row) => {
  const [, file, lock, project_] = row;
  const project = () => makeProject({ [file]: lock, "pyproject.toml": project_ });

  it("is walked for the target, with the chosen extras and groups alone", async () => {
    vi.stubEnv("PIP_INDEX_URL", (await serveAll()).url);
    const { resolve } = makeBench();
    const plain = await resolve(project());
    expect(names(plain)).toEqual(expected.plain);
    expect([plain.source, plain.locked]).toEqual([file, true]);
    expect(plain.distributions.map(({ sha256 }) => sha256)).toEqual(
      plain.distributions.map(({ filename }) => hashOf(filename)),
    );
    expect(names(await resolve(project(), { target: older }))).toEqual(expected.older);
    expect(names(await resolve(project(), { extras: ["ML"] }))).toEqual(expected.ml);
    expect(names(await resolve(project(), { groups: ["dev"] }))).toEqual(expected.dev);
  });

  it("tells a mistyped extra and group from a known one", async () => {
    const { resolve } = makeBench({ offline: true });
    expect(await failure(resolve(project(), { extras: ["mll"] }))).toMatchObject({ code: "SHEAF_UNKNOWN_EXTRA" });
    const error = await failure(resolve(project(), { groups: ["dew"] }));
    expect(error.code).toBe("SHEAF_UNKNOWN_GROUP");
    expect(error.message).toContain("did you mean dev?");
  });

  it.skipIf(file === "pylock.toml")(
    "is refused when pyproject.toml asks for more or other versions (pylock.toml can't tell)",
    async () => {
      const changed = project_
        .replace(/"numeric"/, '"numeric>=3", "fresh"')
        .replace(/^numeric = .*$/m, 'numeric = "^3"\nfresh = "*"');
      const error = await failure(
        makeBench({ offline: true }).resolve(makeProject({ [file]: lock, "pyproject.toml": changed })),
      );
      expect(error.code).toBe("SHEAF_LOCK_STALE");
      expect(error.message).toBe(`${file} is older than pyproject.toml: numeric, fresh`);
      expect(shown(error)).toMatch(/the lock pins 1\.9 and 2\.4/);
      expect(shown(error)).toMatch(new RegExp(`run ${file.split(".")[0]} lock`));
    },
  );

  it("is refused when it comes from a repository or lies outside", async () => {
    const git = lock
      .replace(
        /(name = "deep"\nversion = "3.0"\n)source = .*\n/,
        '$1source = { git = "https://me:tok3n@example.test/deep.git#0a" }\n',
      )
      .replace(
        /(name = "deep"\nversion = "3.0"\ndescription = "".*\n)/,
        '$1source = {type = "git", url = "https://me:tok3n@example.test/deep.git"}\n',
      )
      .replace(
        /(name = "deep"\nversion = "3.0"\n)requires_python = .*\n/,
        '$1git = "https://me:tok3n@example.test/deep.git"\n',
      )
      .replace(
        /(\[\[packages\]\]\nname = "deep"\nversion = "3.0"\n)wheels = .*\n/,
        '$1vcs = { type = "git", url = "https://me:tok3n@example.test/deep.git" }\n',
      );
    vi.stubEnv("PIP_INDEX_URL", (await serveAll()).url);
    const error = await failure(makeBench().resolve(makeProject({ [file]: git, "pyproject.toml": project_ })));
    expect(error.code).toBe("SHEAF_SOURCE");
    expect(shown(error)).toContain("https://example.test/deep.git");
    expect(shown(error)).not.toContain("tok3n");
  });
});

describe("damaged locks", () => {
  const damaged: [file: string, text: string, beside: Record<string, string>][] = [
    ["uv.lock", uvLock, { "pyproject.toml": pyproject }],
    ["pylock.toml", pylock, { "pyproject.toml": pyproject }],
    ["poetry.lock", poetryLock, { "pyproject.toml": pyproject }],
    ["pdm.lock", pdmLock, { "pyproject.toml": pyproject }],
    ["Pipfile.lock", pipfileLock("http://127.0.0.1:9"), { Pipfile: "[packages]\n" }],
  ];

  it.each(damaged)("%s is read or refused in words, whatever is cut or swapped", async (...row) => {
    const [file, text, beside] = row;
    const project = makeProject({ [file]: text, ...beside });
    const { services } = makeBench({ offline: true });
    const context = { services, inputs: new Inputs(project.root), settings: emptySettings() };
    const request = { project, target, extras: ["ml"], groups: ["dev"] };
    const piece = fc.constantFrom(
      "",
      '"',
      "[",
      "{}",
      "= 1",
      "\n[[package]]\n",
      "'",
      "null",
      "..",
      "\\",
      "sha256:",
      "@",
      ">=",
    );
    const cut = fc.tuple(fc.nat(text.length), fc.nat(40), piece);
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
        const mutated = cuts.reduce((now, [at, length, put]) => now.slice(0, at) + put + now.slice(at + length), text);
        fs.writeFileSync(path.join(project.root, file), mutated);
        const result = await readPins(request, context).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(SheafError);
      }),
      { numRuns: 300 },
    );
  });
});

describe("Pipfile.lock", () => {
  it("is read with its own sources, dev packages only as the group dev", async () => {
    const index = await serveAll();
    const project = makeProject({
      "Pipfile.lock": pipfileLock(index.url),
      Pipfile: '[packages]\nweb = ">=1"\nnumeric = "*"\n',
    });
    const { resolve } = makeBench();
    expect(names(await resolve(project))).toEqual(expected.plain);
    expect(names(await resolve(project, { groups: ["dev"] }))).toEqual(expected.dev);
    expect(names(await resolve(project, { target: older }))).toContain("backport 1.0");
  });

  it("is refused when the Pipfile asks for something else", async () => {
    const project = makeProject({
      "Pipfile.lock": pipfileLock("http://127.0.0.1:9"),
      Pipfile: '[packages]\nweb = ">=2"\nfresh = {version = "*"}\n',
    });
    const error = await failure(makeBench({ offline: true }).resolve(project));
    expect([error.code, error.message]).toEqual(["SHEAF_LOCK_STALE", "Pipfile.lock is older than Pipfile: web, fresh"]);
  });
});

describe("extras of a uv lock that conflict", () => {
  const lock = `version = 1
requires-python = ">=3.10"
conflicts = [[{ package = "demo", extra = "cpu" }, { package = "demo", extra = "gpu" }]]
${uvPackage("numeric", "1.9")}${uvPackage("numeric", "2.4")}
[[package]]
name = "demo"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "shared" }]
[package.optional-dependencies]
cpu = [{ name = "numeric", version = "1.9" }]
gpu = [{ name = "numeric", version = "2.4" }]
[[package]]
name = "shared"
version = "1"
source = { editable = "shared" }
dependencies = [
  { name = "numeric", version = "1.9", marker = "extra == 'extra-4-demo-cpu'" },
  { name = "numeric", version = "2.4", marker = "extra == 'extra-4-demo-gpu' or extra != 'extra-4-demo-cpu'" },
]
`;
  const project = () => makeProject({ "uv.lock": lock });

  it("lead to the version of the chosen one, and are refused together", async () => {
    const { resolve } = makeBench({ offline: true });
    expect(names(await resolve(project()))).toEqual(["numeric 2.4"]);
    expect(names(await resolve(project(), { extras: ["cpu"] }))).toEqual(["numeric 1.9"]);
    expect(names(await resolve(project(), { extras: ["gpu"] }))).toEqual(["numeric 2.4"]);
    const error = await failure(resolve(project(), { extras: ["cpu", "gpu"] }));
    expect([error.code, error.message]).toEqual([
      "SHEAF_CONFLICT",
      "numeric would be installed in versions 1.9 and 2.4",
    ]);
  });
});

describe("a uv workspace", () => {
  const lock = `version = 1
requires-python = ">=3.10"
[manifest]
members = ["api", "shared", "root"]
${uvPackage("deep", "3.0")}
[[package]]
name = "root"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "api" }]
[[package]]
name = "api"
version = "1"
source = { editable = "packages/api" }
dependencies = [{ name = "shared" }]
[[package]]
name = "shared"
version = "2"
source = { editable = "packages/shared" }
dependencies = [{ name = "deep" }, { name = "local-wheel" }]
[[package]]
name = "local-wheel"
version = "1.0"
source = { path = "wheels/local_wheel-1.0-py3-none-any.whl" }
wheels = [{ filename = "local_wheel-1.0-py3-none-any.whl", hash = "sha256:${hashOf("local")}" }]
`;
  const files = {
    "uv.lock": lock,
    "packages/api/pyproject.toml": '[project]\nname = "api"\nversion = "1"\n',
    "wheels/local_wheel-1.0-py3-none-any.whl": "local",
  };

  it("ships its members as local packages", async () => {
    const resolution = await makeBench({ offline: true }).resolve(makeProject(files));
    expect(resolution.localPackages).toEqual([
      { name: "api", version: "1", directory: "packages/api" },
      { name: "shared", version: "2", directory: "packages/shared" },
    ]);
    expect(resolution.distributions).toMatchObject([
      { name: "deep", requiredBy: ["shared"] },
      {
        name: "local-wheel",
        sha256: hashOf("local"),
        url: expect.stringMatching(/^file:.*\/wheels\/local_wheel-1\.0-py3-none-any\.whl$/),
      },
    ]);
  });

  it("starts from the member that is built", async () => {
    const project = makeProject(files, { directory: "packages/api", name: { value: "api", source: "pyproject.toml" } });
    const { localPackages } = await makeBench({ offline: true }).resolve(project);
    expect(localPackages.map(({ name }) => name)).toEqual(["shared"]);
  });
});

describe("choosing among what a repository has", () => {
  it("refuses two locks, and says how to choose", async () => {
    const error = await failure(
      makeBench({ offline: true }).resolve(
        makeProject({ "uv.lock": uvLock, "poetry.lock": poetryLock, "pyproject.toml": pyproject }),
      ),
    );
    expect([error.code, error.message]).toEqual(["SHEAF_LOCKS", "the project has 2 locks: uv.lock and poetry.lock"]);
  });

  it("prefers a lock to the requirements exported beside it, and says so", async () => {
    const project = makeProject({ "uv.lock": uvLock, "pyproject.toml": pyproject, "requirements.txt": "web==1.2\n" });
    const { source, warnings } = await makeBench({ offline: true }).resolve(project);
    expect(source).toBe("uv.lock");
    expect(warnings).toEqual(["uv.lock is used, not requirements.txt: the lock tells more"]);
  });

  it("explains conda, a Pipfile without a lock, setup.py and nothing at all", async () => {
    const codes: string[] = [];
    for (const file of ["environment.yml", "Pipfile", "setup.py", "README.md"]) {
      codes.push((await failure(makeBench({ offline: true }).resolve(makeProject({ [file]: "" })))).code);
    }
    expect(codes).toEqual(["SHEAF_CONDA", "SHEAF_NO_LOCK", "SHEAF_NO_LOCK", "SHEAF_NO_DEPENDENCIES"]);
  });

  it("takes the requirements file that the Dockerfile installs", async () => {
    const index = await serveAll();
    const line = (name: string, version: string) =>
      `-i ${index.url}\n${name}==${version} --hash=sha256:${hashOf(wheel(name, version))}\n`;
    const project = makeProject({
      "requirements/one.txt": line("web", "1.2"),
      "requirements/two.txt": line("deep", "3.0"),
    });
    expect((await failure(makeBench().resolve(project))).code).toBe("SHEAF_REQUIREMENTS_CHOICE");
    const dockerfile = {
      file: "Dockerfile",
      aptPackages: [],
      env: {},
      ports: [],
      copies: [],
      installs: [{ value: "./requirements/two.txt", source: "Dockerfile:3" }],
    };
    expect(names(await makeBench().resolve({ ...project, dockerfiles: [dockerfile] }))).toEqual(["deep 3.0"]);
  });
});
