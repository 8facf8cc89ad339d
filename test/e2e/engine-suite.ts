import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, expect, it } from "vitest";

import { output } from "../lab/lab.ts";
import { builtExample, copyExample, example } from "./example.ts";
import { type Outcome, sheaf, temporaryFolder } from "./sheaf.ts";

export interface EngineUnderTest {
  /** The engine's client. */
  client: string;
  /** What makes `--load` choose it. */
  env: Record<string, string>;
  /** What `docker stop` takes at most, in seconds. */
  stopSeconds: number;
  /** Runs the image's health check once, for engines that have no timer of their own here. */
  check?: (container: string) => Promise<unknown>;
}

/** The whole way into an engine and out again, for every engine alike. */
export function testEngineEndToEnd(engine: EngineUnderTest): void {
  const unique = randomBytes(4).toString("hex");
  const tag = `sheaf-e2e-${unique}:one`;
  const changed = `sheaf-e2e-${unique}:two`;
  const name = `sheaf-e2e-${unique}`;
  const ask = async (...words: string[]) => (await output(engine.client, words)).trim();
  const load = (folder: string, as: string) =>
    sheaf(["build", folder, "--image", "api", "-t", as, "--load"], { env: engine.env });

  afterAll(async () => {
    await ask("rm", "-f", name).catch(() => undefined);
    for (const each of [tag, changed]) await ask("rmi", each).catch(() => undefined);
  });

  it("loads the example's API image with sheaf build --load", { timeout: 300_000 }, async () => {
    await builtExample();
    const outcome = await load(example, tag);
    expect(outcome.stderr).not.toMatch(/error/);
    expect(outcome.code).toBe(0);
    expect(await ask("image", "inspect", "--format", "{{.Config.User}}", tag)).toBe("10001:10001");
  });

  it("runs it: /health, whoami, healthy, stop", { timeout: 120_000 }, async () => {
    await ask("run", "-d", "--name", name, "-p", "127.0.0.1::8000", tag);
    const address = (await ask("port", name, "8000")).split("\n")[0] ?? "";
    expect(await answerOf(`http://${address}/health`)).toBe('{"status":"healthy"}');
    expect(await ask("exec", name, "whoami")).toBe("appuser");
    await expect
      .poll(
        async () => {
          await engine.check?.(name);
          return ask("inspect", "--format", "{{.State.Health.Status}}", name);
        },
        { timeout: 60_000, interval: 500 },
      )
      .toBe("healthy");

    const seconds: number[] = [];
    // The machine may be busy: the best of three is the image's own.
    for (let attempt = 0; attempt < 3 && !seconds.some((each) => each < engine.stopSeconds); attempt += 1) {
      if (attempt > 0) {
        await ask("start", name);
        await answerOf(`http://${(await ask("port", name, "8000")).split("\n")[0]}/health`);
      }
      const started = performance.now();
      await ask("stop", name);
      seconds.push((performance.now() - started) / 1000);
      expect(["0", "143"]).toContain(await ask("inspect", "--format", "{{.State.ExitCode}}", name));
    }
    expect(Math.min(...seconds)).toBeLessThan(engine.stopSeconds);
  });

  it("sends nothing the second time", { timeout: 120_000 }, async () => {
    const outcome = await load(example, tag);
    expect(outcome.code).toBe(0);
    expect(sentBytes(outcome)).toBe(0);
  });

  it("sends the layer of the project's files alone after a change of one line", { timeout: 120_000 }, async () => {
    const copy = copyExample(temporaryFolder());
    const main = path.join(copy, "app", "main.py");
    fs.appendFileSync(main, `\n# ${unique}\n`);
    const outcome = await load(copy, changed);
    expect(outcome.stderr).not.toMatch(/error/);
    expect(outcome.code).toBe(0);
    const { layers } = await builtExample();
    const app = layers.find((layer) => layer.kind === "app")?.compressed ?? 0;
    // It tells megabytes with one digit; beside the layer travel the configuration and the manifest.
    expect(sentBytes(outcome)).toBeGreaterThan(app / 2);
    expect(sentBytes(outcome)).toBeLessThan(app + 100_000);
    expect(await ask("run", "--rm", changed, "sh", "-c", "tail -n 1 /app/app/main.py")).toBe(`# ${unique}`);
  });
}

/** The first answer of a server that may still be starting. */
export async function answerOf(url: string, seconds = 60): Promise<string> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      const response = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(3000) });
      return await response.text();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** Bytes that `--load` says it has sent. */
function sentBytes({ stdout }: Outcome): number {
  const [, figure, unit] = /: ([\d.]+) (B|kB|MB|GB) sent in/.exec(stdout) ?? [];
  const scale = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }[unit ?? ""];
  if (figure === undefined || scale === undefined) throw new Error(`it does not say what was sent:\n${stdout}`);
  return Number(figure) * scale;
}
