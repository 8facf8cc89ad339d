import { describe, expect, it } from "vitest";
import { placeFiles } from "../../src/plan/app-files.ts";
import { chooseImages, type ImageIntent } from "../../src/plan/choose-images.ts";
import { imageSettings } from "../../src/plan/settings.ts";
import { readProject } from "../../src/project/read-project.ts";
import type { Store } from "../../src/store/store.ts";
import { type FileSpec, writeRepository } from "../project/write-repository.ts";

const api = "from fastapi import FastAPI\napp = FastAPI()\n";
const celery = 'from celery import Celery\napp = Celery("tasks")\n';

async function imagesOf(files: Record<string, FileSpec>) {
  const project = await readProject(writeRepository(files));
  const intents = chooseImages(project);
  const image = (name: string): ImageIntent => {
    const found = intents.find((intent) => intent.name === name);
    if (!found) throw new Error(`no image ${name} among ${intents.map((intent) => intent.name).join(", ")}`);
    return found;
  };
  return { project, names: intents.map(({ name }) => name), image };
}

function environmentOf(project: Awaited<ReturnType<typeof readProject>>, intent: ImageIntent, appEnv?: string) {
  return imageSettings({
    project,
    intent,
    command: intent.command ?? { value: ["uvicorn", "main:app"], source: "default" },
    workdir: { value: "/app", source: "default" },
    importRoots: ["app"],
    port: intent.port,
    health: undefined,
    base: "debian:bookworm",
    user: { name: "appuser", uid: 10001, gid: 10001 },
    ...(appEnv === undefined ? {} : { appEnv: { value: appEnv, source: "--build-arg APP_ENV" } }),
  }).env;
}

/** All that placing asks of a store: records of large files, of which there are none here. */
const noStore = { readRecord: () => undefined, writeRecord: () => undefined } as unknown as Store;

describe("two services with a Dockerfile and requirements each", () => {
  const files = {
    "compose.yml":
      "services:\n  web:\n    build: ./web\n    command: uvicorn main:app\n  jobs:\n    build: ./jobs\n    command: celery -A tasks worker\n",
    "web/Dockerfile":
      "FROM python:3.12\nCOPY requirements.txt /\nRUN pip install -r requirements.txt\nCOPY code /srv\nWORKDIR /srv\n",
    "web/requirements.txt": "fastapi\nuvicorn\n",
    "web/code/main.py": api,
    "jobs/Dockerfile":
      "FROM python:3.12\nCOPY requirements.txt dev.txt /\nRUN pip install -r requirements.txt\nRUN pip install -r requirements-dev.txt\nCOPY code /srv\nWORKDIR /srv\n",
    "jobs/requirements.txt": "celery\n",
    "jobs/requirements-dev.txt": "pytest\n",
    "jobs/code/tasks.py": celery,
  };

  it("installs in each image what its own Dockerfile installs, without what is for development", async () => {
    const { image } = await imagesOf(files);
    expect(image("api").requirements).toEqual({ value: ["web/requirements.txt"], source: "web/Dockerfile:3" });
    expect(image("worker").requirements?.value).toEqual(["jobs/requirements.txt"]);
  });

  it("puts the code where a Dockerfile in a subfolder copies it", async () => {
    const { project, image } = await imagesOf(files);
    const placed = placeFiles({ project, intent: image("worker"), workdir: "/srv", store: noStore });
    expect(placed.files.find(({ from }) => from === "jobs/code/tasks.py")?.path).toBe("srv/tasks.py");
    expect(placed.importRoots[0]).toBe("srv");
  });

  it("imports a package from the folder that it is copied into", async () => {
    const { project, image } = await imagesOf({
      "backend/app/__init__.py": "",
      "backend/app/main.py": api,
      "docker/Dockerfile": "FROM python:3.12\nCOPY backend/app /app\nWORKDIR /\nCMD uvicorn app.main:app\n",
    });
    const placed = placeFiles({ project, intent: image("api"), workdir: "/srv", store: noStore });
    expect(placed.files.find(({ from }) => from === "backend/app/main.py")?.path).toBe("app/main.py");
    expect(placed.importRoots[0]).toBe("");
  });

  it("leaves requirements to a lock where there is one", async () => {
    const { image } = await imagesOf({
      "main.py": api,
      "uv.lock": "",
      "pyproject.toml": '[project]\nname = "x"\n',
      "requirements.txt": "fastapi\n",
      Dockerfile: "FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD uvicorn main:app\n",
    });
    expect(image("api").requirements).toBeUndefined();
  });
});

describe("extras and groups", () => {
  const pyproject =
    '[project]\nname = "x"\n[project.optional-dependencies]\nml = ["torch"]\n[dependency-groups]\nweb = ["fastapi"]\ndev = ["pytest"]\n';

  it("are those that the Dockerfile installs", async () => {
    const { image } = await imagesOf({
      "main.py": api,
      "pyproject.toml": pyproject,
      "uv.lock": "",
      Dockerfile: "FROM python:3.12\nCOPY . .\nRUN uv sync --extra ml --group web --group dev\nCMD uvicorn main:app\n",
    });
    expect(image("api").extras).toEqual({ value: ["ml"], source: "Dockerfile:3" });
    expect(image("api").groups).toEqual({ value: ["web"], source: "Dockerfile:3" });
  });

  it("are those that uv installs by default, without development's", async () => {
    const { image } = await imagesOf({
      "main.py": api,
      "pyproject.toml": `${pyproject}[tool.uv]\ndefault-groups = ["dev", "web"]\n`,
    });
    expect(image("api").groups).toEqual({ value: ["web"], source: "pyproject.toml:9" });
  });
});

describe("commands", () => {
  it("gives beat's schedule a place that can be written, unless it has one", async () => {
    const compose = (command: string) => `services:\n  clock:\n    build: .\n    command: ${command}\n`;
    const files = { "main.py": api, "tasks.py": celery, Dockerfile: "FROM python:3.12\nCOPY . .\n" };
    const without = await imagesOf({ ...files, "compose.yml": compose("celery -A tasks beat -l info") });
    expect(without.image("beat").command?.value.at(-1)).toBe("--schedule=/tmp/celerybeat-schedule");
    const having = await imagesOf({ ...files, "compose.yml": compose("celery -A tasks beat -s /data/times") });
    expect(having.image("beat").command?.value).toEqual(["celery", "-A", "tasks", "beat", "-s", "/data/times"]);
  });

  it("reads variables that only the Dockerfile's build arguments give", async () => {
    const { image } = await imagesOf({
      "main.py": api,
      Dockerfile: `FROM python:3.12
ARG SERVE_ON=8123
HEALTHCHECK CMD curl -f http://localhost:\${SERVE_ON}/live || exit 1
CMD ["sh", "-c", "uvicorn main:app --port \${SERVE_ON}"]
`,
    });
    expect(image("api").command?.value).toEqual(["uvicorn", "main:app", "--port", "8123"]);
    expect(image("api").port?.value).toBe(8123);
    expect(image("api").service?.health?.value).toContain("http://localhost:8123/live");
  });

  it("follows a start script whose defaults are made of other variables", async () => {
    const { image } = await imagesOf({
      "app/main.py": api,
      "start.sh": `#!/bin/sh
MODULE=\${MODULE:-app.main}
export TARGET=\${TARGET:-"$MODULE:\${NAME:-app}"}
exec gunicorn -k uvicorn.workers.UvicornWorker "$TARGET"
`,
      Dockerfile: 'FROM python:3.12\nCOPY . /\nCMD ["/start.sh"]\n',
    });
    expect(image("api").command?.value.at(-1)).toBe("app.main:app");
  });

  it("keeps workers of several queues apart under their own names, and folds twins", async () => {
    const worker = (name: string, queue: string) =>
      `  ${name}:\n    build: .\n    command: celery -A tasks worker -Q ${queue}\n`;
    const { names } = await imagesOf({
      "main.py": api,
      "tasks.py": celery,
      Dockerfile: "FROM python:3.12\nCOPY . .\n",
      "compose.yml": `services:\n${worker("mail_jobs", "mail")}${worker("ml", "ml")}${worker("ml-twin", "ml")}`,
    });
    expect(names).toEqual(["api", "mail-jobs", "ml"]);
  });
});

describe("flower", () => {
  it("gets what a Dockerfile of its own installs, not the project's requirements", async () => {
    const { image } = await imagesOf({
      "main.py": api,
      "tasks.py": celery,
      "requirements.txt": "fastapi\n",
      Dockerfile: "FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\n",
      "flower/Dockerfile": 'FROM python:3.12\nRUN pip install "flower==2.0.1"\n',
      "compose.yml": "services:\n  flower:\n    build: ./flower\n    command: celery flower --port=5555\n",
    });
    expect(image("flower").distributions).toEqual({ value: ["flower==2.0.1"], source: "flower/Dockerfile:2" });
    expect(image("api").distributions).toBeUndefined();
  });
});

describe("files", () => {
  it("ships the tasks.py of a Celery application", async () => {
    const { project } = await imagesOf({
      "main.py": api,
      "tasks.py": celery,
      "noxfile.py": "",
      "requirements.txt": "",
    });
    expect(project.files.map(({ path }) => path)).toEqual(["main.py", "tasks.py"]);
  });
});

describe("environment variables", () => {
  it("has no APP_ENV that nobody asked for: applications check it against names of their own", async () => {
    const { project, image } = await imagesOf({ "main.py": api });
    expect(environmentOf(project, image("api"))).not.toHaveProperty("APP_ENV");
    expect(environmentOf(project, image("api"), "staging")["APP_ENV"]).toEqual({
      value: "staging",
      source: "--build-arg APP_ENV",
    });
  });

  it("leaves out proxies of a build that were not given", async () => {
    const { project, image } = await imagesOf({
      "main.py": api,
      Dockerfile:
        "FROM python:3.12\nARG HTTP_PROXY\nENV HTTP_PROXY=$HTTP_PROXY MODE=\nCOPY . .\nCMD uvicorn main:app\n",
    });
    const env = environmentOf(project, image("api"));
    expect(env).not.toHaveProperty("HTTP_PROXY");
    expect(env["MODE"]?.value).toBe("");
  });
});
