import { execFileSync, spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { importClosure, type ImportClosure } from "../../src/project/import-closure.ts";
import { writeRepository } from "./write-repository.ts";

function closure(
  files: Record<string, string>,
  start: string[],
  options: { roots?: string[]; provided?: string[] } = {},
): ImportClosure {
  const provided = new Set(options.provided);
  return importClosure({
    start,
    files: new Map(Object.entries(files)),
    importRoots: options.roots ?? [""],
    provided: (module) => provided.has(module),
  });
}

function hasPython(): boolean {
  try {
    execFileSync("python3", ["-c", "pass"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Files of the repository that Python itself loads for an import; undefined where a circle of imports makes it give up. */
function pythonLoads(root: string, module: string): string[] | undefined {
  const script = `import sys, importlib, os; sys.dont_write_bytecode = True; sys.path.insert(0, os.getcwd()); importlib.import_module(${JSON.stringify(module)})
print("\\n".join(os.path.relpath(m.__file__) for m in sys.modules.values() if getattr(m, "__file__", None) and m.__file__.startswith(os.getcwd())))`;
  const python = spawnSync("python3", ["-I", "-c", script], { cwd: root, encoding: "utf8" });
  if (python.stderr.includes("ImportError: cannot import name")) return undefined;
  if (python.status !== 0) throw new Error(python.stderr);
  return python.stdout.trim().split("\n").toSorted();
}

describe("importClosure", () => {
  it.skipIf(!hasPython())("reaches what Python loads, on random packages (skipped without python3)", () => {
    const modules = [
      "a.py",
      "b.py",
      "p/__init__.py",
      "p/x.py",
      "p/y.py",
      "p/q/__init__.py",
      "p/q/z.py",
      "n/m.py",
      "n/o/k.py",
    ];
    const statement = fc.constantFrom(
      "import a",
      "import p.x",
      "from p import y",
      "from p.q import z",
      "import p.q.z as w",
      "from n import m",
      "import n.o.k",
      "from n.o import k",
      "import b",
      "from p import q",
      "pass",
    );
    const relative = fc.constantFrom("from . import x", "from .q import z", "from .y import __doc__", "pass");
    const body = (path: string): fc.Arbitrary<string> =>
      fc
        .tuple(
          fc.array(statement, { maxLength: 2 }),
          /^p\/[^/]*$/.test(path) ? fc.array(relative, { maxLength: 1 }) : fc.constant([]),
        )
        .map(([one, two]) => [...one, ...two, ""].join("\n"));
    const tree = fc.record(Object.fromEntries(modules.map((path) => [path, body(path)])));
    fc.assert(
      fc.property(tree, fc.constantFrom("a", "p.q.z", "n.o.k"), (files, start) => {
        const loaded = pythonLoads(writeRepository(files), start);
        fc.pre(loaded !== undefined);
        expect(closure(files, [start]).reached.toSorted()).toEqual(loaded);
      }),
      { numRuns: 15 },
    );
  });

  it("gives the chain to a missing module, and an error before a note", () => {
    const files = {
      "app/__init__.py": "",
      "app/main.py": "import fastapi\nfrom app.services import photo\n\ndef f():\n    import lazy\n",
      "app/services/__init__.py": "",
      "app/services/photo.py":
        "from ..tasks import ml\ntry:\n    import ujson\nexcept ImportError:\n    ujson = None\n",
      "app/tasks/__init__.py": "",
      "app/tasks/ml.py": "import os\nimport torch.nn\nfrom app import gone\nimport app.missing\n",
    };
    const found = closure(files, ["app.main"], { provided: ["fastapi", "os"] });
    const chain = [
      { file: "app/main.py", line: 2 },
      { file: "app/services/photo.py", line: 1 },
    ];
    expect(found.missing).toEqual([
      { module: "torch.nn", severity: "error", chain: [...chain, { file: "app/tasks/ml.py", line: 2 }] },
      { module: "app.missing", severity: "error", chain: [...chain, { file: "app/tasks/ml.py", line: 4 }] },
      { module: "lazy", severity: "note", chain: [{ file: "app/main.py", line: 5 }] },
      {
        module: "ujson",
        severity: "note",
        chain: [
          { file: "app/main.py", line: 2 },
          { file: "app/services/photo.py", line: 3 },
        ],
      },
    ]);
    expect([...found.thirdParty]).toEqual(["fastapi", "torch", "lazy", "ujson"]);
  });

  it("keeps the error when a module is also imported lazily, whichever is read first", () => {
    const files = { "main.py": "def f():\n    import other\nimport other\n", "other.py": "import torch\n" };
    expect(closure(files, ["main"]).missing).toMatchObject([
      { module: "torch", severity: "error", chain: [{ line: 3 }, { line: 1 }] },
    ]);
  });

  it("ignores type checking and notes what only a condition imports", () => {
    const files = { "main.py": "if TYPE_CHECKING:\n    import typed\nif x:\n    import tomli\n" };
    expect(closure(files, ["main"]).missing).toMatchObject([{ module: "tomli", severity: "note" }]);
  });

  it("follows names in strings as notes", () => {
    const files = {
      "main.py": 'import uvicorn\nuvicorn.run("web:app")\n',
      "web.py":
        'celery = Celery("x", include=["jobs.one", "jobs.gone"])\ncelery.autodiscover_tasks(["pkg"])\ncelery.conf.update(imports=("late",))\nimportlib.import_module("plugin")\n',
      "jobs/__init__.py": "",
      "jobs/one.py": "",
      "pkg/__init__.py": "",
      "pkg/tasks.py": "import torch",
    };
    const found = closure(files, ["main"], { provided: ["uvicorn"] });
    expect(found.reached.toSorted()).toEqual([
      "jobs/__init__.py",
      "jobs/one.py",
      "main.py",
      "pkg/__init__.py",
      "pkg/tasks.py",
      "web.py",
    ]);
    expect(found.missing.map(({ module, severity }) => `${module} ${severity}`).toSorted()).toEqual([
      "jobs.gone note",
      "late note",
      "plugin note",
      "torch note",
    ]);
  });

  it("knows namespaces, several roots, missing starts and folders named like distributions", () => {
    const files = {
      "src/app/main.py": "import docker\nimport google.cloud.storage\nimport six.moves.urllib\n",
      "docker/build.py": "",
      "google/own.py": "",
    };
    const found = closure(files, ["app.main", "nowhere"], {
      roots: ["src", ""],
      provided: ["docker", "google", "google.cloud", "six"],
    });
    expect(found.reached).toEqual(["src/app/main.py"]);
    expect(found.missing.map(({ module, chain }) => `${module} ${chain.length}`)).toEqual([
      "nowhere 0",
      "google.cloud.storage 1",
    ]);
    expect([...found.thirdParty]).toContain("docker");
  });

  it("goes round circles once", () => {
    expect(closure({ "a.py": "import b", "b.py": "import a" }, ["a"]).reached).toEqual(["a.py", "b.py"]);
  });
});
