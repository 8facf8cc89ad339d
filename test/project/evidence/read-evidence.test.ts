import { describe, expect, it } from "vitest";
import { pythonOf } from "../../../src/project/evidence/dockerfile-evidence.ts";
import { readEvidence } from "../../../src/project/evidence/read-evidence.ts";
import { Repository } from "../../../src/project/repository.ts";
import { writeRepository } from "../write-repository.ts";

const read = (files: Record<string, string>) => readEvidence(new Repository(writeRepository(files)));

const dockerfile = `# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.11
FROM python:\${PYTHON_VERSION}-slim AS base
ENV APP_HOME=/srv/app PATH="/opt/venv/bin:$PATH"
RUN apt-get update && apt-get install -y --no-install-recommends libpq5=15.* tini \\
    # remark
    && rm -rf /var/lib/apt/lists/*
FROM base AS builder
RUN apt-get update && apt-get install -y gcc libpq-dev git
COPY requirements/prod.txt /tmp/requirements.txt
RUN --mount=type=cache,target=/root/.cache pip install --no-cache-dir -r /tmp/requirements.txt gunicorn==23.0 ".[ml]"
FROM base
WORKDIR $APP_HOME
RUN <<END
apt-get update
apt-get install -y -t bookworm-backports libgl1 build-essential curl
apt-get purge -y curl
END
COPY --from=builder /opt/venv /opt/venv
COPY ./app ./app
COPY scripts/start.sh /start.sh
EXPOSE 8000/tcp 9000
HEALTHCHECK --interval=30s CMD curl -f http://localhost:8000/health || exit 1
ENTRYPOINT ["tini", "--"]
CMD ["/start.sh", "--workers", "2"]
`;

describe("readEvidence", () => {
  it("reads a Dockerfile of several stages to the end", async () => {
    const { dockerfiles, services } = await read({
      Dockerfile: dockerfile,
      "requirements/prod.txt": "fastapi",
      "scripts/start.sh": '#!/bin/sh\npython -m app.prestart\nuvicorn app.main:app --port "${PORT:-8000}" "$@"\n',
      "app/main.py": "",
    });
    expect(dockerfiles).toHaveLength(1);
    expect(dockerfiles[0]).toMatchObject({
      file: "Dockerfile",
      baseImage: { value: "python:3.11-slim", source: "Dockerfile:3" },
      pythonVersion: { value: "3.11", source: "Dockerfile:3" },
      workdir: { value: "/srv/app", source: "Dockerfile:13" },
      env: { APP_HOME: { value: "/srv/app", source: "Dockerfile:4" } },
      health: { value: "curl -f http://localhost:8000/health || exit 1", source: "Dockerfile:23" },
      command: { value: ["uvicorn", "app.main:app", "--port", "8000"], source: "scripts/start.sh:3" },
      copies: [
        { from: "app", to: "/srv/app/app", source: "Dockerfile:20" },
        { from: "scripts/start.sh", to: "/start.sh", source: "Dockerfile:21" },
      ],
    });
    expect(dockerfiles[0]?.aptPackages).toEqual([
      { value: "libpq5", source: "Dockerfile:5" },
      { value: "tini", source: "Dockerfile:5" },
      { value: "libgl1", source: "Dockerfile:14" },
    ]);
    expect(dockerfiles[0]?.installs.map(({ value }) => value)).toEqual([
      "requirements/prod.txt",
      "package:gunicorn==23.0",
      "extra:ml",
    ]);
    expect(dockerfiles[0]?.ports.map(({ value }) => value)).toEqual([8000, 9000]);
    expect(services.map(({ name, role }) => `${name} ${role}`)).toEqual(["Dockerfile api"]);
    expect(services[0]?.notes?.map(({ what }) => what)).toEqual(
      expect.arrayContaining(["runs scripts/start.sh", "runs python -m app.prestart before the start"]),
    );
  });

  it("reads compose: builds, roles, queues, environment without secrets, health, ports", async () => {
    const { services } = await read({
      "docker-compose.yml": `x-app: &app
  build: { context: ., target: api, args: { V: "3.13" } }
  environment: &env
    LOG_LEVEL: info
    DB_PASSWORD: hunter2
    BROKER: amqp://user:pass@rabbit/
    FROM_MACHINE:
    DEFAULTED: \${X:-yes}
    UNKNOWN: \${Y}
services:
  api:
    <<: *app
    ports: ["127.0.0.1:80:8000/tcp", { target: 9000 }]
    healthcheck: { test: ["CMD", "curl", "-f", "http://localhost:8000"] }
    env_file: .env
  worker:
    <<: *app
    command: >
      celery -A app.worker worker
      -Q gpu,cpu --loglevel=info
    environment: [LOG_LEVEL=debug]
  beat:
    extends: worker
    entrypoint: []
    command: ["celery", "-A", "app.worker", "beat"]
  tool:
    <<: *app
    profiles: [dev]
  db: { image: "postgres:16" }
`,
      "docker-compose.prod.yml": "services:\n  api:\n    command: uvicorn app.main:app --workers 4\n",
      "docker-compose.override.yml": "services:\n  api:\n    command: uvicorn app.main:app --reload\n",
      Dockerfile:
        'ARG V=3.11\nFROM python:$V AS api\nWORKDIR /code\nCMD ["uvicorn", "app.main:app"]\nFROM api AS test\nCMD ["pytest"]\n',
      "app/main.py": "",
    });
    expect(services.map(({ name, role, target }) => `${name} ${role} ${target}`)).toEqual([
      "api api api",
      "worker worker api",
      "beat beat api",
    ]);
    const [api, worker, beat] = services;
    expect(api).toMatchObject({
      command: { value: ["uvicorn", "app.main:app", "--workers", "4"], source: "docker-compose.prod.yml:3" },
      health: { value: "curl -f http://localhost:8000", source: "docker-compose.yml:14" },
      dockerfile: "Dockerfile",
      workdir: { value: "/code", source: "Dockerfile:3" },
      secretEnv: ["BROKER", "DB_PASSWORD", "FROM_MACHINE", "UNKNOWN"],
    });
    expect(api?.ports.map(({ value }) => value)).toEqual([8000, 9000]);
    expect(Object.entries(api?.env ?? {}).map(([name, { value }]) => `${name}=${value}`)).toEqual([
      "LOG_LEVEL=info",
      "DEFAULTED=yes",
    ]);
    expect(api?.notes).toEqual([
      { what: "takes variables from .env, which is not read", source: "docker-compose.yml:15" },
    ]);
    expect(JSON.stringify(services)).not.toContain("hunter2");
    expect(worker).toMatchObject({ queues: ["gpu", "cpu"], command: { source: "docker-compose.yml:18" } });
    expect(beat?.command?.value).toEqual(["celery", "-A", "app.worker", "beat"]);
  });

  it("builds contexts in folders, runs images that others build, and leaves frontends out", async () => {
    const { services, dockerfiles } = await read({
      "compose.yaml":
        'services:\n  api: { build: ./backend, image: "svc:${TAG-latest}" }\n  worker: { image: "svc:${TAG-latest}", command: [celery, -A, tasks, worker] }\n  web: { build: { context: ./frontend } }\n  proxy: { image: nginx }\n',
      "backend/Dockerfile":
        "FROM python:3.12\nCOPY . /app\nWORKDIR /app\nRUN pip install -r requirements.txt\nCMD uvicorn main:app\n",
      "backend/requirements.txt": "",
      "frontend/Dockerfile": "FROM node:20\nCMD npm start\n",
    });
    expect(services.map(({ name, role, dockerfile }) => `${name} ${role} ${dockerfile}`)).toEqual([
      "api api backend/Dockerfile",
      "worker worker backend/Dockerfile",
    ]);
    expect(dockerfiles.map(({ file, installs }) => [file, installs[0]?.value])).toEqual([
      ["backend/Dockerfile", "backend/requirements.txt"],
    ]);
  });

  it("notes compose files that are no YAML, and bombs", async () => {
    const rows = [..."bcdefghi"].map((name, index) => `${name}: &${name} [${`*${"abcdefghi"[index]}, `.repeat(9)}]`);
    const bomb = `a: &a [x, x]\n${rows.join("\n")}\nservices: {}\n`;
    expect((await read({ "compose.yml": "services:\n  a: [\n" })).notes).toMatchObject([
      { source: "compose.yml", what: expect.stringMatching(/^is not read: /) as string },
    ]);
    expect((await read({ "compose.yml": bomb })).notes).toHaveLength(1);
  });

  it("reads Procfiles", async () => {
    const { services } = await read({
      Procfile: "release: alembic upgrade head\nweb: uvicorn app.main:app --port $PORT\nworker: celery -A app worker\n",
    });
    expect(services.map(({ name, role, command }) => `${name} ${role} ${command?.source}`)).toEqual([
      "web api Procfile:2",
      "worker worker Procfile:3",
    ]);
  });
});

describe("pythonOf", () => {
  it.each([
    ["python:3.12-slim", "3.12"],
    ["docker.io/library/python:3.12.1-slim-bookworm", "3.12.1"],
    ["registry.example.test/mirror/python:3.11@sha256:00", "3.11"],
    ["example.test/uv:python3.13-bookworm", "3.13"],
    ["tiangolo/uvicorn-gunicorn-fastapi:python3.9", "3.9"],
    ["example.test/lambda/python:3.14", "3.14"],
    ["example.test/ubi9/python-311", "3.11"],
    ["python:latest", undefined],
    ["node:20", undefined],
  ])("%s", (image, version) => {
    expect(pythonOf(image)).toBe(version);
  });
});
