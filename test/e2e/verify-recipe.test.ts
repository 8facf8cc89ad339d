import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { verify } from "../../src/cli/commands/verify.ts";
import { CommandContext } from "../../src/cli/context.ts";
import { VerdictDocument } from "../../src/report/verdict-schema.ts";
import { temporary } from "../archive/oracle.ts";
import { dockerEngine, output } from "../lab/lab.ts";

const docker = dockerEngine();
const slim = "python:3.12-slim";
const hasSlim = docker
  ? await output(docker.command, ["image", "inspect", "--format", "{{.Id}}", slim]).then(
      () => true,
      () => false,
    )
  : false;

/** The recipe that is in many tutorials: an editable install in the builder, its site-packages copied over the base's. */
const recipe = `FROM ${slim} AS builder
WORKDIR /build
COPY pyproject.toml README.md ./
COPY app/ app/
RUN pip install --no-cache-dir --upgrade pip && pip install --no-cache-dir -e .

FROM ${slim}
WORKDIR /app
RUN groupadd -r appuser && useradd -r -g appuser appuser
COPY --from=builder /usr/local/lib/python3.12/site-packages /usr/local/lib/python3.12/site-packages
COPY --chown=appuser:appuser app/ app/
USER appuser
HEALTHCHECK --interval=30s --timeout=3s --start-period=40s --retries=3 CMD curl -f http://localhost:8000/health || exit 1
EXPOSE 8000
CMD uvicorn app.main:app --host 0.0.0.0 --port 8000
`;

describe.skipIf(!hasSlim)(`the usual recipe (needs Docker with ${slim}, and a package index)`, () => {
  it("fails for each of its mistakes", async () => {
    const folder = temporary();
    const tag = `sheaf-e2e-recipe-${randomBytes(4).toString("hex")}`;
    const files = {
      Dockerfile: recipe,
      "README.md": "# shop\n",
      ".dockerignore": "*.md\n.env\n",
      "pyproject.toml":
        '[project]\nname = "shop"\nversion = "1.0"\ndependencies = ["fastapi", "uvicorn"]\n\n[build-system]\nrequires = ["setuptools>=75"]\nbuild-backend = "setuptools.build_meta"\n',
      "app/__init__.py": "",
      "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
      "app/.env": "TOKEN=abc\n",
    };
    fs.mkdirSync(path.join(folder, "app"));
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
    // The build itself would fail at its README.md: whoever gets further has no ignore file.
    fs.renameSync(path.join(folder, ".dockerignore"), path.join(folder, "ignore"));
    const { command = "" } = docker ?? {};
    onTestFinished(async () => void (await output(command, ["rmi", "--force", tag]).catch(() => "")));
    await output(command, ["build", "--quiet", "--tag", tag, folder], 380_000);
    fs.renameSync(path.join(folder, "ignore"), path.join(folder, ".dockerignore"));
    const context = new CommandContext({
      cacheDir: path.join(folder, "store"),
      offline: true,
      quiet: true,
      signal: new AbortController().signal,
    });
    onTestFinished(() => context.close());
    const options = { static: true, dockerfile: path.join(folder, "Dockerfile") };
    const result = await verify.run({ arguments: [`docker-daemon:${tag}:latest`], rest: [], options }, context);
    expect(result.exitCode).toBe(1);
    const { checks } = VerdictDocument.parse(JSON.parse(JSON.stringify(result.json)));
    const failed = checks.filter((check) => check.verdict === "fail").map(({ id }) => id);
    expect(failed).toEqual(
      expect.arrayContaining([
        "config.user", // a name
        "config.healthcheck-probe", // curl is not there
        "config.command", // scripts were left behind
        "config.exec-form",
        "files.replaced", // pip over the base's
        "files.secret", // .env is anchored to the root
        "python.record", // scripts that RECORD lists
        "python.versions", // two pips
        "python.editable", // /build
        "dockerfile.ignore", // README.md, app/.env
      ]),
    );
  }, 500_000);
});
