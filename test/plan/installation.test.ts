import { expect, it } from "vitest";

import { chooseImages } from "../../src/plan/choose-images.ts";
import { planInstallation } from "../../src/plan/installation.ts";
import type { PlanServices } from "../../src/plan/services.ts";
import { readProject } from "../../src/project/read-project.ts";
import type { Resolution } from "../../src/resolve/resolution.ts";
import { writeRepository } from "../project/write-repository.ts";

/** Whoever asks an index here gets an error: the locks that are read as they are need none. */
const services = {} as PlanServices;
const hash = `--hash=sha256:${"0".repeat(64)}`;
const app = { "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n" };

async function installationOf(files: Record<string, string>, locked = true) {
  const project = await readProject(writeRepository({ ...app, ...files }));
  const [intent] = chooseImages(project);
  if (!intent) throw new Error("there is an app");
  const target = { platform: { os: "linux", architecture: "amd64" }, python: "3.12.1", glibc: [2, 36] } as const;
  const resolution = { target, locked, source: "", distributions: [], localPackages: [], warnings: [] };
  return planInstallation({ project, intent, resolution: resolution as unknown as Resolution, single: true }, services);
}

it("takes requirements that have hashes as they are, with all that they include", async () => {
  const plan = await installationOf({
    "requirements.txt": `-r requirements/base.txt\n-c constraints.txt\n--find-links wheels\nuvicorn==1 ${hash}\n`,
    "requirements/base.txt": `fastapi==1 ${hash}\n`,
    "constraints.txt": "idna<4\n",
    "wheels/own-1-py3-none-any.whl": "",
    "sheaf.toml": 'exclude = ["data/"]\nbytecode = false\n',
  });
  expect(plan).toEqual({
    kind: "requirements",
    files: ["requirements.txt"],
    reads: ["requirements.txt", "requirements/base.txt", "constraints.txt", "wheels"],
    extras: [],
    groups: [],
    indexes: [],
    excluded: ["data/"],
    bytecode: false,
  });
});

it("takes the uv.lock of a single project, with the image's extras and the names of its indexes", async () => {
  const plan = await installationOf({
    "pyproject.toml": `[project]
name = "shop"
version = "1"
dependencies = ["fastapi"]
[project.optional-dependencies]
web = ["uvicorn"]
[[tool.uv.index]]
name = "corp"
url = "https://packages.example.test/simple"
[tool.sheaf.images.api]
extras = ["web"]
`,
    "uv.lock": '[[package]]\nname = "shop"\nversion = "1"\nsource = { virtual = "." }\n',
  });
  expect(plan).toMatchObject({
    kind: "uv.lock",
    files: ["pyproject.toml", "uv.lock"],
    extras: ["web"],
    indexes: ["corp"],
  });
});

it.each([
  ["a requirement without a hash", { "requirements.txt": `fastapi==1 ${hash}\nuvicorn==1\n` }],
  ["a folder of the repository", { "requirements.txt": `fastapi==1 ${hash}\n-e ./lib\n`, "lib/setup.py": "" }],
  [
    "a workspace",
    {
      "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n',
      "uv.lock":
        '[manifest]\nmembers = ["lib", "shop"]\n[[package]]\nname = "shop"\nsource = { virtual = "." }\n[[package]]\nname = "lib"\nsource = { editable = "lib" }\n',
    },
  ],
])("doesn't leave %s to pip or uv", async (_, files) => {
  // A lock of its own is written then, for which an index is asked: here that ends in an error.
  const kind = await installationOf(files).then(
    (plan) => plan.kind,
    () => "written",
  );
  expect(kind).toBe("written");
});
