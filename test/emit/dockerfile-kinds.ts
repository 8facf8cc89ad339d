import type { ImagePlan } from "../../src/plan/image-plan.ts";
import { urlProbe } from "../../src/plan/health.ts";
import { planOf } from "./plan-of.ts";

/** A repository, and the plan that it gives: golden files are made of the plan, images of the repository. */
export interface Kind {
  name: string;
  /** Files of the repository without its lock, by their paths. */
  files: Record<string, string>;
  plans: ImagePlan[];
  /** How it is locked: what a build of the repository has to write first. */
  lock: "uv.lock" | "requirements.txt" | "none";
  /** What answers when it runs: the path of a health route, or a process. */
  health?: string;
}

const python = { ".python-version": "3.12\n" };
const server = ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"];
const main = `from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}
`;

const pyproject = (name: string, more = "") => `[project]
name = "${name}"
version = "1.2.0"
requires-python = ">=3.12"
dependencies = ["fastapi", "uvicorn"]
${more}`;

export const kinds: Kind[] = [
  {
    name: "uv-lock",
    lock: "uv.lock",
    files: {
      ...python,
      "pyproject.toml": pyproject(
        "shelf",
        `
[project.optional-dependencies]
metrics = ["gauge"]

[dependency-groups]
dev = ["fixtures"]

[tool.sheaf]
app-env = "staging"
[tool.sheaf.images.api]
extras = ["metrics"]
`,
      ),
      "app/__init__.py": "",
      "app/main.py": main,
      "app/templates/index.html": "<p>shelf</p>\n",
      "README.md": "# Shelf\n",
      "tests/test_health.py": "def test(): ...\n",
    },
    health: "/health",
    plans: [
      planOf({
        project: { name: "shelf", version: "1.2.0" },
        requiresPython: ">=3.12",
        files: ["app/__init__.py", "app/main.py", "app/templates/index.html", "pyproject.toml"],
        command: server,
        port: 8000,
        env: { APP_ENV: "staging" },
        install: { kind: "uv.lock", files: ["pyproject.toml", "uv.lock"], extras: ["metrics"] },
        withheld: [withheld("README.md"), withheld("tests/"), withheld("uv.lock"), withheld(".python-version")],
      }),
    ],
  },
  {
    name: "requirements",
    lock: "requirements.txt",
    files: { ...python, "main.py": main, "prices.csv": "name,price\n" },
    health: "/health",
    plans: [
      planOf({
        project: { name: "requirements" },
        files: ["main.py", "prices.csv"],
        command: ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"],
        port: 8000,
        install: { kind: "requirements", files: ["requirements.txt"] },
        withheld: [withheld("requirements.txt"), withheld(".python-version")],
      }),
    ],
  },
  {
    name: "src-layout",
    lock: "none",
    files: {
      ...python,
      "pyproject.toml": pyproject("storefront", '\n[tool.sheaf]\nwritable = ["media", "/var/lib/storefront"]\n'),
      "src/storefront/__init__.py": "",
      "src/storefront/main.py": main,
      "migrations/0001.sql": "select 1;\n",
    },
    health: "/health",
    plans: [
      planOf({
        project: { name: "storefront", version: "1.2.0" },
        requiresPython: ">=3.12",
        files: ["migrations/0001.sql", "pyproject.toml", "src/storefront/__init__.py", "src/storefront/main.py"],
        command: ["uvicorn", "storefront.main:app", "--host", "0.0.0.0", "--port", "8000"],
        port: 8000,
        importRoots: ["src"],
        writable: ["app/media", "var/lib/storefront"],
        install: {
          kind: "written",
          files: ["requirements.lock"],
          text: "fastapi==1.0 \\\n    --hash=sha256:0\nuvicorn==1.0 \\\n    --hash=sha256:0\n",
        },
        withheld: [withheld(".python-version")],
      }),
    ],
  },
  {
    name: "factory",
    lock: "requirements.txt",
    files: {
      ...python,
      "sheaf.toml": `packages = ["media-types", "file"]\nlabels = { team = "plants & co" }\n[images.api]\nhealth = "http://localhost:8000/healthz"\nhealth-client = "curl"\n`,
      "web/__init__.py": "",
      "web/application.py": `from fastapi import FastAPI


def create_app() -> FastAPI:
    app = FastAPI()

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    return app
`,
    },
    health: "/healthz",
    plans: [
      planOf({
        project: { name: "factory" },
        files: ["web/__init__.py", "web/application.py"],
        command: ["uvicorn", "web.application:create_app", "--factory", "--host", "0.0.0.0", "--port", "8000"],
        port: 8000,
        health: urlProbe("http://localhost:8000/healthz", "curl"),
        packages: [
          ["curl", "asks for health"],
          ["file", "config"],
          ["libmagic1", "dependency of file"],
        ],
        labels: { team: "plants & co" },
        install: { kind: "requirements", files: ["requirements.txt"] },
        withheld: [withheld("requirements.txt"), withheld(".python-version"), withheld("sheaf.toml")],
      }),
    ],
  },
  {
    name: "worker",
    lock: "requirements.txt",
    files: {
      ...python,
      "jobs/__init__.py": "",
      "jobs/celery.py": 'from celery import Celery\n\ncelery = Celery("jobs", broker="redis://localhost")\n',
    },
    plans: [
      planOf({
        name: "worker",
        role: "worker",
        project: { name: "worker" },
        files: ["jobs/__init__.py", "jobs/celery.py"],
        command: ["celery", "-A", "jobs.celery", "worker", "--loglevel=info"],
        install: { kind: "requirements", files: ["requirements.txt"] },
        withheld: [withheld("requirements.txt"), withheld(".python-version")],
      }),
    ],
  },
  {
    name: "private-index",
    lock: "requirements.txt",
    files: {
      ...python,
      "pyproject.toml": pyproject(
        "ledger",
        '\n[[tool.uv.index]]\nname = "corp"\nurl = "https://packages.example.test/simple"\nexplicit = true\n',
      ),
      "app/__init__.py": "",
      "app/main.py": main,
      "certs/ca.pem": "",
    },
    health: "/health",
    plans: [
      planOf({
        project: { name: "ledger", version: "1.2.0" },
        requiresPython: ">=3.12",
        files: ["app/__init__.py", "app/main.py", "pyproject.toml"],
        command: server,
        port: 8000,
        install: { kind: "requirements", files: ["requirements.txt"], indexes: ["corp"] },
        withheld: [
          withheld("requirements.txt"),
          withheld(".python-version"),
          { path: "certs/ca.pem", reason: "secret", rule: "*.pem, may hold a private key" },
        ],
      }),
    ],
  },
];

function withheld(path: string): ImagePlan["withheld"][number] {
  return { path, reason: "ignored", rule: "default" };
}
