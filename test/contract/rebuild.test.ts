import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import { type Contract, resolveContract } from "../../src/contract/contract.ts";
import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { type Builder, BuildFailed, type Rebuilt } from "../../src/contract/rebuild/builder.ts";
import { rebuildChecks } from "../../src/contract/rebuild/checks.ts";
import { type Leaf, leafDistributions } from "../../src/contract/rebuild/leaf-distributions.ts";
import { openRebuilds } from "../../src/contract/rebuild/open-rebuilds.ts";
import { copyProject } from "../../src/contract/rebuild/project-copy.ts";
import { Rebuild } from "../../src/contract/rebuild/rebuild.ts";
import { BuildProcesses } from "../../src/contract/rebuild/run-build.ts";
import { silent } from "../../src/events.ts";
import { temporary } from "../archive/oracle.ts";
import { reshaped } from "../oci/images.ts";
import { apiParts, build, distribution, failing, file, type ImageParts, put, verifyParts } from "./image-dsl.ts";

/** Builds nothing, and takes as long as it is told. */
interface Script {
  /** Seconds of each build, in order: clean, unchanged, anew, code, dependency. */
  seconds?: number[];
  /** Which build fails. */
  fails?: number;
  /** What the digest depends on. */
  digest?: (project: string, build: number) => string;
  isReproducible?: boolean;
}

const quick = [20, 0.2, 4, 0.5, 3];

function scripted({ seconds = quick, fails, digest = sourceOf, isReproducible = true }: Script): Builder {
  let build = 0;
  return {
    name: "sheaf build",
    given: "its store was empty",
    isReproducible,
    look: "sheaf build --progress plain",
    async build(folder): Promise<Rebuilt> {
      const index = build++;
      if (index === fails) throw new BuildFailed("it ended with exit code 1", ["error: no"]);
      const requirements = fs.readFileSync(path.join(folder, "requirements.txt"), "utf8");
      return {
        seconds: seconds[index] ?? 1,
        digest: digest(folder, index),
        layers: [
          { name: "packages", diffId: requirements },
          { name: "app", diffId: digest(folder, index) },
        ],
        downloaded: index === 0 ? 88e6 : 0,
      };
    },
    close: async () => {},
  };
}

function sourceOf(folder: string): string {
  return `sha256:${fs.readFileSync(path.join(folder, "app", "main.py"), "utf8")}`;
}

const limits: Contract["build"] = { clean: 300, cached: 30, code: 30, dependency: 300 };
const alembic: Leaf = { name: "alembic", version: "1.13.2", bytes: 10 };

async function run(script: Script, { leaves = [alembic], files = {} as Record<string, string>, taken = 0 } = {}) {
  const [from, into] = [temporary(), temporary()];
  const project = { "app/main.py": "x = 1\n", "requirements.txt": "alembic==1.13.2\nfastapi==1\n", ...files };
  for (const [name, text] of Object.entries(project)) {
    fs.mkdirSync(path.dirname(path.join(from, name)), { recursive: true });
    fs.writeFileSync(path.join(from, name), text);
  }
  const parts = apiParts();
  const rebuild = new Rebuild({
    builder: scripted(script),
    project: copyProject({ from, into }),
    limits,
    startModules: ["app.main"],
    leaves,
    emit: silent,
    taken: async () => taken,
    signal: new AbortController().signal,
  });
  const verification = await verifyParts(parts, undefined, { rebuilds: [rebuild] });
  const unchanged = Object.entries(project).every(
    ([name, text]) => fs.readFileSync(path.join(from, name), "utf8") === text,
  );
  const of = (id: string) => verification.verdict.checks.find((check) => check.id === id);
  return { verification, unchanged, of };
}

const defects: [id: string, what: string, script: Script][] = [
  ["rebuild.clean", "a clean build of six minutes", { seconds: [360, ...quick.slice(1)] }],
  ["rebuild.cached", "a cache that is never hit", { seconds: [20, 31, 4, 0.5, 3] }],
  [
    "rebuild.same",
    "a layer that differs by itself",
    { digest: (_folder, build) => (build === 2 ? "sha256:other" : "sha256:same") },
  ],
  ["rebuild.code", "dependencies that every line installs again", { seconds: [20, 0.2, 4, 40, 3] }],
  ["rebuild.dependency", "everything installed again for one", { seconds: [20, 0.2, 4, 0.5, 301] }],
];

describe("builds measured again", () => {
  it("pass within their limits, tell what was done, and leave the project as it was", async () => {
    const { verification, unchanged, of } = await run({});
    expect(failing(verification)).toEqual([]);
    expect(unchanged).toBe(true);
    for (const { id } of rebuildChecks) expect(of(id)).toMatchObject({ verdict: "pass" });
    expect(of("rebuild.clean")).toMatchObject({
      measured: "20 s, sheaf build",
      limit: "300 s",
      figure: { measured: 20, limit: 300, unit: "seconds" },
      evidence: ["sheaf build: 20 s, 2 layers, 88 MB downloaded; its store was empty"],
    });
    expect(of("rebuild.cached")?.evidence).toEqual(["sheaf build: 0.20 s, all 2 layers as before"]);
    expect(of("rebuild.code")?.evidence).toEqual([
      "sheaf build: 0.50 s after a comment at the end of app/main.py; 1 of 2 layers new: app",
    ]);
    expect(of("rebuild.dependency")?.evidence).toEqual([
      "sheaf build: 3.00 s with alembic 1.13.2 left out of requirements.txt; 1 of 2 layers new: packages",
    ]);
  });

  it.each(defects)("%s finds %s, and no other does", async (id, _what, script) => {
    const { verification, of } = await run(script);
    expect(failing(verification)).toEqual([id]);
    expect(of(id)).toMatchObject({ verdict: "fail", hint: expect.stringMatching(/\w/) });
  });

  it("are undecided where others keep the machine busy", async () => {
    const { of } = await run({ seconds: [360, ...quick.slice(1)] }, { taken: 0.9 });
    expect(of("rebuild.clean")).toMatchObject({ verdict: "error", limit: "300 s" });
    expect(of("rebuild.clean")?.evidence?.[0]).toContain("others keep 90 %");
  });

  it("each have a defect", () => {
    expect(rebuildChecks.map(({ id }) => id)).toEqual(defects.map(([id]) => id));
  });

  it("say why the first build failed once, and not that later ones did", async () => {
    const { verification, of } = await run({ fails: 0 });
    expect(failing(verification)).toEqual(["rebuild.clean"]);
    expect(of("rebuild.clean")).toMatchObject({
      measured: "sheaf build: it ended with exit code 1",
      evidence: ["error: no"],
    });
    expect(of("rebuild.code")).toMatchObject({ notRun: true, measured: "the clean build failed" });
  });

  it("try the next dependency where a build without the first fails", async () => {
    const fastapi: Leaf = { name: "fastapi", version: "1", bytes: 20 };
    const { of } = await run({ fails: 4 }, { leaves: [alembic, fastapi] });
    expect(of("rebuild.dependency")?.evidence?.[0]).toContain("fastapi 1 left out of requirements.txt");
  });

  it("are not run where nothing can be left out, or only a lock's own tool can", async () => {
    expect((await run({}, { leaves: [] })).of("rebuild.dependency")).toMatchObject({ notRun: true });
    const locked = await run({}, { files: { "poetry.lock": '[[package]]\nname = "alembic"\n' } });
    expect(locked.of("rebuild.dependency")).toMatchObject({
      notRun: true,
      measured: expect.stringContaining("poetry.lock"),
    });
  });

  it("don't ask docker build for the same bytes", async () => {
    const { of } = await run({ isReproducible: false });
    expect(of("rebuild.same")).toMatchObject({ verdict: "skipped" });
    expect(of("rebuild.same")?.notRun).toBeUndefined();
  });

  it("don't count where nobody asked for them", async () => {
    const { verdict } = await verifyParts(apiParts());
    const own = verdict.checks.filter(({ group }) => group === "rebuild");
    expect(own.map(({ verdict, notRun }) => [verdict, notRun])).toEqual(own.map(() => ["skipped", undefined]));
  });
});

describe("a project's copy", () => {
  it("has what is its own: no environments, no history, nothing that git ignores but what the Dockerfile copies", () => {
    const from = temporary();
    const files = [
      ".gitignore",
      "app/main.py",
      ".git/config",
      ".venv/pyvenv.cfg",
      "models/a.bin",
      "secret.env",
      "app/x.log",
    ];
    for (const name of files) {
      fs.mkdirSync(path.dirname(path.join(from, name)), { recursive: true });
      fs.writeFileSync(path.join(from, name), name === ".gitignore" ? "models/\n*.log\n*.env\n" : "x");
    }
    fs.symlinkSync("main.py", path.join(from, "app", "link.py"));
    expect(copyProject({ from, into: temporary() }).files).toEqual([".gitignore", "app/main.py"]);
    const copy = copyProject({ from, into: temporary(), dockerIgnore: "**/*.log\n*.env\n" });
    expect(copy.files).toEqual([".gitignore", "app/main.py", "models/a.bin"]);
    expect(path.basename(copy.folder)).toBe(path.basename(from));
    expect(fs.readlinkSync(path.join(copy.folder, "app", "link.py"))).toBe("main.py");
  });
});

/** Names of what the image's project can do without. */
async function leavesOf(parts: ImageParts): Promise<string[]> {
  const interest = { startModules: new Set(["app"]), files: new Set<string>() };
  const facts = await readImageFacts(build(parts), { interest, signal: new AbortController().signal });
  return leafDistributions(facts, parts.config).map(({ name }) => name);
}

describe("what a project can do without", () => {
  it("is what nothing requires, imports or starts, the smallest first", async () => {
    // alembic and asyncpg are there for nobody; fastapi is imported, uvicorn started, starlette required.
    expect(await leavesOf(apiParts())).toEqual(["alembic", "asyncpg"]);
    const extra = apiParts();
    const files = { "aa/__init__.py": "" };
    const requires = ['alembic; extra == "all"'];
    extra.layers[1]?.push(...distribution({ name: "aa", version: "1", files, requires }));
    expect(await leavesOf(extra)).toEqual(["asyncpg", "alembic"]);
    const parts = apiParts();
    put(parts, file("app/app/late.py", "def f():\n    from asyncpg.protocol import x\n"));
    parts.layers[1]?.push(
      ...distribution({ name: "zz", version: "1", files: { "zz/__init__.py": "" }, requires: ["alembic>1"] }),
    );
    // zz brings alembic for itself alone: without it, a resolver would leave out both.
    expect(await leavesOf(parts)).toEqual([]);
  });
});

describe("the ways to build", () => {
  const open = async (more: {
    dockerfile?: string;
    PATH?: string;
    files?: Record<string, string>;
    sheaf?: boolean;
  }) => {
    const folder = temporary();
    for (const [name, text] of Object.entries(more.files ?? {})) fs.writeFileSync(path.join(folder, name), text);
    const parts = apiParts();
    const built = build(parts);
    const history = built.config.history?.map(({ created_by }) => ({ created_by }));
    const { signal } = new AbortController();
    const facts = await readImageFacts(built, { interest: { startModules: new Set(), files: new Set() }, signal });
    vi.stubEnv("PATH", more.PATH ?? "/nowhere");
    onTestFinished(() => void vi.unstubAllEnvs());
    return openRebuilds({
      project: folder,
      image: more.sheaf ? built : reshaped(built, { config: { history } }),
      facts,
      contract: resolveContract({ name: "x", runtime: parts.config }),
      program: ["sheaf"],
      temporary,
      emit: silent,
      signal,
      ...(more.dockerfile === undefined ? {} : { dockerfile: more.dockerfile }),
    });
  };

  it("are Sheaf's own for its images", async () => {
    const opened = await open({ sheaf: true, files: { Dockerfile: "FROM scratch\n" } });
    expect(typeof opened === "string" ? opened : opened.rebuilds.map(({ builder }) => builder.name)).toEqual([
      "sheaf build",
    ]);
  });

  it("are none, with the reason, where nothing says how, and where no engine answers", async () => {
    expect(await open({})).toMatch(/Sheaf did not build the image, and .* has no Dockerfile/);
    const files = { Dockerfile: "FROM scratch\n" };
    expect(await open({ files })).toMatch(/neither Docker nor Podman answers/);
    // What was asked for and can't be tried has not passed, whatever else was.
    expect(await open({ files, sheaf: true, dockerfile: "Dockerfile" })).toMatch(/neither Docker nor Podman answers/);
  });
});

describe("the processes of builds", () => {
  const run = (script: string, more: { timeoutMs?: number; succeeds?: number[] } = {}) => {
    const processes = new BuildProcesses();
    const command = {
      words: ["/bin/sh", "-c", script],
      folder: "/",
      environment: process.env,
      timeoutMs: 20_000,
      ...more,
    };
    return { processes, result: processes.run(command) };
  };

  it("tell why a build failed by its last lines, and stop one that takes too long", async () => {
    await expect(run("echo first >&2; echo no space >&2; exit 3").result).rejects.toMatchObject({
      message: "it ended with exit code 3",
      evidence: ["first", "no space"],
    });
    await expect(run("exec sleep 20", { timeoutMs: 100 }).result).rejects.toThrow(/not ended after 0 s/);
    expect((await run("echo out; exit 1", { succeeds: [0, 1] }).result).stdout).toBe("out\n");
    const absent = { words: ["/nowhere/docker"], folder: "/", environment: {}, timeoutMs: 1000 };
    await expect(new BuildProcesses().run(absent)).rejects.toThrow(/can't be started/);
  });

  it("end with whoever started them, those that don't listen too", async () => {
    const { processes, result } = run("trap '' TERM; echo started >&2; while :; do sleep 0.1; done");
    const ended = result.catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await processes.close();
    expect(await ended).toBeInstanceOf(BuildFailed);
    await expect(processes.run({ words: ["true"], folder: "/", environment: {}, timeoutMs: 1000 })).rejects.toThrow(
      /stopped/,
    );
  });
});
