import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { composeFile } from "../../src/emit/compose/compose-file.ts";
import { authorship } from "../../src/emit/generated-file.ts";
import { pythonWith, requireOrSkip, tool } from "../lab/lab.ts";
import { cases, type DeploymentCase, deploymentOf, golden } from "./deployments.ts";

const goldens = path.join(import.meta.dirname, "golden-compose");
const schema = path.join(import.meta.dirname, "..", "..", ".tools", "schemas", "compose-spec.json");
const validator = fs.existsSync(schema) ? pythonWith("jsonschema", "yaml") : undefined;
const compose = tool("docker-compose");

const write = async (given: DeploymentCase, options = { gpu: true }) => composeFile(await deploymentOf(given), options);

/** What is used of a compose file. */
interface Compose {
  services: Record<
    string,
    {
      image: string;
      environment?: Record<string, string | null>;
      ports?: string[];
      depends_on?: Record<string, { condition: string }>;
      read_only: boolean;
      cap_drop: string[];
      security_opt: string[];
      networks?: string[];
      volumes?: string[];
      restart: string;
      command?: string[];
      working_dir?: string;
      deploy?: { resources: { reservations?: { devices: unknown[] } } };
      healthcheck: { test?: string[]; disable?: boolean };
    }
  >;
  volumes?: Record<string, unknown>;
}

const read = (text: string): Compose => parse(text, { merge: true }) as Compose;

describe.each(Object.entries(cases))("the compose file of %s", (name, given) => {
  it("is as it was (UPDATE_GOLDEN=1 writes it)", async () => {
    const text = await write(given);
    expect(text).toBe(golden(path.join(goldens, `${name}.yaml`), text));
    expect(authorship(text)).toBe("sheaf");
    expect(await write(given)).toBe(text);
  });

  it("hardens every container, and declares every volume", async () => {
    const { services, volumes = {} } = read(await write(given));
    const used = Object.values(services).flatMap((service) => service.volumes ?? []);
    expect(Object.keys(volumes).toSorted()).toEqual([...new Set(used.map((each) => each.split(":")[0]))].toSorted());
    for (const service of Object.values(services)) {
      expect(service).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        tmpfs: expect.arrayContaining(["/tmp"]),
      });
      for (const dependency of Object.keys(service.depends_on ?? {})) expect(services).toHaveProperty(dependency);
    }
  });

  it.skipIf(!requireOrSkip("the compose schema", validator))("is valid in the official schema (needs it)", async () => {
    const program =
      "import json,sys,yaml,jsonschema; jsonschema.validate(yaml.safe_load(sys.stdin), json.load(open(sys.argv[1])))";
    const outcome = spawnSync(validator ?? "", ["-c", program, schema], {
      input: await write(given),
      encoding: "utf8",
    });
    expect(outcome.stderr).toBe("");
    expect(outcome.status).toBe(0);
  });

  it.skipIf(!requireOrSkip("docker-compose", compose))("is read by Docker Compose (needs it)", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-compose-"));
    const text = await write(given);
    fs.writeFileSync(path.join(folder, "compose.yaml"), text);
    const refused = spawnSync(compose ?? "", ["config", "-q"], { cwd: folder, encoding: "utf8" });
    const needed = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, variable = ""]) => variable);
    if (needed.length > 0) expect(refused.stderr).toMatch(/required variable \w+ is missing a value: set \w+ in \.env/);
    fs.writeFileSync(path.join(folder, ".env"), needed.map((variable) => `${variable}=value1\n`).join(""));
    const config = spawnSync(compose ?? "", ["config", "--format", "json"], { cwd: folder, encoding: "utf8" });
    expect(config.stderr).toBe("");
    const { services } = JSON.parse(config.stdout) as Compose;
    expect(Object.keys(services).toSorted()).toEqual(Object.keys(read(text).services).toSorted());
    fs.rmSync(folder, { recursive: true });
  });
});

describe("a compose file", () => {
  const everything = cases["everything-by-url"] as DeploymentCase;

  it("starts servers, then what migrates the database, then the project's own", async () => {
    const { services } = read(await write(everything));
    expect(services["migrate"]).toMatchObject({
      command: ["alembic", "upgrade", "head"],
      restart: "no",
      depends_on: { postgres: { condition: "service_healthy" } },
      healthcheck: { disable: true },
    });
    for (const name of ["api", "worker", "beat", "flower"]) {
      expect(services[name]?.depends_on).toEqual({
        migrate: { condition: "service_completed_successfully" },
        postgres: { condition: "service_healthy" },
        redis: { condition: "service_healthy" },
      });
    }
  });

  it("leads settings to the services, by the driver and database that the code names", async () => {
    const { services } = read(await write(everything));
    expect(services["api"]?.environment).toMatchObject({
      DATABASE_URL: expect.stringMatching(
        /^postgresql\+asyncpg:\/\/shop:\$\{POSTGRES_PASSWORD:\?[^}]+\}@postgres:5432\/catalogue\?ssl=disable$/,
      ),
      CELERY_BROKER_URL: "redis://redis:6379/2",
      LOG_LEVEL: "${LOG_LEVEL:-INFO}",
      TEMPLATE: null,
    });
  });

  it("has no secret in it, not even the code's own default", async () => {
    const text = await write(everything);
    expect(text).not.toContain("changeme");
    expect(read(text).services["api"]?.environment).toMatchObject({
      SECRET_KEY: expect.stringMatching(/^\$\{SECRET_KEY:\?set SECRET_KEY in \.env, app\/settings\.py:5 needs it\}$/),
      SESSION_SECRET: expect.stringContaining(":?"),
      SENTRY_DSN: null,
      BUCKET: expect.stringContaining(":?"),
    });
  });

  it("publishes an API to the network, flower to this machine, servers to nobody", async () => {
    const { services } = read(await write(everything));
    expect(services["api"]?.ports).toEqual(["${API_PORT:-8000}:8000"]);
    expect(services["flower"]?.ports).toEqual(["127.0.0.1:${FLOWER_PORT:-5555}:5555"]);
    expect(services["postgres"]).not.toHaveProperty("ports");
    expect(services["postgres"]?.networks).toEqual(["data"]);
  });

  it("takes the project's own images of servers where there are some", async () => {
    const { services } = read(await write(cases["own-servers"] as DeploymentCase));
    expect(services["postgres"]?.image).toBe("${POSTGRES_IMAGE:-shop-postgres:latest}");
    expect(services["cache"]?.image).toBe("${CACHE_IMAGE:-shop-cache:latest}");
    expect(services["api"]?.environment).toMatchObject({
      REDIS_URL: "redis://cache:6379/0",
      DATABASE_URL: expect.stringContaining("postgresql+psycopg://shop:"),
    });
    expect(services["redis"]).toBeUndefined();
    expect(services["proxy"]?.volumes).toEqual(["proxy-data:/var/lib/haproxy"]);
  });

  it("wires settings that come in parts", async () => {
    const { services } = read(await write(cases["parts-of-addresses"] as DeploymentCase));
    expect(services["api"]?.environment).toMatchObject({
      POSTGRES_SERVER: "postgres",
      POSTGRES_PORT: "5432",
      POSTGRES_USER: "shopkeeper",
      POSTGRES_PASSWORD: expect.stringMatching(/^\$\{POSTGRES_PASSWORD:\?/),
      POSTGRES_DB: "app",
      REDIS_HOST: "redis",
      API_KEY: null,
      FRONTEND_HOST: expect.stringContaining(":?"),
    });
    expect(services["postgres"]?.environment).toMatchObject({ POSTGRES_USER: "shopkeeper", POSTGRES_DB: "app" });
  });

  it("reserves a GPU for who wants one, unless it is told not to", async () => {
    const given = cases["gpu-worker"] as DeploymentCase;
    const worker = read(await write(given)).services["worker"];
    expect(worker?.deploy?.resources.reservations?.devices).toEqual([
      { driver: "nvidia", count: 1, capabilities: ["gpu"] },
    ]);
    const without = read(await write(given, { gpu: false })).services["worker"];
    expect(without?.deploy?.resources.reservations).toBeUndefined();
  });

  it("asks for the address of what is somewhere else, and for no default that leads to this machine", async () => {
    const text = await write(cases["gpu-worker"] as DeploymentCase);
    expect(read(text).services["postgres"]).toBeUndefined();
    expect(read(text).services["api"]?.environment?.["DATABASE_URL"]).toMatch(/^\$\{DATABASE_URL:\?/);
    expect(text).not.toContain("localhost/vision");
  });

  it("lets two APIs have a port each on this machine", async () => {
    const api = "from fastapi import FastAPI\napp = FastAPI()\n";
    const { services } = read(
      await write({
        files: {
          "pyproject.toml":
            '[project]\nname = "two"\n[tool.sheaf.images.one]\napp = "one:app"\n[tool.sheaf.images.other]\napp = "other:app"\n',
          "one.py": api,
          "other.py": api,
        },
        distributions: ["fastapi", "uvicorn"],
      }),
    );
    expect(services["one"]?.ports).toEqual(["${ONE_PORT:-8000}:8000"]);
    expect(services["other"]?.ports).toEqual(["${OTHER_PORT:-8001}:8000"]);
  });

  it("keeps a dollar sign of a command as it is", async () => {
    const text = await write({
      files: {
        "pyproject.toml":
          '[project]\nname = "d"\n[tool.sheaf.images.x]\nkind = "debian"\npackages = ["foo"]\ncommand = ["foo"]\nhealth = ["sh", "-c", "test $HOME"]\n',
        "app.py": "from fastapi import FastAPI\napp = FastAPI()\n",
      },
      distributions: ["fastapi", "uvicorn"],
    });
    expect(read(text).services["x"]?.healthcheck.test).toEqual(["CMD", "sh", "-c", "test $$HOME"]);
  });
});

it("says which service nothing leads to, and which migration is left out", async () => {
  const worker = await deploymentOf(cases["worker-alone"] as DeploymentCase);
  expect(worker.notes.map(({ message }) => message)).toEqual([
    "no setting was found that tells the app where redis is, which redis talks to",
  ]);
  const sqlite = await deploymentOf({
    files: {
      "pyproject.toml": '[project]\nname = "small"\n',
      "main.py": `from fastapi import FastAPI\nimport os\napp = FastAPI()\nDB = os.getenv("DATABASE_URL", "sqlite:///./small.db")\n`,
    },
    distributions: ["fastapi", "uvicorn"],
  });
  expect(sqlite.notes.map(({ message }) => message)).toEqual([expect.stringContaining("DATABASE_URL is a file")]);
  const ignored = await deploymentOf({
    files: { ...(cases["everything-by-url"] as DeploymentCase).files, ".dockerignore": "alembic.ini\n" },
    distributions: ["fastapi", "uvicorn", "celery", "alembic", "flower"],
  });
  expect(ignored.migration).toBeUndefined();
  expect(ignored.notes.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^alembic\.ini is not in the images \(\.dockerignore:1\)/),
  ]);
});
