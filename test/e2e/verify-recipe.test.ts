import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/cli/commands/verify.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { dockerEngine, output } from "../lab/lab.ts";
import { writeFiles } from "./sheaf.ts";

const docker = dockerEngine();
const slim = "python:3.12-slim";
const hasSlim = docker
  ? await output(docker.command, ["image", "inspect", "--format", "{{.Id}}", slim]).then(
      () => true,
      () => false,
    )
  : false;

/**
 * The recipe that is in many tutorials, and in the plan of the project that the example is modelled on: dependencies and project are
 * installed in place in the builder, and its site-packages are copied over the base's. `started` and `direct` are what people make of it
 * when it does not start.
 */
const recipe = `FROM ${slim} AS builder
WORKDIR /build
RUN apt-get update && apt-get install -y --no-install-recommends libpq5 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml README.md ./
COPY app/ app/
RUN pip install --no-cache-dir --upgrade pip && pip install --no-cache-dir -e .
# An extension that is linked to what the builder has: psycopg2, where a compiler is installed beside.
RUN cp /usr/lib/*-linux-gnu/libpq.so.5 /usr/local/lib/python3.12/site-packages/_psycopg.so

FROM ${slim} AS recipe
WORKDIR /app
RUN groupadd -r appuser && useradd -r -g appuser appuser
COPY --from=builder /usr/local/lib/python3.12/site-packages /usr/local/lib/python3.12/site-packages
COPY --chown=appuser:appuser app/ app/
USER appuser
HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 CMD curl -f http://localhost:8000/health || exit 1
EXPOSE 8000
CMD uvicorn app.main:app --host 0.0.0.0 --port 8000

FROM recipe AS started
CMD python -m uvicorn app.main:app --host 0.0.0.0 --port 8000

FROM recipe AS direct
CMD ["python", "-m", "uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
`;

const files = {
  Dockerfile: recipe,
  "README.md": "# shop\n",
  "pyproject.toml":
    '[project]\nname = "shop"\nversion = "1.0"\ndependencies = ["fastapi", "uvicorn"]\n\n[build-system]\nrequires = ["setuptools>=75"]\nbuild-backend = "setuptools.build_meta"\n',
  "app/__init__.py": "",
  "app/main.py":
    'import time\n\nfrom fastapi import FastAPI\n\ntime.sleep(1)\napp = FastAPI()\n\n\n@app.get("/health")\ndef health() -> dict[str, str]:\n    return {"status": "healthy"}\n',
  "app/.env": "TOKEN=abc\n",
  "contract.toml": '[tool.sheaf.contract]\nstarts = 1\nbuild-args = ["PYTHON_VERSION", "ENABLE_GPU", "APP_ENV"]\n',
};

describe.skipIf(!hasSlim)(`the usual recipe (needs Docker with ${slim}, and a package index)`, () => {
  const { command = "" } = docker ?? {};
  const name = `sheaf-e2e-recipe-${randomBytes(4).toString("hex")}`;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
  const targets = ["recipe", "started", "direct"] as const;

  beforeAll(async () => {
    writeFiles(folder, files);
    // The build itself would fail at its README.md: whoever gets further has no ignore file.
    for (const target of targets)
      await output(command, ["build", "--quiet", "--target", target, "--tag", `${name}:${target}`, folder], 380_000);
    fs.writeFileSync(path.join(folder, ".dockerignore"), "*.md\n.env\n");
  }, 500_000);

  afterAll(async () => {
    for (const target of targets) await output(command, ["rmi", "--force", `${name}:${target}`]).catch(() => "");
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** What does not hold, as `id: what was measured`. */
  async function failures(target: string, more: Record<string, string | boolean>): Promise<string[]> {
    const context = new CommandContext({
      cacheDir: path.join(folder, "store"),
      offline: true,
      quiet: true,
      signal: new AbortController().signal,
    });
    onTestFinished(() => context.close());
    const options = { contract: path.join(folder, "contract.toml"), engine: "docker", ...more };
    const result = await verify.run({ arguments: [`docker-daemon:${name}:${target}`], rest: [], options }, context);
    expect(result.exitCode).toBe(1);
    const { checks } = VerdictDocument.parse(JSON.parse(JSON.stringify(result.json)));
    return checks.filter((check) => check.verdict === "fail").map(({ id, measured }) => `${id}: ${measured}`);
  }

  const startsWith = (id: string, text = "") => expect.stringMatching(new RegExp(`^${id}: .*${text}`));

  it("fails for each of its mistakes, and does not start", { timeout: 300_000 }, async () => {
    const dockerfile = path.join(folder, "Dockerfile");
    expect(await failures("recipe", { dockerfile, target: "recipe" })).toEqual(
      expect.arrayContaining([
        startsWith("dockerfile.ignore"), // README.md is copied and left out; app/.env is not
        startsWith("dockerfile.args", "PYTHON_VERSION"), // python3.12 in its paths: a bump breaks it
        startsWith("python.editable"), // a pointer to /build, while metadata says that the project is there
        startsWith("config.command"), // console scripts were left behind
        startsWith("native.libraries"), // libraries of the builder's packages
        startsWith("files.replaced"), // pip over the base's
        startsWith("python.versions"), // two pips
        startsWith("python.record"), // scripts that RECORD lists
        startsWith("files.secret"), // .env is anchored to the root
        startsWith("config.user"), // a name, which Kubernetes' runAsNonRoot refuses
        startsWith("config.healthcheck-probe"), // curl is not there
        startsWith("config.exec-form"), // sh is PID 1
        startsWith("runtime.start", "exit code 127"),
      ]),
    );
  });

  it("as sh's child hears no signal, and prints late", { timeout: 300_000 }, async () => {
    expect(await failures("started", {})).toEqual(
      expect.arrayContaining([
        startsWith("runtime.signal-idle", "had to be killed"),
        startsWith("runtime.signal-inflight", "had to be killed"),
        startsWith("runtime.signal-start", "had to be killed"),
        startsWith("runtime.healthcheck"),
        startsWith("runtime.logs"),
      ]),
    );
  });

  it("as PID 1 ignores signals while it imports, and reaps nobody", { timeout: 300_000 }, async () => {
    const found = await failures("direct", {});
    expect(found).toEqual(
      expect.arrayContaining([
        startsWith("runtime.signal-start", "had to be killed"),
        startsWith("runtime.zombies", "zombies are left"),
        startsWith("runtime.healthcheck"),
        startsWith("runtime.logs"),
      ]),
    );
    expect(found).not.toContainEqual(startsWith("runtime.signal-idle"));
  });
});
