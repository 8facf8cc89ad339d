/** The example's Dockerfile in another builder than Docker's. */
import * as fs from "node:fs";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { output, requireOrSkip, tool } from "../lab/lab.ts";
import { buildKit } from "./buildkit.ts";
import { base, EngineRoom } from "./dockerfile-example.ts";
import { repository, startProgram } from "./sheaf.ts";

const client = await buildKit(base);
const buildah = tool("buildah");
const skopeo = tool("skopeo");
const usable =
  Boolean(client) && requireOrSkip("buildah", buildah) && requireOrSkip("skopeo", skopeo) && process.getuid?.() === 0;

describe.skipIf(!usable)(
  "buildah bud of the example (skipped without buildah, skopeo, Docker's base image and root)",
  () => {
    const room = new EngineRoom(client ?? "");
    const tag = `localhost/${room.unique}:buildah`;
    const ask = async (...words: string[]) => (await output(buildah ?? "", words)).trim();

    afterAll(() => ask("rmi", "-f", tag).catch(() => undefined));

    it("makes the same image of the same file", { timeout: 400_000 }, async () => {
      const context = room.context("buildah");
      await output(skopeo ?? "", [
        "copy",
        "--quiet",
        `docker-daemon:${base}`,
        `containers-storage:docker.io/library/${base}`,
      ]);
      const [, minor = "0"] = /version 1\.(\d+)/.exec(await ask("--version")) ?? [];
      // What an older one doesn't know has no say in what is in the image; the manual has the way round it.
      const command = Number(minor) > 40 ? "buildah bud --format docker -t shop-api ." : commandForOlder();
      const words = ["env", "-C", context, "BUILDAH_ISOLATION=chroot", "bash", "-o", "pipefail", "-c"];
      const { code, stderr, stdout } = await startProgram([...words, command.replace("shop-api", tag)], {
        timeoutMs: 390_000,
      }).ended;
      expect(code, (stdout + stderr).slice(-3000)).toBe(0);

      const { Docker } = JSON.parse(await ask("inspect", "--type", "image", tag)) as { Docker: { config: Config } };
      const { config } = Docker;
      expect(config.User).toBe("10001:10001");
      expect(config.Cmd?.[0]).toBe("uvicorn");
      expect(config.Healthcheck).toMatchObject({ Interval: 30e9, Timeout: 3e9, StartPeriod: 40e9, Retries: 3 });
      expect(config.Env).toContain("APP_ENV=production");

      const container = await ask("from", tag);
      const within = (...command: string[]) => ask("run", "--isolation", "chroot", container, "--", ...command);
      try {
        expect(await within("whoami")).toBe("appuser");
        const program = "from app.main import app; print(app.title)";
        expect((await within("python", "-c", program)).split("\n").at(-1)).toBe("DemeterAI");
      } finally {
        await ask("rm", container);
      }
    });
  },
);

function commandForOlder(): string {
  const manual = fs.readFileSync(path.join(repository, "docs", "dockerfile.md"), "utf8");
  const [command] = /^ *sed .*\| buildah bud .*$/m.exec(manual) ?? [];
  if (!command) throw new Error("docs/dockerfile.md has no command for older buildahs");
  return command.trim();
}

interface Config {
  User: string;
  Cmd?: string[];
  Env: string[];
  Healthcheck?: Record<string, unknown>;
}
