import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, expect, it } from "vitest";

import type { ContainerOptions, Engine, RunningContainer } from "../../src/engine/engine.ts";
import { silent, type SheafEvent } from "../../src/events.ts";
import type { Image } from "../../src/oci/image.ts";
import type { RuntimeConfig } from "../../src/oci/types.ts";
import { imageOf, layerOf, shellLayer } from "./images.ts";

const config: RuntimeConfig = {
  User: "10001:10001",
  Env: ["PATH=/bin", "GREETING=hello"],
  WorkingDir: "/app",
  Cmd: ["sh"],
};

/** What holds for every engine: used with a real Docker and a real Podman. */
export function testEngine(engine: Engine, ask: (...args: string[]) => Promise<string>): void {
  // Nothing that an earlier run may have left is taken for this one's.
  const unique = randomBytes(4).toString("hex");
  const tag = `sheaf-test-${unique}:one`;
  const common = layerOf([{ path: "common", data: unique + "c".repeat(10_000) }]);
  const build = (content: string, more: RuntimeConfig = {}): Image =>
    imageOf([shellLayer(), common, layerOf([{ path: "app/own", data: unique + content }])], { ...config, ...more });
  const tags = [tag];
  afterAll(async () => {
    for (const each of tags) await engine.removeImage(each);
  });

  const load = async (more: RuntimeConfig, name: string): Promise<string> => {
    const own = `sheaf-test-${unique}:${name}`;
    tags.push(own);
    await engine.load(build("own", more), own, silent);
    return own;
  };

  it("loads an image, then only what has changed, then nothing", async () => {
    const events: SheafEvent[] = [];
    const first = await engine.load(build("one"), tag, (event) => events.push(event));
    expect(first.way).toBe("registry");
    expect(first.transferred).toBeGreaterThan(common.size);
    expect(await engine.imageId(tag)).toBe(build("one").manifest.config.digest);
    // The tag moves on and leaves it without a name.
    tags.push(build("one").manifest.config.digest);

    const second = await engine.load(build("two"), tag, silent);
    expect(second).toMatchObject({ way: "registry", layersReused: 2 });
    expect(second.transferred).toBeLessThan(4000);
    expect(await engine.imageId(tag)).toBe(build("two").manifest.config.digest);

    expect(await engine.load(build("two"), tag, silent)).toMatchObject({
      way: "none",
      transferred: 0,
      layersReused: 3,
    });
    const other = `sheaf-test-${unique}:again`;
    tags.push(other);
    expect(await engine.load(build("two"), other, silent)).toMatchObject({ way: "none", transferred: 0 });
    expect(await engine.imageId(other)).toBe(build("two").manifest.config.digest);
    expect(events.filter((event) => event.type === "download-progress" && event.received < 0)).toEqual([]);
  });

  it("leaves no trace of the registry that it came from", async () => {
    const names = await ask("images", "--digests", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}");
    expect(names).toContain(`sheaf-test-${unique}:one`);
    expect(names).not.toContain("127.0.0.1:");
  });

  it("runs it, passes on what it prints, reports its exit code and removes it", async () => {
    const { container, texts } = await run({
      image: tag,
      command: ["sh", "-c", 'id -u; pwd; echo "$GREETING $MORE"; echo err >&2; exit 7'],
      env: { MORE: "a b" },
    });
    expect(await container.exited).toBe(7);
    expect(texts).toEqual({ stdout: "10001\n/app\nhello a b\n", stderr: "err\n" });
    expect(await ask("ps", "--all", "--quiet", "--no-trunc")).not.toContain(container.id);
  });

  it("stops with the image's signal, and kills what ignores it", async () => {
    const polite = await load({ StopSignal: "SIGINT" }, "polite");
    const script = "trap 'exit 9' INT; echo up; while :; do sleep 0.05; done";
    const first = await run({ image: polite, command: ["sh", "-c", script] });
    await first.printed("up");
    expect(await first.container.stop()).toBe(9);

    const second = await run({
      image: tag,
      command: ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"],
    });
    await second.printed("up");
    expect(await second.container.stop("SIGTERM", 200)).toBe(137);
    const left = await ask("ps", "--all", "--quiet", "--no-trunc");
    expect(left).not.toContain(second.container.id);
  });

  it("publishes a port on loopback, of the engine's choice if need be", async () => {
    const server = "while :; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhi' | nc -l -p 8000 >/dev/null; done";
    const web = await load({ Cmd: ["sh", "-c", server] }, "web");
    const { container } = await run({ image: web, ports: [{ host: 0, container: 8000 }] });
    const [port] = container.ports;
    expect(port?.host).toBeGreaterThan(0);
    expect(container.pid).toBeGreaterThan(0);

    const clash = engine.run({ image: web, ports: [{ host: port?.host ?? 0, container: 8000 }] });
    await expect(clash).rejects.toMatchObject({ code: "SHEAF_PORT" });
    expect(await container.stop("SIGKILL")).toBe(137);
    const left = await ask("ps", "--all", "--format", "{{.Image}}");
    expect(left).not.toContain(web);
  });

  it("runs commands beside it", async () => {
    const { container, printed } = await run({ image: tag, command: ["sh", "-c", "echo up; sleep 60"] });
    await printed("up");
    const result = await container.exec(["sh", "-c", "id -u; echo err >&2; exit 5"]);
    expect(result).toEqual({ code: 5, stdout: "10001\n", stderr: "err\n" });
    expect(await container.exec(["sleep", "20"], { timeoutMs: 300 })).toMatchObject({ code: 124 });
    await container.stop("SIGKILL");
  });

  it("is read-only, with memory where it is asked for, and without a network", async () => {
    const script = "touch /app/x 2>&1; touch /scratch/x && echo scratch; cat /proc/net/dev | grep -c :";
    const { container, texts } = await run({
      ...{ image: tag, command: ["sh", "-c", script], user: "0:0" },
      ...{ readOnly: true, tmpfs: ["/scratch"], network: false },
    });
    await container.exited;
    expect(texts.stdout).toMatch(/[Rr]ead-only file system\nscratch\n1\n$/);
  });

  it("knows its health", async () => {
    const Healthcheck = { Test: ["CMD-SHELL", "test -e /app/ok"], Interval: 2e8, Timeout: 20e9, Retries: 2 };
    const checked = await load({ Healthcheck, User: "0:0" }, "health");
    const seen: string[] = [];
    const { container, printed } = await run({
      image: checked,
      command: ["sh", "-c", "touch /app/ok; echo up; sleep 60"],
      onHealth: (status, evidence) => seen.push(`${status}, ${evidence}`),
    });
    await printed("up");
    await expect.poll(() => container.health, { timeout: 25_000, interval: 50 }).toBe("healthy");
    await container.exec(["rm", "/app/ok"]);
    await expect.poll(() => container.health, { timeout: 25_000, interval: 50 }).toBe("unhealthy");
    expect(seen).toEqual(["healthy, exit code 0", "unhealthy, exit code 1"]);
    await container.stop("SIGKILL");
  }, 60_000);

  it("says what an image that can't start is about", async () => {
    const start = run({ image: tag, command: ["no-such-program"] });
    await expect(start).rejects.toThrow("no-such-program");
    await expect(engine.run({ image: `sheaf-test-${unique}:none` })).rejects.toMatchObject({ code: "SHEAF_ENGINE" });
    expect(await ask("ps", "--all", "--format", "{{.Image}}")).not.toContain(tag);
  });

  async function run(options: ContainerOptions): Promise<{
    container: RunningContainer;
    texts: { stdout: string; stderr: string };
    printed(text: string): Promise<void>;
  }> {
    const texts = { stdout: "", stderr: "" };
    const onOutput: ContainerOptions["onOutput"] = (chunk, stream) => (texts[stream] += Buffer.from(chunk).toString());
    const container = await engine.run({ onOutput, ...options });
    const printed = async (text: string) => {
      for (let tries = 0; !texts.stdout.includes(text) && tries < 1000; tries++) await sleep(10);
      expect(texts.stdout).toContain(text);
    };
    return { container, texts, printed };
  }
}
