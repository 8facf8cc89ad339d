import { beforeEach, describe, expect, it, vi } from "vitest";

import { dependencyChain } from "../../src/resolve/dependency-chain.ts";
import { environmentMarker, type LockEnvironment } from "../../src/resolve/lock-environments.ts";
import { lockProject } from "../../src/resolve/lock.ts";
import { evaluateMarker, markerEnvironment } from "../../src/resolve/markers.ts";
import { parseMarker } from "../../src/resolve/pep508.ts";
import { hashOf, makeBench, makeProject, serveIndex, target } from "./support.ts";

beforeEach(() => {
  vi.stubEnv("PIP_CONFIG_FILE", "/dev/null");
  return () => vi.unstubAllEnvs();
});

const wheels = (name: string, version: string) =>
  [
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp312-cp312-manylinux_2_28_aarch64",
    "cp313-cp313-manylinux_2_28_x86_64",
    "cp313-cp313-manylinux_2_28_aarch64",
  ].map((tags) => `${name}-${version}-${tags}.whl`);

const uvPackage = (name: string, version: string) => `[[package]]
name = "${name}"
version = "${version}"
source = { registry = "https://example.test/simple" }
wheels = [${wheels(name, version)
  .map((filename) => `{ url = "https://example.test/${filename}", hash = "sha256:${hashOf(filename)}" }`)
  .join(", ")}]
`;

const uvLock = `version = 1
requires-python = ">=3.12"
[[package]]
name = "demo"
version = "1"
source = { virtual = "." }
dependencies = [
  { name = "all" },
  { name = "intel", marker = "platform_machine == 'x86_64'" },
  { name = "old", version = "1.0", marker = "python_version < '3.13'" },
  { name = "old", version = "2.0", marker = "python_version >= '3.13'" },
  { name = "shared" },
]
${uvPackage("all", "1.0")}${uvPackage("intel", "1.0")}${uvPackage("old", "1.0")}${uvPackage("old", "2.0")}
[[package]]
name = "shared"
version = "1"
source = { editable = "libs/shared" }
dependencies = [{ name = "all" }]
`;

const requiresPython = { value: ">=3.12,<3.14", source: "pyproject.toml" };

describe("sheaf lock", () => {
  it("writes hashes of all files, markers for what differs, and no host", async () => {
    const project = makeProject({ "uv.lock": uvLock }, { requiresPython });
    const { services } = makeBench({ offline: true });
    const request = { project, target, extras: [], groups: [] };
    const { file, text } = await lockProject(request, services);
    const hashes = (name: string, version: string) =>
      wheels(name, version)
        .map((filename) => `    --hash=sha256:${hashOf(filename)}`)
        .toSorted()
        .join(" \\\n");
    expect(file).toBe("requirements.txt");
    expect(text).toBe(
      `# Written by sheaf lock: the hashes of every file, for each Python that the project allows, on linux/amd64 and linux/arm64.
-e ./libs/shared
all==1.0 \\
${hashes("all", "1.0")}
    # via
    #   demo
    #   shared
intel==1.0 ; platform_machine == 'x86_64' \\
${hashes("intel", "1.0")}
    # via demo
old==1.0 ; python_version == '3.12' \\
${hashes("old", "1.0")}
    # via demo
old==2.0 ; python_version == '3.13' \\
${hashes("old", "2.0")}
    # via demo
`,
    );
    const other = { ...target, python: "3.13.0", platform: { os: "linux", architecture: "arm64" } as const };
    expect((await lockProject({ ...request, target: other }, services)).text).toBe(text);
  });

  it("reads back as the resolution that it was written from, on every target", async () => {
    const projects: Record<string, string[]> = {
      all: wheels("all", "1.0"),
      intel: wheels("intel", "1.0"),
      old: [...wheels("old", "1.0"), ...wheels("old", "2.0")],
    };
    vi.stubEnv("PIP_INDEX_URL", (await serveIndex(projects)).url);
    const { services, resolve } = makeBench();
    const from = makeProject({ "uv.lock": uvLock }, { requiresPython });
    const { text } = await lockProject({ project: from, target, extras: [], groups: [] }, services);
    const back = makeProject({
      "requirements.txt": text,
      "libs/shared/pyproject.toml": '[project]\nname = "shared"\nversion = "1"\n',
    });
    for (const python of ["3.12.1", "3.13.0"]) {
      for (const architecture of ["amd64", "arm64"] as const) {
        const one = { ...target, python, platform: { os: "linux", architecture } as const };
        const [before, after] = [await resolve(from, { target: one }), await resolve(back, { target: one })];
        const facts = ({ distributions, localPackages }: typeof before) => [
          distributions.map(({ name, version, filename, sha256, requiredBy }) => ({
            name,
            version,
            filename,
            sha256,
            requiredBy,
          })),
          localPackages,
        ];
        expect(facts(after)).toEqual(facts(before));
        expect(after.locked).toBe(true);
      }
    }
  });

  it("doesn't overwrite requirements.txt that somebody else wrote", async () => {
    const project = makeProject({ "uv.lock": uvLock, "requirements.txt": "all\n" });
    const { file } = await lockProject(
      { project, target, extras: [], groups: [] },
      makeBench({ offline: true }).services,
    );
    expect(file).toBe("requirements-lock.txt");
  });
});

describe("markers of environments", () => {
  const all: LockEnvironment[] = ["3.11.9", "3.12.1", "3.13.0"].flatMap((python) => [
    { python, architecture: "amd64" },
    { python, architecture: "arm64" },
  ]);

  it("hold in the chosen environments and in no other", () => {
    for (let set = 1; set < 1 << all.length; set++) {
      const some = all.filter((_, index) => set & (1 << index));
      const text = environmentMarker(some, all);
      const holding = all.filter(({ python, architecture }) => {
        const environment = markerEnvironment({ ...target, python, platform: { os: "linux", architecture } });
        return text === "" || evaluateMarker(parseMarker(text), environment);
      });
      expect(holding, text).toEqual(some);
    }
  });
});

describe("dependency chains", () => {
  it("are the shortest way to a part of the project", () => {
    const distributions = [
      { name: "torch", requiredBy: ["torchvision", "ultralytics"] },
      { name: "torchvision", requiredBy: ["ultralytics"] },
      { name: "ultralytics", requiredBy: ["worker"] },
      { name: "loop", requiredBy: ["loop-2"] },
      { name: "loop-2", requiredBy: ["loop"] },
      { name: "alone", requiredBy: [] },
    ];
    expect(dependencyChain(distributions, "Torch")).toEqual(["torch", "ultralytics", "worker"]);
    expect(dependencyChain({ distributions }, "alone")).toEqual(["alone"]);
    expect(dependencyChain(distributions, "loop")).toEqual(["loop", "loop-2"]);
    expect(dependencyChain(distributions, "unknown")).toEqual(["unknown"]);
  });
});
