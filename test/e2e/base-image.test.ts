import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openStoredImage } from "../../src/assemble/stored-images.ts";
import { writeDockerArchive } from "../../src/oci/docker-archive.ts";
import { buildImage } from "../../src/oci/image.ts";
import { openLayout } from "../../src/oci/layout.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { openStore } from "../../src/store/store.ts";
import { dockerEngine, output, requireOrSkip, tool } from "../lab/lab.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { answerOf } from "./engine-suite.ts";
import { buildJson, builtExample, type BuiltJson, copyExample, exampleTag } from "./example.ts";
import { freePort, withPort8000 } from "./ports.ts";
import { sharedStore, sheaf } from "./sheaf.ts";

const docker = dockerEngine();
const slim = "python:3.12-slim";
/** The engine has it only where somebody has put it there: registries can't be reached everywhere. */
const hasSlim = docker
  ? await output(docker.command, ["image", "inspect", "--format", "{{.Id}}", slim]).then(
      () => true,
      () => false,
    )
  : false;
const unique = randomBytes(4).toString("hex");
const tag = `sheaf-e2e-base-${unique}:latest`;
const container = `sheaf-e2e-base-${unique}`;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-base-"));
const archive = path.join(folder, "slim.tar");
const layout = path.join(folder, "layout");
const ask = async (...words: string[]) => (await output(docker?.command ?? "", words)).trim();
let project: string;
let built: BuiltJson;

afterAll(async () => {
  if (hasSlim) {
    await ask("rm", "-f", container).catch(() => undefined);
    await ask("rmi", tag).catch(() => undefined);
  }
  fs.rmSync(folder, { recursive: true, force: true });
});

/** The example with a library from Debian that python:3.12-slim does not have. */
function exampleWithLibrary(): string {
  const copy = copyExample(folder);
  const file = path.join(copy, "pyproject.toml");
  const text = fs.readFileSync(file, "utf8");
  fs.writeFileSync(file, text.replace(/^\[tool\.sheaf\]$/m, '[tool.sheaf]\npackages = ["libmagic1"]'));
  return copy;
}

describe.skipIf(!hasSlim)(
  "the example's API image on python:3.12-slim (skipped where Docker does not have that)",
  () => {
    beforeAll(async () => {
      await builtExample();
      await ask("save", slim, "-o", archive);
      project = exampleWithLibrary();
      const outputs = ["-o", `type=oci,dest=${layout}`, "--load"];
      built = await buildJson([project, "--image", "api", "--base", archive, "-t", tag, ...outputs]);
    }, 300_000);

    it("has the base's layers below its own", async () => {
      const below = JSON.parse(await ask("image", "inspect", "--format", "{{json .RootFS.Layers}}", slim)) as string[];
      const count = below.length;
      expect(built.layers.slice(0, count).map((layer) => layer.diffId)).toEqual(below);
      expect(built.layers.slice(0, count).every((layer) => layer.kind === "base")).toBe(true);
      const kinds = built.layers.slice(count).map((layer) => layer.kind);
      expect(kinds).not.toContain("base");
      expect(kinds.at(-1)).toBe("app");
      const image = openLayout(layout);
      expect(image.manifest.annotations).toMatchObject({ "org.opencontainers.image.base.name": slim });
      expect(image.config.config?.Labels).toMatchObject({ "org.opencontainers.image.base.name": slim });
    });

    it("has nothing that our own validation objects to", { timeout: 120_000 }, async () => {
      expect(await validateImage(openLayout(layout))).toEqual([]);
    });

    it.skipIf(!requireOrSkip("skopeo", tool("skopeo")) || !requireOrSkip("umoci", tool("umoci")))(
      "is taken by skopeo and umoci, which keep the base's links (skipped without them)",
      { timeout: 180_000 },
      async () => {
        await output(tool("skopeo") ?? "", [
          "copy",
          "--quiet",
          `oci:${layout}:latest`,
          `oci:${path.join(folder, "copy")}:latest`,
        ]);
        const bundle = path.join(folder, "bundle");
        await output(tool("umoci") ?? "", ["unpack", "--rootless", "--image", `${layout}:latest`, bundle]);
        const rootfs = path.join(bundle, "rootfs");
        for (const link of ["bin", "lib", "sbin"]) expect(fs.readlinkSync(path.join(rootfs, link))).toBe(`usr/${link}`);
        expect(fs.statSync(path.join(rootfs, "tmp")).mode & 0o7777).toBe(0o1777);
        fs.rmSync(bundle, { recursive: true, force: true });
      },
    );

    it("runs in Docker: /health, whoami, healthy, stop", { timeout: 120_000 }, async () => {
      await ask("run", "-d", "--name", container, "-p", "127.0.0.1::8000", tag);
      const address = (await ask("port", container, "8000")).split("\n")[0] ?? "";
      expect(await answerOf(`http://${address}/health`)).toBe('{"status":"healthy"}');
      expect(await ask("exec", container, "whoami")).toBe("appuser");
      expect(await ask("exec", container, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")).toMatch(/tini -- uvicorn/);
      await expect
        .poll(() => ask("inspect", "--format", "{{.State.Health.Status}}", container), {
          timeout: 60_000,
          interval: 500,
        })
        .toBe("healthy");
      await ask("stop", container);
      expect(["0", "143"]).toContain(await ask("inspect", "--format", "{{.State.ExitCode}}", container));
    });

    it("has the loader's cache that ldconfig would write", { timeout: 60_000 }, async () => {
      const list = "ldconfig -p | grep '=>' | sort";
      const before = await ask("run", "--rm", "--user", "0", tag, "sh", "-c", list);
      expect(before).toContain("libmagic.so.1");
      expect(await ask("run", "--rm", "--user", "0", tag, "sh", "-c", `ldconfig; ${list}`)).toBe(before);
    });

    it("is the same image the second time, from cache", { timeout: 60_000 }, async () => {
      const again = await buildJson([project, "--image", "api", "--base", archive, "-t", tag]);
      expect(again.digest).toBe(built.digest);
      expect(again.layers.filter((layer) => !layer.reused).map((layer) => layer.kind)).toEqual([]);
      const { stdout } = await sheaf(["plan", project, "--image", "api", "--base", archive]);
      expect(stdout).toMatch(/base\s+python:3\.12-slim sha256:[0-9a-f]+\s+--base/);
      expect(stdout).toMatch(/python\s+3\.12\.\d+\s+in the base image python:3\.12-slim/);
      expect(stdout).toMatch(/native\s+libmagic1\s+config/);
    });
  },
);

describe.skipIf(!requireOrSkip("namespaces", namespacesWork()))(
  "images on other bases, run without an engine (skipped where the kernel refuses namespaces)",
  () => {
    const run = (name: string) =>
      withPort8000(async () => sheaf(["run", name, "--engine", "none", "--wait", "-p", `${await freePort()}:8000`]));

    it("stand on a base without Python, which is laid over it", { timeout: 300_000 }, async () => {
      await builtExample();
      const { image } = openStoredImage(openStore(sharedStore), exampleTag);
      const layers = image.layers.filter(({ kind }) => kind === "base" || kind === "system");
      const bare = buildImage({ layers, config: { os: "linux", architecture: image.config.architecture, config: {} } });
      const file = path.join(folder, "bare.tar");
      await writeDockerArchive(file, bare, ["bare:1"]);
      const copy = copyExample(path.join(folder, "on-bare"));
      const name = `sheaf-e2e-bare-${unique}:latest`;
      const on = await buildJson([copy, "--image", "api", "--base", file, "-t", name]);
      expect(on.layers.slice(0, layers.length).map((layer) => layer.digest)).toEqual(
        layers.map((layer) => layer.digest),
      );
      const outcome = await run(name);
      expect(outcome.stderr).not.toMatch(/^error/m);
      expect(outcome.code).toBe(0);
    });

    it("stand on another image of Sheaf, whose packages they replace", { timeout: 300_000 }, async () => {
      await builtExample();
      const file = path.join(folder, "composed");
      const copy = copyExample(path.join(folder, "on-composed"));
      await buildJson([copy, "--image", "api", "-t", `sheaf-e2e-once-${unique}:latest`, "-o", `type=oci,dest=${file}`]);
      const name = `sheaf-e2e-twice-${unique}:latest`;
      const on = await buildJson([copy, "--image", "api", "--base", file, "-t", name]);
      expect(on.layers.some((layer) => layer.name === "packages of the base that others replace")).toBe(true);
      const { image } = openStoredImage(openStore(sharedStore), name);
      expect(await validateImage(image)).toEqual([]);
      expect((await run(name)).code).toBe(0);
    });
  },
);
