import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { findEngine } from "../../src/engine/find.ts";
import type { Image } from "../../src/oci/image.ts";
import { writeLayout } from "../../src/oci/layout.ts";
import { buildServer, canBuildServers, serverParts } from "../contract/running-image.ts";
import { namespacesWork } from "../engine/namespaces-available.ts";
import { dockerEngine, output, podman, requireOrSkip, tool } from "../lab/lab.ts";
import { filesBelow, startSheaf, temporaryFolder, writeFiles } from "./sheaf.ts";

const engines = [
  { engine: "none", client: undefined, isThere: namespacesWork() },
  { engine: "docker", client: dockerEngine()?.command, isThere: requireOrSkip("Docker", dockerEngine()) },
  { engine: "podman", client: podman()?.command, isThere: requireOrSkip("Podman", podman()) },
] as const;

interface Scene {
  /** What the container of this test alone has in its environment. */
  mark: string;
  image: Image;
  folder: string;
  store: string;
  words: string[];
}

/** A server that wants a Redis beside it, as a layout with a contract. */
async function scene(): Promise<Scene> {
  const mark = `MARK=${randomBytes(8).toString("hex")}`;
  const parts = serverParts();
  parts.config.Env = [...(parts.config.Env ?? []), mark];
  const image = buildServer(parts);
  const folder = writeFiles(temporaryFolder(), { "contract.toml": contract });
  await writeLayout(path.join(folder, "layout"), image);
  const words = ["verify", path.join(folder, "layout"), "--contract", path.join(folder, "contract.toml")];
  return { mark, image, folder, store: path.join(folder, "store"), words };
}

const contract = `
[tool.sheaf.contract]
role = "api"
health-url = "/health"
starts = 1
stop = 5
start = 20
broker-env = ["REDIS_URL"]
skip = { "files.*" = "of this machine's own files", "native.*" = "as before", "config.*" = "as before", "format.*" = "as before", "python.*" = "as before", "scanner.*" = "as before" }
`;

/** Processes whose environment has the mark: the container's, and what was run in it. */
function processesWith(mark: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(mark);
    } catch {
      return false;
    }
  });
}

/** Processes that have the scene's folder in their command line or environment: Sheaf's own, and the namespaces' programs. */
function processesOf({ folder }: Scene): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return ["cmdline", "environ"].some((file) => fs.readFileSync(`/proc/${pid}/${file}`, "latin1").includes(folder));
    } catch {
      return false;
    }
  });
}

/** The container of the scene and the broker that it shares a network with, by their ids. */
async function containersOf(client: string, { mark }: Scene): Promise<string[]> {
  const ids = (await output(client, ["ps", "--quiet", "--no-trunc", "--filter", "label=dev.sheaf.run=1"])).split("\n");
  for (const id of ids.filter((each) => each !== "")) {
    const text = await output(client, ["inspect", id]).catch(() => "[]");
    const [found] = JSON.parse(text) as { Config: { Env: string[] }; HostConfig: { NetworkMode: string } }[];
    if (found?.Config.Env.includes(mark)) return [id, found.HostConfig.NetworkMode.replace("container:", "")];
  }
  return [];
}

describe.skipIf(!canBuildServers || !requireOrSkip("redis-server", tool("redis-server")))(
  "sheaf verify, as it is published (skipped without Python or redis-server)",
  { timeout: 180_000 },
  () => {
    it.each(engines.filter(({ isThere }) => isThere).flatMap((each) => [0, 2500].map((after) => ({ ...each, after }))))(
      "leaves nothing behind after Ctrl-C, $after ms after its container was there ($engine)",
      async ({ engine, client, after }) => {
        const made = await scene();
        const run = startSheaf([...made.words, "--engine", engine], { store: made.store });
        await expect.poll(() => processesWith(made.mark), { timeout: 90_000, interval: 50 }).not.toEqual([]);
        const containers = client ? await containersOf(client, made) : [];
        await new Promise((resolve) => setTimeout(resolve, after));
        run.child.kill("SIGINT");
        const { code, stderr } = await run.ended;
        expect(code, stderr).toBe(130);
        expect(stderr).not.toMatch(/error|bug|^\s+at /m);
        expect(processesWith(made.mark)).toEqual([]);
        // What watches a container for Podman ends a moment after it.
        await expect.poll(() => processesOf(made), { timeout: 10_000 }).toEqual([]);
        expect(filesBelow(path.join(made.store, "tmp"))).toEqual([]);
        if (engine === "none" || !client) return;
        for (const id of containers) await expect(output(client, ["inspect", id])).rejects.toThrow();
        const found = await findEngine(engine);
        expect(await found?.imageId(made.image.manifest.config.digest)).toBeUndefined();
      },
    );

    it.each(engines.filter(({ isThere }) => isThere))(
      "runs twice at once, undisturbed ($engine)",
      async ({ engine }) => {
        const made = await scene();
        const words = [...made.words, "--engine", engine, "--json"];
        const runs = await Promise.all([1, 2].map(() => startSheaf(words, { store: made.store }).ended));
        const verdicts = runs.map(({ stdout, stderr, code }) => {
          const { checks } = JSON.parse(stdout) as { checks: { id: string; verdict: string; measured: string }[] };
          const failed = checks.filter(({ verdict }) => verdict === "fail" || verdict === "error");
          expect(
            failed.map(({ id, measured }) => `${id}: ${measured}`),
            stderr,
          ).toEqual([]);
          expect(code).toBe(0);
          return checks.map(({ id, verdict }) => `${id} ${verdict}`);
        });
        expect(verdicts[0]).toContain("runtime.health pass");
        expect(verdicts[1]).toEqual(verdicts[0]);
        expect(processesWith(made.mark)).toEqual([]);
      },
    );
  },
);
