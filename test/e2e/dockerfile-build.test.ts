/** How the example's Dockerfile builds: its arguments, what it takes from the context, what it does again after a change. */
import * as fs from "node:fs";
import * as path from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { executed } from "./buildkit-steps.ts";
import { build, buildKit, type BuildOutcome, editFile, tryBuild, withOwnCaches } from "./buildkit.ts";
import { base, EngineRoom, inspectImage } from "./dockerfile-example.ts";
import { filesOf, placesOf } from "./dockerfile-search.ts";
import { answerOf } from "./engine-suite.ts";
import { builtExample, examplePlan } from "./example.ts";
import { serveWheels } from "./local-index.ts";
import { repository, sharedStore, writeFiles } from "./sheaf.ts";

const client = await buildKit(base);
const client313 = await buildKit(base, "python:3.13-slim");

describe.skipIf(!client)("docker build of the example (skipped without Docker and its base image)", () => {
  const room = new EngineRoom(client ?? "");
  const appEnv = "from app.settings import get_settings; print(get_settings().app_env)";
  const first = room.tag("first");
  let context: string;
  let clean: BuildOutcome;

  beforeAll(async () => {
    context = cleanContext("first", "Dockerfile");
    clean = await build(room.client, context, { tag: first, noCache: true });
  }, 400_000);

  /** The example with a Dockerfile that no build has filled a cache for. */
  function cleanContext(name: string, dockerfile: string): string {
    const folder = room.context(name);
    const text = fs.readFileSync(path.resolve(folder, dockerfile), "utf8");
    fs.writeFileSync(path.join(folder, "Dockerfile"), withOwnCaches(text, `${room.unique}-${name}`));
    return folder;
  }

  it.skipIf(!client313)(
    "with PYTHON_VERSION=3.13 (skipped without python:3.13-slim)",
    { timeout: 240_000 },
    async () => {
      const tag = room.tag("python-3.13");
      await build(room.client, context, { tag, args: { PYTHON_VERSION: "3.13" } });
      expect(await room.runOnce(tag, "python", "--version")).toMatch(/^Python 3\.13\./);
      const container = await room.start("python-313", "-p", "127.0.0.1::8000", tag);
      expect(await answerOf(await container.url("/health"))).toBe('{"status":"healthy"}');
      const leftovers = await container.exec("sh", "-c", "find / -xdev -path '*python3.12*' 2>/dev/null | head -3");
      expect(leftovers).toBe("");
    },
  );

  it("with APP_ENV: production unless given, and another where the app sees it", async () => {
    expect(await room.runOnce(first, "python", "-c", appEnv)).toBe("production");
    const tag = room.tag("app-env");
    const { steps } = await build(room.client, context, { tag, args: { APP_ENV: "test" } });
    expect(await room.runOnce(tag, "python", "-c", appEnv)).toBe("test");
    expect(executed(steps).filter((instruction) => instruction.startsWith("RUN "))).toEqual([]);
  });

  it("with ENABLE_GPU=true: takes the worker's stage and lock", { timeout: 60_000 }, async () => {
    // Without a network it gets no further than its first download, which tells the stage all the same.
    const { log } = await tryBuild(room.client, context, { args: { ENABLE_GPU: "true" }, network: "none" });
    expect(log).toContain("requirements/worker.txt");
    expect(log).not.toContain("requirements/api.txt");
  });

  it("with ENABLE_GPU=maybe: fails early, and says which values there are", { timeout: 60_000 }, async () => {
    const { code, log, seconds } = await tryBuild(room.client, context, { args: { ENABLE_GPU: "maybe" } });
    expect(code).not.toBe(0);
    expect(log).toMatch(/ENABLE_GPU\b.*\btrue\b.*\bor\b.*\bfalse\b/i);
    expect(log).toContain("maybe");
    expect(seconds).toBeLessThan(30);
  });

  it("takes no secret, cache or environment of the context into the image", { timeout: 240_000 }, async () => {
    const mark = `planted-${room.unique}`;
    const planted = room.context("planted");
    writeFiles(planted, Object.fromEntries(plantedFiles.map((name) => [name, `${mark} ${name}\n`])));
    writeFiles(planted, { ".venv/lib/ballast": Buffer.alloc(30_000_000, mark) });
    fs.chmodSync(path.join(planted, ".venv/lib/ballast"), 0o755);
    const tag = room.tag("planted");
    const { log } = await build(room.client, planted, { tag });
    expect(await placesOf(room, tag, mark)).toEqual([]);
    // What is ignored isn't even sent.
    const [, figure = "", unit = ""] = /transferring context: ([\d.]+)(B|kB|MB)/.exec(log) ?? [];
    expect(Number(figure) * ({ B: 1, kB: 1e3, MB: 1e6 }[unit] ?? Number.NaN)).toBeLessThan(1e6);
    // The search finds what is there.
    writeFiles(planted, { "app/kept.py": `# ${mark}\n` });
    await build(room.client, planted, { tag });
    expect(await placesOf(room, tag, mark)).toEqual(["app/app/kept.py"]);
  });

  it("leaves the card's list out of the context, by Docker's own rules", async () => {
    const listed = room.context("listed");
    writeFiles(listed, Object.fromEntries(cardsList.map((name) => [name, "x\n"])));
    writeFiles(listed, {
      "app/logs/kept.py": "",
      "app/docs/kept.py": "",
      "Dockerfile.all": "FROM scratch\nCOPY . /\n",
    });
    const tag = room.tag("listed");
    await build(room.client, listed, { tag, file: "Dockerfile.all" });
    const files = await filesOf(room, tag);
    expect(cardsList.filter((name) => files.includes(name))).toEqual([]);
    // The exception after the rule, and folders of the same name elsewhere.
    expect(files).toEqual(
      expect.arrayContaining([".env.example", "app/main.py", "app/logs/kept.py", "app/docs/kept.py"]),
    );
  });

  it("does nothing again when nothing changed", async () => {
    const { steps, seconds } = await build(room.client, context, { tag: room.tag("same") });
    expect(executed(steps)).toEqual([]);
    expect(steps.filter(({ outcome }) => outcome === "cached").length).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(30);
    expect(await room.ask("image", "inspect", "-f", "{{.Id}}", room.tag("same"))).toBe(
      await room.ask("image", "inspect", "-f", "{{.Id}}", first),
    );
  });

  it("does the app's layers again after a change of the code, and nothing else", async () => {
    const changed = path.join(room.folder("changed"), "demeterai");
    fs.cpSync(context, changed, { recursive: true });
    editFile(changed, "app/main.py", (text) => `${text}\n# ${room.unique}\n`);
    const tag = room.tag("changed");
    const { steps, seconds } = await build(room.client, changed, { tag });
    const again = executed(steps);
    expect(again).toContainEqual(expect.stringMatching(/^COPY .*\bapp\b/));
    const dependencies = /\b(?:uv|pip|apt-get|useradd)\b|requirements|site-packages|\.venv/;
    expect(again.filter((instruction) => dependencies.test(instruction))).toEqual([]);
    expect(seconds).toBeLessThan(30);

    // What was rebuilt is small, and stands above all that wasn't.
    const [before, after] = await Promise.all([layersOf(room, first), layersOf(room, tag)]);
    const shared = after.findIndex((layer, index) => layer.digest !== before[index]?.digest);
    expect(shared).toBeGreaterThan(2);
    expect(after.slice(shared).reduce((sum, { size }) => sum + size, 0)).toBeLessThan(2_000_000);
    expect(await room.runOnce(tag, "tail", "-n", "1", "/app/app/main.py")).toBe(`# ${room.unique}`);
  });

  it("downloads nothing that it has after a change of the dependencies", { timeout: 400_000 }, async () => {
    const { requests, secrets } = await indexOfExample(room.folder("index"));
    const changed = cleanContext("dependency", "Dockerfile");
    const options = { tag: room.tag("dependency"), network: "host", secrets };
    await build(room.client, changed, options);
    expect(new Set(requests).size).toBe(requests.length);
    expect(requests).toContainEqual(expect.stringMatching(/^fastapi-/));
    const before = requests.length;
    expect(before).toBeGreaterThan(50);

    editFile(changed, "requirements/api.txt", (text) => text.replace(/^pillow==.*(?:\n[ #].*)*\n/m, ""));
    const { steps } = await build(room.client, changed, options);
    expect(executed(steps).filter((instruction) => instruction.includes("requirements/api.txt"))).toHaveLength(1);
    expect(requests.slice(before)).toEqual([]);
    const absent = "import importlib.util as u; print(u.find_spec('PIL'), u.find_spec('fastapi') is None)";
    expect(await room.runOnce(options.tag, "python", "-c", absent)).toBe("None False");
  });

  it(
    "takes under 5 minutes when clean and under 30 s from the cache; beside it, the baseline",
    { timeout: 400_000 },
    async ({ annotate }) => {
      const baseline = cleanContext("baseline", path.join(repository, "bench/baseline/Dockerfile"));
      const tags = { baseline: room.tag("baseline"), ours: first };
      const times = {
        baseline: await timesOf(baseline, tags.baseline),
        ours: await timesOf(context, room.tag("times"), clean),
      };
      for (const seconds of times.ours) expect(seconds).toBeLessThan(seconds === clean.seconds ? 300 : 30);
      for (const name of ["baseline", "ours"] as const) {
        const [cleanly, same, changed] = times[name].map((seconds) => `${seconds.toFixed(2)} s`);
        const { Size } = await inspectImage(room, tags[name]);
        await annotate(
          `${name}: clean ${cleanly}, nothing changed ${same}, code changed ${changed}, ${(Size / 1e6).toFixed(1)} MB`,
        );
      }
    },
  );

  /** Seconds of a clean build, of the same again, and after a change of the code. */
  async function timesOf(folder: string, tag: string, known?: BuildOutcome): Promise<number[]> {
    const cleanly = known ?? (await build(room.client, folder, { tag, noCache: true }));
    const same = await build(room.client, folder, { tag });
    editFile(folder, "app/main.py", (code) => `${code}\n# ${room.unique}\n`);
    const changed = await build(room.client, folder, { tag });
    return [cleanly, same, changed].map(({ seconds }) => seconds);
  }
});

/** The wheels of the example's API, from the shared store, on an index that counts; and the secrets that make pip and uv ask it. */
async function indexOfExample(folder: string): Promise<{ requests: string[]; secrets: string[] }> {
  await builtExample();
  const { distributions } = await examplePlan();
  const wheels = distributions.map(({ filename, sha256 }) => ({
    filename,
    bytes: fs.readFileSync(path.join(sharedStore, "blobs", "sha256", sha256)),
  }));
  const { url, requests } = await serveWheels(wheels);
  writeFiles(folder, {
    // pip keeps nothing that came without TLS, unless the host is trusted.
    "pip.conf": `[global]\nindex-url = ${url}\ntrusted-host = ${new URL(url).host}\n`,
    "uv.toml": `[[index]]\nurl = "${url}"\ndefault = true\n`,
  });
  const secrets = ["pip.conf", "uv.toml"].map((name) => `id=${name},src=${path.join(folder, name)}`);
  return { requests, secrets };
}

/** What lies about in checkouts, and must not be in an image: at the root, and in the folder that is copied whole. */
const plantedFiles = [
  ...[".env", ".env.production", ".env.local", "app/.env", "app/core/.env.staging"],
  ...[".git/config", ".git/objects/aa/bb", "app/__pycache__/main.cpython-312.pyc", "app/routes/__pycache__/x.pyc"],
  ...["app/stale.pyc", ".venv/bin/python", ".venv/pyvenv.cfg", "venv/bin/activate", "app/.venv/lib/x.py"],
  ...[
    ".pytest_cache/v/cache",
    "app/.pytest_cache/README.md",
    ".coverage",
    "htmlcov/index.html",
    "app/.DS_Store",
    ".DS_Store",
  ],
  ...["server.log", "app/server.log", "logs/today.txt", "uploads/photo", "processed_images/photo.png", "docs/index.md"],
  ...[
    "tests/test_secret.py",
    "README.md",
    "node_modules/x/index.js",
    "id_rsa",
    "server.pem",
    "dump.sql",
    "Dockerfile.old",
  ],
];

/** A file for every pattern that the card lists; what it means in every folder also in one below. */
const cardsList = [
  ...[
    ".git/HEAD",
    ".venv/pyvenv.cfg",
    "venv/pyvenv.cfg",
    "__pycache__/x.pyc",
    "app/__pycache__/x.pyc",
    "x.pyc",
    "app/x.pyc",
  ],
  ...[
    ".pytest_cache/README.md",
    ".coverage",
    "htmlcov/index.html",
    ".env",
    ".env.production",
    "app/.env",
    "app/.env.test",
  ],
  ...["server.log", "app/server.log", "logs/today.txt", "uploads/photo.jpg", "processed_images/photo.png", ".DS_Store"],
  ...["app/.DS_Store", "README.md", "docs/index.md", "tests/test_health.py"],
];

/** Layers from the base up, with the bytes that each adds. */
async function layersOf(room: EngineRoom, tag: string): Promise<{ digest: string; size: number }[]> {
  const digests = JSON.parse(await room.ask("image", "inspect", "-f", "{{json .RootFS.Layers}}", tag)) as string[];
  const history = await room.ask("history", "--human=false", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}", tag);
  // Instructions that only change the configuration have a line and no layer.
  const layers = history
    .split("\n")
    .toReversed()
    .filter(
      (line) =>
        !/^0 (?:ARG|ENV|LABEL|USER|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD|STOPSIGNAL|ONBUILD|SHELL|VOLUME)\b/.test(line),
    );
  if (layers.length !== digests.length) throw new Error(`${digests.length} layers, but\n${layers.join("\n")}`);
  return digests.map((digest, index) => ({ digest, size: Number.parseInt(layers[index] ?? "", 10) }));
}
