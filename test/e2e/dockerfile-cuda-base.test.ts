/** Dockerfile.gpu over a CUDA image that has no Python of the wanted version: one that gets there, and is all that is used. */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { output } from "../lab/lab.ts";
import { build, buildKit, editFile } from "./buildkit.ts";
import { base, EngineRoom, inspectImage } from "./dockerfile-example.ts";
import { answerOf } from "./engine-suite.ts";
import { sheaf } from "./sheaf.ts";

const cuda = "nvidia/cuda:12.1.1-runtime-ubuntu22.04";
const client = await buildKit(base, cuda);

describe.skipIf(!client)("Dockerfile.gpu over a CUDA image (skipped without Docker and the base images)", () => {
  const room = new EngineRoom(client ?? "");

  it("builds, and serves with a Python 3.12 of its own", { timeout: 500_000 }, async () => {
    const context = room.context("cuda-base");
    // The API stands in for the worker: its wheels are megabytes, not gigabytes.
    editFile(context, "pyproject.toml", (text) =>
      text
        .replace(/\[tool\.sheaf\.images\.worker\][\s\S]*$/, "")
        .replace("[tool.sheaf.images.api]\n", '[tool.sheaf.images.api]\ngpu = { cuda = "12.1", targets = ["a10"] }\n'),
    );
    const outcome = await sheaf(["dockerfile", context, "--cuda-base", cuda]);
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(fs.readFileSync(path.join(context, "Dockerfile.gpu"), "utf8")).toContain(`FROM ${cuda} AS `);

    // Where uv's own interpreters are can't be reached from everywhere: the same thing comes from 127.0.0.1.
    const downloads = await serveInterpreter(room);
    editFile(context, "Dockerfile.gpu", (text) =>
      text.replace(/ AS builder\n/, ` AS builder\nENV UV_PYTHON_DOWNLOADS_JSON_URL=${downloads}\n`),
    );
    const tag = room.tag("cuda-base");
    await build(room.client, context, { tag, file: "Dockerfile.gpu", network: "host" });

    const { Config } = await inspectImage(room, tag);
    expect(Config.User).toBe("10001:10001");
    // The base has an entrypoint of its own, which would be PID 1.
    expect(Config.Entrypoint?.[0]).toMatch(/tini$/);
    expect(Config.Env).toEqual(
      expect.arrayContaining([
        "NVIDIA_VISIBLE_DEVICES=all",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "CUDA_VERSION=12.1.1",
      ]),
    );
    const program = "import sys, fastapi; print(sys.version_info[:2], sys.base_prefix, fastapi.__file__)";
    expect(await room.runOnce(tag, "python", "-c", program)).toMatch(
      /^\(3, 12\) \/opt\/python\/\S+ \/opt\/venv\/lib\/python3\.12\/site-packages\/fastapi\/__init__\.py$/,
    );
    for (const script of ["uvicorn", "celery", "alembic"])
      expect(await room.runOnce(tag, script, "--version")).toMatch(/\d+\.\d+/);
    const container = await room.start("cuda-base", "-p", "127.0.0.1::8000", tag);
    expect(await answerOf(await container.url("/health"))).toBe('{"status":"healthy"}');
    const [kind, ...probe] = Config.Healthcheck?.Test ?? [];
    expect(kind).toBe("CMD");
    await container.exec(...probe);
    const { seconds, status } = await container.signal("TERM");
    expect([0, 143]).toContain(status);
    expect(seconds).toBeLessThan(10);
  });
});

/** The base image's CPython in the form in which uv downloads interpreters: the address of the list of downloads. */
async function serveInterpreter(room: EngineRoom): Promise<string> {
  const archive = path.join(room.folder("interpreter"), "cpython.tar.gz");
  await output("bash", ["-c", packInterpreter, "bash", room.client, base, archive]);
  const bytes = fs.readFileSync(archive);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const version = await room.runOnce(base, "python", "-c", "import platform; print(platform.python_version())");
  const [major, minor, patch] = version.split(".").map(Number);
  const server = http.createServer((request, response) => {
    if (request.url === "/cpython.tar.gz") return void response.end(bytes);
    const { port } = server.address() as AddressInfo;
    const download = {
      name: "cpython",
      arch: { family: "x86_64", variant: null },
      os: "linux",
      libc: "gnu",
      ...{ major, minor, patch, prerelease: "", variant: null, build: "20240107" },
      url: `http://127.0.0.1:${port}/cpython.tar.gz`,
      sha256,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ [`cpython-${version}-linux-x86_64-gnu`]: download }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/downloads.json`;
}

// uv's interpreters run from any folder. The base's finds its library by the system's list of folders, so it is told.
const packInterpreter = `
set -euo pipefail
"$1" run --rm "$2" sh -c '
  set -e
  cp -a /usr/local /tmp/python
  cd /tmp/python/bin
  minor=$(python3 -c "import sys; print(\\"python%d.%d\\" % sys.version_info[:2])")
  mv $minor $minor.real
  cat >$minor <<SH
#!/bin/bash
here=\\$(dirname "\\$(readlink -f "\\$0")")
LD_LIBRARY_PATH=\\$here/../lib exec -a "\\$0" "\\$here/$minor.real" "\\$@"
SH
  chmod 755 $minor
  tar -C /tmp -c python' | gzip -1 >"$3"
`;
