import { describe, expect, it } from "vitest";
import { bestApps, findApps } from "../../src/project/find-apps.ts";
import type { StartTarget } from "../../src/project/start-targets.ts";

function find(files: Record<string, string>, targets: StartTarget[] = []) {
  const folders = new Set(
    Object.keys(files).flatMap((path) => path.split("/").map((_, index, parts) => parts.slice(0, index).join("/"))),
  );
  const found = findApps({
    files: { paths: () => Object.keys(files).filter((path) => path.endsWith(".py")), read: (path) => files[path] },
    hasFile: (path) => path in files,
    hasFolder: (path) => folders.has(path),
    mentions: (path, words) => words.some((word) => files[path]?.includes(word)),
    targets,
  });
  return {
    ...found,
    names: found.apps.map(
      ({ kind, module, attribute, factory }) => `${kind} ${module}:${attribute}${factory ? "()" : ""}`,
    ),
  };
}

describe("findApps", () => {
  it.each([
    ["a plain app", "from fastapi import FastAPI\napp = FastAPI()", ["fastapi main:app"]],
    ["an aliased class", "from fastapi import FastAPI as F\napi = F()", ["fastapi main:api"]],
    ["an aliased module", "import fastapi as f\napp = f.FastAPI(title='x')", ["fastapi main:app"]],
    ["an annotation", "from fastapi import FastAPI\napp: FastAPI = build()", ["fastapi main:app"]],
    [
      "a subclass",
      "import fastapi\nclass Base(fastapi.FastAPI): ...\nclass Own(Base): ...\napp = Own()",
      ["fastapi main:app"],
    ],
    [
      "a factory by its annotation",
      "from fastapi import FastAPI\ndef create_app() -> FastAPI:\n    ...",
      ["fastapi main:create_app()"],
    ],
    [
      "a factory by what it returns",
      "from fastapi import FastAPI\ndef get_app(debug=False):\n    app = FastAPI()\n    return app",
      ["fastapi main:get_app()"],
    ],
    [
      "a called factory",
      "from fastapi import FastAPI\ndef make():\n    return FastAPI()\napp = make()",
      ["fastapi main:app", "fastapi main:make()"],
    ],
    [
      "an app under a condition",
      "from fastapi import FastAPI\nif debug:\n    app = FastAPI(debug=True)\nelse:\n    app = FastAPI()",
      ["fastapi main:app"],
    ],
    [
      "a wrapped app",
      "from fastapi import FastAPI\napi = FastAPI()\napp = socketio.ASGIApp(sio, other_asgi_app=api)",
      ["fastapi main:app", "fastapi main:api"],
    ],
    [
      "an app wrapped under its own name",
      "from fastapi import FastAPI\napp = FastAPI()\napp = CORSMiddleware(app, allow_origins=['*'])",
      ["fastapi main:app"],
    ],
    ["Celery", "from celery import Celery\ncelery_app = Celery('x', broker='redis://')", ["celery main:celery_app"]],
    [
      "a Celery factory",
      "import celery\ndef make_celery():\n    worker = celery.Celery('x')\n    return worker\nqueue = make_celery()",
      ["celery main:queue", "celery main:make_celery()"],
    ],
    [
      "no factories of factory_boy",
      "import factory  # FastAPI, Celery\nclass UserFactory(factory.Factory): ...\nuser = UserFactory()\napp = FastAPIStub()",
      [],
    ],
    ["no aliases", "from fastapi import FastAPI\napp = FastAPI()\napplication = app", ["fastapi main:app"]],
    ["no coroutines", "from fastapi import FastAPI\nasync def create() -> FastAPI: ...", []],
  ])("finds %s", (_, source, expected) => {
    expect(find({ "main.py": source }).names).toEqual(expected);
  });

  it("follows factories, subclasses and re-exports through modules", () => {
    const { names } = find({
      "app/__init__.py": "",
      "app/core.py": "from fastapi import FastAPI\nclass Service(FastAPI): ...\ndef build():\n    return Service()\n",
      "app/wiring.py": "from .core import build as make\nweb = make()\n",
      "app/main.py": "from app.wiring import web\n",
      "app/tasks.py": "from app.celery_app import celery\n",
      "app/celery_app.py": "from celery import Celery\ncelery = Celery()\n",
    });
    expect(names).toEqual([
      "celery app.celery_app:celery",
      "fastapi app.main:web",
      "fastapi app.wiring:web",
      "fastapi app.core:build()",
    ]);
  });

  it("follows a factory with arguments through star imports", () => {
    const { names } = find({
      "users/__init__.py": "",
      "users/app.py": "from core import make_server\nfrom .parts import parts\napp = make_server(parts)\n",
      "core/__init__.py": "from .http import *\n",
      "core/http/__init__.py": "from .errors import *\nfrom .server import *\n",
      "core/http/errors.py": "from fastapi import HTTPException\n",
      "core/http/server.py": "from fastapi import FastAPI\ndef make_server(parts) -> FastAPI:\n    return FastAPI()\n",
    });
    expect(names).toEqual(["fastapi users.app:app"]);
  });

  it("prefers the app that mounts, and names the reason", () => {
    const { apps } = find({
      "v1/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
      "v1/__init__.py": "",
      "server.py":
        "from fastapi import FastAPI\nfrom v1.main import app as v1\nroot = FastAPI()\nroot.mount('/v1', app=v1)\n",
    });
    expect(apps[0]).toMatchObject({ module: "server", attribute: "root" });
    expect(apps.at(-1)?.reasons).toContain("mounted by server.py:3");
  });

  it("believes the command that starts it", () => {
    const app = "from fastapi import FastAPI\napp = FastAPI()\n";
    const files = { "main.py": app, "svc/web.py": app };
    expect(find(files).apps[0]?.module).toBe("main");
    expect(find(files, [{ kind: "fastapi", module: "svc.web", source: "Procfile:1" }]).apps[0]).toMatchObject({
      module: "svc.web",
      importRoot: "",
    });
  });

  it("keeps equals as several", () => {
    const app = "from fastapi import FastAPI\napp = FastAPI()\n";
    const { apps } = find({ "a/main.py": app, "a/__init__.py": "", "b/main.py": app, "b/__init__.py": "" });
    expect(bestApps(apps, "fastapi").map(({ module }) => module)).toEqual(["a.main", "b.main"]);
  });

  it("says what came close", () => {
    const { apps, nearMisses } = find({
      "web.py": "from fastapi import FastAPI\ndef create_app(settings):\n    return FastAPI()\n",
      "run.py": "from fastapi import FastAPI\ndef main():\n    app = FastAPI()\n    uvicorn.run(app)\n",
      "examples/demo.py": "from fastapi import FastAPI\napp = FastAPI()\n",
      "tests/test_x.py": "from fastapi import FastAPI\ndef test():\n    app = FastAPI()\n",
    });
    expect(apps).toEqual([]);
    expect(nearMisses.map(({ file, line, what }) => `${file}:${line} ${what}`)).toEqual([
      "web.py:2 create_app returns FastAPI(), but needs an argument",
      "run.py:3 makes FastAPI() inside main",
      "examples/demo.py:2 is FastAPI(), but in a folder that holds no service",
    ]);
    expect(nearMisses.at(-1)?.try).toBe('--app "examples.demo:app"');
  });

  it.each([
    [
      "a package at the root",
      { "app/__init__.py": "", "app/main.py": "from app.core import x", "app/core.py": "" },
      "app/main.py",
      "",
    ],
    [
      "a package without __init__.py, by its imports",
      { "app/main.py": "from app.core import x", "app/core.py": "" },
      "app/main.py",
      "",
    ],
    [
      "a folder that is the root, by its imports",
      { "app/main.py": "from core import x", "app/core.py": "", "requirements.txt": "" },
      "app/main.py",
      "app",
    ],
    ["a package without imports", { "app/__init__.py": "", "app/main.py": "" }, "app/main.py", ""],
    ["a folder without imports, below the project's", { "app/main.py": "", "requirements.txt": "" }, "app/main.py", ""],
    [
      "a backend with its own project",
      { "backend/pyproject.toml": "", "backend/app/main.py": "" },
      "backend/app/main.py",
      "backend",
    ],
    [
      "a src layout",
      { "pyproject.toml": "", "src/svc/__init__.py": "", "src/svc/main.py": "" },
      "src/svc/main.py",
      "src",
    ],
    ["src as a package", { "src/main.py": "from src.db import x", "src/db.py": "" }, "src/main.py", ""],
    ["a file in src", { "pyproject.toml": "", "src/main.py": "" }, "src/main.py", "src"],
    [
      "a module named like a distribution",
      { "app/__init__.py": "", "app/celery.py": "", "app/main.py": "from celery import x" },
      "app/main.py",
      "",
    ],
  ])("finds the import root of %s", (...[, files, path, root]) => {
    const source: Record<string, string> = { ...files };
    source[path] = `from fastapi import FastAPI\n${source[path]}\napp = FastAPI()\n`;
    expect(find(source).apps.find(({ file }) => file === path)?.importRoot).toBe(root);
  });
});
