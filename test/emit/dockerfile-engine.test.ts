/** Each kind of repository, planned by the command line and built by a real engine, against the same golden files. */
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { createFetcher } from "../../src/fetch/create-fetcher.ts";
import { findUv } from "../../src/resolve/find-uv.ts";
import { openStore } from "../../src/store/store.ts";
import { buildWheel } from "../wheel/build-wheel.ts";
import { output, pythonOf, tool } from "../lab/lab.ts";
import { build, buildKit } from "../e2e/buildkit.ts";
import { base, EngineRoom, inspectImage } from "../e2e/dockerfile-example.ts";
import { type LocalIndex, requirementsOf, type ServedWheel, serveWheels } from "../e2e/local-index.ts";
import { sharedStore, sheaf, writeFiles } from "../e2e/sheaf.ts";
import { type Kind, kinds } from "./dockerfile-kinds.ts";

const client = await buildKit(base);
const cudaBase = "nvidia/cuda:12.1.1-runtime-ubuntu22.04";
const withCuda = await buildKit(base, cudaBase);
const buildx = tool("docker-buildx");
const golden = path.join(import.meta.dirname, "golden");

describe.skipIf(!client)(
  "repositories built from their Dockerfiles (skipped without Docker and its base image)",
  () => {
    const room = new EngineRoom(client ?? "");

    it.each(kinds)("$name", { timeout: 400_000 }, async (kind) => {
      const credentials = kind.name === "private-index" ? `ci:${room.unique}` : undefined;
      const open = await serveWheels(wheels);
      const folder = writeFiles(room.folder(kind.name), { ...kind.files, ...(await lockOf(kind, open)) });

      // What has no lock is resolved by uv, which the test's own index doesn't have.
      await bringUv(folder);
      const outcome = await sheaf(["dockerfile", folder], { env: open.env });
      expect(outcome.code, outcome.stderr).toBe(0);
      for (const name of fs.readdirSync(path.join(golden, kind.name)).filter((each) => !each.endsWith(".lock"))) {
        const written = fs.readFileSync(path.join(folder, name.replace(/^dockerignore$/, ".dockerignore")), "utf8");
        expect(written).toBe(fs.readFileSync(path.join(golden, kind.name, name), "utf8"));
      }
      const again = await sheaf(["dockerfile", folder, "--check"], { env: open.env });
      expect([again.code, again.stdout]).toEqual([0, expect.stringContaining("as planned")]);

      if (buildx) {
        const words = ["build", "--check", "--progress=plain", folder];
        expect(await output("sh", ["-c", '"$0" "$@" 2>&1', buildx, ...words])).toContain("no warnings found");
      }

      const index = credentials ? await serveWheels(wheels, { credentials }) : open;
      const tag = room.tag(kind.name);
      await build(room.client, folder, { tag, network: "host", secrets: secretsFor(kind, { index, credentials }) });

      const { Config } = await inspectImage(room, tag);
      expect(Config.User).toBe("10001:10001");
      const container = await room.start(kind.name, "--read-only", "-p", "127.0.0.1::8000", tag);
      expect(await container.exec("whoami")).toBe("appuser");
      const [, ...probe] = Config.Healthcheck?.Test ?? [];
      const words = Config.Healthcheck?.Test[0] === "CMD-SHELL" ? ["sh", "-c", ...probe] : probe;
      await until(
        () => container.exec(...words),
        () => container.logs(),
      );
      if (kind.health)
        expect(await (await fetch(await container.url(kind.health))).json()).toEqual({ status: "healthy" });
      expect((await container.signal("TERM")).seconds).toBeLessThan(5);
    });

    /** pip has uv from its usual index, and uv the rest from that of the test. */
    function secretsFor({ lock }: Kind, given: { index: LocalIndex; credentials: string | undefined }): string[] {
      const { index, credentials } = given;
      const url = index.url.replace(/\/\/[^/]*@/, "//");
      const files = writeFiles(room.folder("secrets"), {
        "pip.conf": `[global]\nindex-url = ${url}\n`,
        "uv.toml": `[[index]]\nurl = "${url}"\ndefault = true\n`,
        netrc: `machine 127.0.0.1 login ci password ${credentials?.split(":")[1]}\n`,
      });
      const ids = [lock === "uv.lock" ? "uv.toml" : "pip.conf", ...(credentials === undefined ? [] : ["netrc"])];
      return ids.map((id) => `id=${id},src=${path.join(files, id)}`);
    }

    it.skipIf(!withCuda)(
      "a worker over a CUDA image, with one Python at one place in both stages (skipped without the CUDA image)",
      { timeout: 400_000 },
      async () => {
        const kind = kinds.find(({ name }) => name === "worker");
        if (!kind) throw new Error("there is a worker among the kinds");
        const index = await serveWheels(wheels);
        const config = { "sheaf.toml": '[images.worker]\ngpu = { cuda = "12.1" }\n' };
        const folder = writeFiles(room.folder("cuda"), { ...kind.files, ...config, ...(await lockOf(kind, index)) });
        const outcome = await sheaf(["dockerfile", folder, "--cuda-base", cudaBase], { env: index.env });
        expect(outcome.code, outcome.stderr).toBe(0);
        // uv takes a CPython that lies where it would put its own; the tests' machines can't always fetch that.
        const place = "/opt/python/cpython-3.12.1-linux-x86_64-gnu";
        const text = fs.readFileSync(path.join(folder, "Dockerfile.gpu"), "utf8");
        const stood = text.replace(
          /^RUN .*\n(?=.*uv venv)/m,
          (line) => `RUN mkdir /opt/python && cp -a /usr/local ${place}\n${line}`,
        );
        expect(stood).not.toBe(text);
        fs.writeFileSync(path.join(folder, "Dockerfile.test"), stood);
        const pip = path.join(room.folder("cuda-secrets"), "pip.conf");
        fs.writeFileSync(pip, `[global]\nextra-index-url = ${index.url}\n`);
        const tag = room.tag("cuda");
        const options = { tag, file: "Dockerfile.test", network: "host", secrets: [`id=pip.conf,src=${pip}`] };
        await build(room.client, folder, options);

        const { Config } = await inspectImage(room, tag);
        expect(Config.Env).toEqual(
          expect.arrayContaining([
            "CUDA_VISIBLE_DEVICES=0",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
          ]),
        );
        // The base's CPython looks for its own library where it was; uv's has none.
        const libraries = ["-e", `LD_LIBRARY_PATH=${place}/lib`];
        const program = "import sys, celery; print(sys.prefix, sys.base_prefix, celery.__file__)";
        expect(await room.runOnce(...libraries, "--entrypoint", "python", tag, "-c", program)).toBe(
          `/opt/venv ${place} /opt/venv/lib/python3.12/site-packages/celery/__init__.py`,
        );
        const container = await room.start("cuda", ...libraries, "--read-only", tag);
        const [, ...probe] = Config.Healthcheck?.Test ?? [];
        await until(
          () => container.exec(...probe),
          () => container.logs(),
        );
        expect(await container.exec("whoami")).toBe("appuser");
      },
    );

    it("calls an image ill whose server does not answer", { timeout: 100_000 }, async () => {
      const tag = room.tag("requirements");
      const { Config } = await inspectImage(room, tag);
      const [, ...probe] = Config.Healthcheck?.Test ?? [];
      await expect(room.runOnce("--entrypoint", probe[0] ?? "", tag, ...probe.slice(1))).rejects.toThrow(/URLError/);
    });
  },
);

/** The lock that goes with a repository, made for the index of the test. */
/** Into the store that the command line of the tests uses, unless there is one where it runs. */
function bringUv(folder: string) {
  const store = openStore(sharedStore);
  const emit = () => undefined;
  return findUv(folder, { store, emit, fetcher: createFetcher({ store, emit }) });
}

async function lockOf(kind: Kind, index: LocalIndex): Promise<Record<string, string>> {
  if (kind.lock === "none") return {};
  if (kind.lock === "requirements.txt") {
    const wanted = kind.name === "worker" ? ["celery"] : ["fastapi", "uvicorn"];
    return {
      "requirements.txt": requirementsOf(
        wheels.filter(({ filename }) => wanted.includes(filename.split("-")[0] ?? "")),
      ),
    };
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-uv-lock-"));
  const uv = await bringUv(folder);
  try {
    writeFiles(folder, kind.files);
    const env = { ...process.env, ...index.env, UV_DEFAULT_INDEX: index.url, UV_PYTHON_DOWNLOADS: "never" };
    await promisify(execFile)(uv.command, ["lock", "--project", folder, "--python", pythonOf("3.12") ?? "3.12"], {
      env,
    });
    return { "uv.lock": fs.readFileSync(path.join(folder, "uv.lock"), "utf8") };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function until(ask: () => Promise<unknown>, explain: () => Promise<string>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await ask();
      return;
    } catch (error) {
      if (tries >= 60) throw new Error(await explain(), { cause: error });
      await sleep(250);
    }
  }
}

/** Just enough of each to serve what the repositories have. */
const wheels: ServedWheel[] = [
  buildWheel({
    name: "fastapi",
    files: {
      "fastapi/__init__.py": `class FastAPI:
    def __init__(self):
        self.routes = {}

    def get(self, path):
        def register(function):
            self.routes[path] = function
            return function
        return register
`,
    },
  }),
  buildWheel({
    name: "uvicorn",
    entryPoints: "[console_scripts]\nuvicorn = uvicorn:main\n",
    files: {
      "uvicorn/__init__.py": `import http.server
import importlib
import json
import sys


def main():
    module, _, attribute = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    if "--factory" in sys.argv:
        app = app()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = app.routes.get(self.path)
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer() if answer else None).encode())

    http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
`,
    },
  }),
  buildWheel({
    name: "celery",
    entryPoints: "[console_scripts]\ncelery = celery:main\n",
    files: {
      "celery/__init__.py": `import importlib
import sys
import time


class Celery:
    def __init__(self, *names, **settings):
        pass


def main():
    importlib.import_module(sys.argv[sys.argv.index("-A") + 1])
    time.sleep(3600)
`,
    },
  }),
  buildWheel({ name: "gauge", files: { "gauge/__init__.py": "" } }),
  buildWheel({ name: "fixtures", files: { "fixtures/__init__.py": "" } }),
];
