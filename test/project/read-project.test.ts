import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { initConfig } from "../../src/project/config/init-config.ts";
import { readProject } from "../../src/project/read-project.ts";
import { writeRepository, type FileSpec } from "./write-repository.ts";

const pyproject = `[project]
name = "svc"
version = "0.1.0"
requires-python = ">=3.12"
[project.optional-dependencies]
ml = ["torch"]
`;

const files: Record<string, FileSpec> = {
  "pyproject.toml": pyproject,
  "uv.lock": "",
  "app/__init__.py": "",
  "app/main.py": "from fastapi import FastAPI\nfrom app.celery_app import celery\napp = FastAPI()\n",
  "app/celery_app.py": 'from celery import Celery\ncelery = Celery("svc")\n',
  Dockerfile: 'FROM python:3.12-slim\nEXPOSE 9000\nCMD ["uvicorn", "app.main:app", "--port", "9000"]\n',
  ".env": "SECRET=1",
  "tests/test_app.py": "",
};

describe("readProject", () => {
  it("gives the facts of a repository", async () => {
    const project = await readProject(writeRepository(files));
    expect(project).toMatchObject({
      directory: "",
      name: { value: "svc" },
      version: { value: "0.1.0" },
      requiresPython: { value: ">=3.12" },
      pythonVersion: { value: "3.12", source: "Dockerfile:1" },
      extras: ["ml"],
      nearMisses: [],
      config: {},
    });
    expect(project.dependencyFiles).toEqual([
      { kind: "uv.lock", file: "uv.lock" },
      { kind: "pyproject", file: "pyproject.toml" },
    ]);
    expect(project.apps.map(({ kind, module }) => `${kind} ${module}`).toSorted()).toEqual([
      "celery app.celery_app",
      "fastapi app.main",
    ]);
    expect(project.files.map(({ path }) => path)).toEqual([
      "app/__init__.py",
      "app/celery_app.py",
      "app/main.py",
      "pyproject.toml",
    ]);
    expect(project.withheld.find(({ reason }) => reason === "secret")).toMatchObject({ path: ".env" });
  });

  it("reads the same twice, and with what was remembered", async () => {
    const root = writeRepository({
      ...files,
      "compose.yml": "services:\n  api:\n    build: .\n",
      "sheaf.toml": 'python = "3.12"\n',
    });
    const kept = new Map<string, string>();
    const records = {
      readRecord: <T>(_: string, key: string) =>
        kept.has(key) ? (JSON.parse(kept.get(key) as string) as T) : undefined,
      writeRecord: (_: string, key: string, value: unknown) => void kept.set(key, JSON.stringify(value)),
    };
    const first = await readProject(root);
    expect(await readProject(root, { records })).toEqual(first);
    // Configuration, compose file, apps.
    expect(kept.size).toBe(3);
    expect(await readProject(root, { records })).toEqual(first);
    const [app] = first.apps;
    fs.appendFileSync(path.join(root, app?.file ?? ""), "\nfrom fastapi import FastAPI\nsecond = FastAPI()\n");
    const changed = await readProject(root, { records });
    expect(changed.apps.map(({ attribute }) => attribute)).toContain("second");
    expect(changed).toEqual(await readProject(root));
  });

  it("puts the named app in front", async () => {
    const root = writeRepository({ ...files, "other/web.py": "application = object()\n" });
    const project = await readProject(root, { app: "other.web:application" });
    expect(project.apps[0]).toMatchObject({ module: "other.web", attribute: "application", line: 1, score: 1000 });
    await expect(readProject(root, { app: "app.mian:app" })).rejects.toMatchObject({
      code: "SHEAF_APP",
      hints: ["did you mean app.main?"],
    });
    await expect(readProject(root, { app: "app.main" })).rejects.toMatchObject({ code: "SHEAF_APP" });
  });

  it("takes the folder of the app as the project's, and its requirements", async () => {
    const project = await readProject(
      writeRepository({
        "backend/requirements.txt": "fastapi",
        "backend/requirements-dev.txt": "pytest",
        "backend/requirements/prod.txt": "gunicorn",
        "backend/app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        "requirements.txt": "mkdocs",
        "frontend/package.json": "{}",
      }),
    );
    expect(project.directory).toBe("backend");
    expect(project.dependencyFiles.map(({ file }) => file)).toEqual([
      "backend/requirements/prod.txt",
      "backend/requirements.txt",
    ]);
    expect(project.apps[0]).toMatchObject({ module: "app.main", importRoot: "backend" });
  });

  it("refuses what is no Python project, and leaves a missing app to the caller", async () => {
    await expect(readProject(writeRepository({ "index.js": "" }))).rejects.toMatchObject({ code: "SHEAF_NO_PROJECT" });
    await expect(readProject("/nowhere/at/all")).rejects.toMatchObject({ code: "SHEAF_NO_PROJECT" });
    const project = await readProject(
      writeRepository({ "a.py": "from fastapi import FastAPI\ndef create(x):\n    return FastAPI()\n" }),
    );
    expect(project.apps).toEqual([]);
    expect(project.nearMisses).toHaveLength(1);
  });
});

describe("initConfig", () => {
  it("writes what was detected, and reads back", async () => {
    const project = await readProject(writeRepository({ ...files, Procfile: "beat: celery -A app.celery_app beat\n" }));
    const text = initConfig(project);
    expect(text).toContain('python = "3.12"  # Dockerfile:1');
    expect(text).toContain("port = 9000  # Dockerfile:2");
    const configured = await readProject(writeRepository({ ...files, "pyproject.toml": `${pyproject}\n${text}` }));
    expect(configured.config.images).toMatchObject({
      api: { app: "app.main:app", port: 9000 },
      worker: { role: "worker" },
      beat: { role: "beat", command: ["celery", "-A", "app.celery_app", "beat"] },
    });
  });
});
