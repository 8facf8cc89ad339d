import * as fs from "node:fs";

import { chooseImages } from "../../src/plan/choose-images.ts";
import { describeDeployment } from "../../src/plan/describe-deployment.ts";
import type { Deployment, DeploymentOptions } from "../../src/plan/deployment.ts";
import { describeImage } from "../../src/plan/describe-image.ts";
import type { ImageSketch } from "../../src/plan/image-plan.ts";
import { readOwnCode } from "../../src/plan/own-code.ts";
import { sketchDebianImage } from "../../src/plan/plan-debian.ts";
import { readProject } from "../../src/project/read-project.ts";
import type { Resolution } from "../../src/resolve/resolution.ts";
import type { Store } from "../../src/store/store.ts";
import { type FileSpec, writeRepository } from "../project/write-repository.ts";

/** All that placing asks of a store: records of large files, of which there are none here. */
const noStore = { readRecord: () => undefined, writeRecord: () => undefined } as unknown as Store;

export interface DeploymentCase {
  files: Record<string, FileSpec>;
  /** Distributions of every image. */
  distributions: string[];
  options?: DeploymentOptions;
}

/** What a repository comes to, with its distributions told instead of resolved. */
export async function deploymentOf({ files, distributions, options }: DeploymentCase): Promise<Deployment> {
  const project = await readProject(writeRepository(files));
  const code = readOwnCode(project);
  const resolution = { distributions: distributions.map((name) => ({ name })) } as unknown as Resolution;
  const images = chooseImages(project).map((intent): ImageSketch => {
    if (intent.kind === "debian") return sketchDebianImage(project, intent);
    const { run, placed } = describeImage({
      project,
      intent,
      resolution,
      sources: code.sources,
      store: noStore,
      base: "debian:bookworm",
    });
    return {
      ...run,
      kind: "python",
      shell: project.config.shell ?? true,
      packages: [],
      distributions,
      files: placed.files.map((file) => file.path),
    };
  });
  return describeDeployment({ project, code, images }, options);
}

const api = 'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/health")\ndef health():\n    return {}\n';
const celery = 'from celery import Celery\ncelery = Celery("jobs")\n';

/** Six kinds of repository, by the name of their golden files. */
export const cases: Record<string, DeploymentCase> = {
  "api-alone": {
    files: {
      "pyproject.toml": '[project]\nname = "hello"\nversion = "1.0"\n',
      "app/__init__.py": "",
      "app/main.py": api,
    },
    distributions: ["fastapi", "uvicorn"],
  },
  "everything-by-url": {
    files: {
      "pyproject.toml": '[project]\nname = "Big.Shop"\nversion = "1.0"\n[tool.sheaf]\nwritable = ["uploads"]\n',
      "app/__init__.py": "",
      "app/main.py": api,
      "app/worker.py": celery,
      "app/settings.py": [
        "from pydantic_settings import BaseSettings",
        "class Settings(BaseSettings):",
        '    database_url: str = "postgresql+asyncpg://shop:shop@localhost:5432/catalogue?ssl=disable"',
        '    celery_broker_url: str = "redis://localhost:6379/2"',
        "    secret_key: str",
        '    session_secret: str = "changeme"',
        "    sentry_dsn: str | None = None",
        '    log_level: str = "INFO"',
        '    template: str = "a${b}"',
        "    bucket: str",
        "",
      ].join("\n"),
      "alembic.ini": "[alembic]\nscript_location = alembic\n",
      "alembic/env.py": "",
      Procfile: [
        "web: uvicorn app.main:app --host 0.0.0.0 --port 8000",
        "worker: celery -A app.worker worker -Q mail,celery",
        "beat: celery -A app.worker beat",
        "flower: celery -A app.worker flower",
        "",
      ].join("\n"),
    },
    distributions: ["fastapi", "uvicorn", "celery", "flower", "redis", "asyncpg", "sqlalchemy", "alembic"],
  },
  "own-servers": {
    files: {
      "pyproject.toml": [
        '[project]\nname = "shop"\nversion = "1.0"',
        '[tool.sheaf.images.cache]\nkind = "debian"\npackages = ["redis-server"]',
        '[tool.sheaf.images.postgres]\nkind = "debian"\npackages = ["postgresql-15"]',
        '[tool.sheaf.images.proxy]\nkind = "debian"\npackages = ["haproxy"]\nport = 8080',
        'command = ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]\nwritable = ["/var/lib/haproxy"]\n',
      ].join("\n"),
      "app/__init__.py": "",
      "app/main.py": `import os\n${api}DATABASE_URL = os.environ["DATABASE_URL"]\nREDIS = os.environ["REDIS_URL"]\n`,
    },
    distributions: ["fastapi", "uvicorn", "redis", "psycopg", "sqlalchemy"],
  },
  "parts-of-addresses": {
    files: {
      "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n',
      "src/shop/__init__.py": "",
      "src/shop/main.py": api,
      "src/shop/config.py": [
        "from pydantic import SecretStr",
        "from pydantic_settings import BaseSettings",
        "class Settings(BaseSettings):",
        "    POSTGRES_SERVER: str",
        "    POSTGRES_PORT: int = 5432",
        '    POSTGRES_USER: str = "shopkeeper"',
        "    POSTGRES_PASSWORD: SecretStr",
        '    POSTGRES_DB: str = "app"',
        '    REDIS_HOST: str = "localhost"',
        "    API_KEY: SecretStr | None = None",
        "    FRONTEND_HOST: str",
        "",
      ].join("\n"),
    },
    distributions: ["fastapi", "uvicorn", "redis", "psycopg2-binary"],
  },
  "gpu-worker": {
    files: {
      "pyproject.toml": [
        '[project]\nname = "vision"\nversion = "1.0"',
        '[tool.sheaf.images.api]\ncommand = ["uvicorn", "app.main:app", "--port", "8000"]',
        '[tool.sheaf.images.worker]\ncommand = ["celery", "-A", "app.worker", "worker", "--queues=images", "--pool=solo"]',
        'gpu = { cuda = "12.1", targets = ["t4", "a10", "l4", "h100"] }\n',
      ].join("\n"),
      "app/__init__.py": "",
      "app/main.py": api,
      "app/worker.py": `import os\n${celery}REDIS = os.environ["REDIS_URL"]\nDB = os.getenv("DATABASE_URL", "postgresql://me:me@localhost/vision")\n`,
    },
    distributions: ["fastapi", "uvicorn", "celery", "redis", "asyncpg"],
    options: { external: ["postgres"] },
  },
  "worker-alone": {
    files: {
      "pyproject.toml": '[project]\nname = "jobs"\nversion = "1.0"\n[tool.sheaf]\nshell = false\n',
      "jobs/__init__.py": "",
      "jobs/tasks.py": 'from celery import Celery\napp = Celery("jobs", broker="redis://localhost")\n',
    },
    distributions: ["celery", "redis"],
  },
};

/** Compares with a golden file; UPDATE_GOLDEN=1 writes it. */
export function golden(file: string, text: string): string {
  if (process.env["UPDATE_GOLDEN"]) {
    fs.mkdirSync(new URL(".", `file://${file}`).pathname, { recursive: true });
    fs.writeFileSync(file, text);
  }
  return fs.readFileSync(file, "utf8");
}
