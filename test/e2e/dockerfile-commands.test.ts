/** The commands of the card, word for word, against the running engine. */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

import { output } from "../lab/lab.ts";
import { buildKit } from "./buildkit.ts";
import { base, EngineRoom } from "./dockerfile-example.ts";
import { answerOf } from "./engine-suite.ts";
import { isTaken, withPort8000 } from "./ports.ts";

const client = await buildKit(base);
const tags = ["demeterai-api:latest", "demeterai-test:latest"];

describe.skipIf(!client)("the card's commands (skipped without Docker and its base image)", () => {
  const room = new EngineRoom(client ?? "");

  /** A shell in the repository, where `docker` is the client that answers, and builds with BuildKit as newer ones do. */
  function shell(context: string): (command: string) => Promise<string> {
    const bin = room.folder("bin");
    const link = path.join(bin, "docker");
    if (!fs.existsSync(link)) fs.symlinkSync(room.client, link);
    const environment = { DOCKER_BUILDKIT: "1", PATH: `${bin}:${process.env["PATH"]}` };
    const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    return async (command) =>
      (await output("env", ["-C", context, ...settings, "bash", "-c", `${command} 2>&1`], 300_000)).trim();
  }

  it("builds, runs, answers curl, tells its size and its user, and stops", { timeout: 500_000 }, async ({ skip }) => {
    const context = room.context("card");
    const run = shell(context);
    if (process.env["SHEAF_REQUIRE_ENGINES"] !== "1" && (await isTaken(8000)))
      skip("port 8000, which the card publishes, is taken on this machine");
    const name = `test-api-${room.unique}`;
    await withPort8000(() =>
      keepingTags(room, async () => {
        await run("docker build -t demeterai-api:latest .");
        // The command gives it no name.
        let container = "";
        const server = inForeground(room, "docker run -p 8000:8000 demeterai-api:latest");
        try {
          expect(await answerOf("http://localhost:8000/health")).toBe('{"status":"healthy"}');
          expect(JSON.parse(await run("curl -sS http://localhost:8000/health"))).toEqual({ status: "healthy" });
          container = await room.ask("ps", "-q", "--filter", "publish=8000");
          // Ctrl-C, as at a terminal.
          server.kill("SIGINT");
          await ended(server);
        } finally {
          server.kill("SIGKILL");
          await room.ask("rm", "-f", container).catch(() => undefined);
        }

        await run("docker build -t demeterai-test:latest .");
        const [, size = "", unit = ""] =
          /([\d.]+)(MB|GB)\s*$/.exec(await run("docker images demeterai-test:latest")) ?? [];
        expect(Number(size) * (unit === "GB" ? 1000 : 1)).toBeLessThan(300);
        try {
          await run(`docker run -d -p 8000:8000 --name ${name} demeterai-test:latest`);
          await answerOf("http://localhost:8000/health");
          expect(JSON.parse(await run("curl -sS http://localhost:8000/health"))).toEqual({ status: "healthy" });
          expect(await run(`docker inspect --format='{{.State.Health.Status}}' ${name}`)).toMatch(
            /^(?:starting|healthy)$/,
          );
          await run(`docker stop ${name}`);
        } finally {
          await room.ask("rm", "-f", name).catch(() => undefined);
        }
        expect(await run("docker run --rm demeterai-test:latest whoami")).toBe("appuser");
      }),
    );
  });
});

/** Other tests and people use these names, too: what they had before, they have afterwards. */
async function keepingTags(room: EngineRoom, action: () => Promise<void>): Promise<void> {
  const idOf = (tag: string) => room.ask("image", "inspect", "-f", "{{.Id}}", tag).catch(() => undefined);
  const before = new Map(await Promise.all(tags.map(async (tag) => [tag, await idOf(tag)] as const)));
  try {
    await action();
  } finally {
    for (const [tag, id] of before) {
      await room.ask("rmi", tag).catch(() => undefined);
      if (id) await room.ask("tag", id, tag).catch(() => undefined);
    }
  }
}

function inForeground(room: EngineRoom, command: string): ChildProcess {
  const [, ...words] = command.split(" ");
  return spawn(room.client, words, { stdio: "ignore", cwd: os.tmpdir() });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("close", () => resolve());
  });
}
