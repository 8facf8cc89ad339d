import { execFile } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { namespacesWork } from "../engine/namespaces-available.ts";
import { dockerEngine, requireOrSkip } from "../lab/lab.ts";
import { writePlantsRepository } from "./plants-repository.ts";
import { isTaken } from "./ports.ts";
import { sheaf, startSheaf } from "./sheaf.ts";

const run = promisify(execFile);
const docker = dockerEngine();
const name = `sheaf-e2e-servers-${process.pid}`;
let repository = "";

beforeAll(async () => {
  repository = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-e2e-servers-"));
  writePlantsRepository(repository, name);
  const built = await sheaf(["build", repository, "--image", "redis", "--image", "postgres"], { timeoutMs: 280_000 });
  if (built.code !== 0) throw new Error(built.stderr);
}, 300_000);

afterAll(() => fs.rmSync(repository, { recursive: true, force: true }));

describe("servers composed of Debian packages", () => {
  it("are planned, without a word of Python", async () => {
    const { stdout } = await sheaf(["plan", repository, "--image", "redis"]);
    expect(stdout).toMatch(/^redis\s+redis-server/m);
    expect(stdout).toMatch(/user\s+10001 redis\s+its package/);
    expect(stdout).not.toMatch(/python|bytecode/i);
    const { images } = JSON.parse((await sheaf(["plan", repository, "--image", "redis", "--json"])).stdout) as {
      images: { python?: unknown; distributions: unknown[]; packages: { name: string }[] }[];
    };
    expect(images[0]).toMatchObject({
      distributions: [],
      packages: expect.arrayContaining([expect.objectContaining({ name: "redis-tools" })]),
    });
    expect(images[0]).not.toHaveProperty("python");
  });

  it("are inspected: every file has the package that brought it", async () => {
    const { code, stdout, stderr } = await sheaf(["inspect", `${name}-redis:latest`, "--files"]);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/usr\/bin\/redis-server.*|redis-tools/);
  });

  it.skipIf(!namespacesWork())(
    "run without an engine, keep their data folder and end by themselves (skipped where namespaces are refused)",
    { timeout: 60_000 },
    async ({ skip }) => {
      if (await isTaken(6379)) skip("port 6379, which Redis listens on, is taken on this machine");
      const running = startSheaf(["run", `${name}-redis:latest`, "--engine", "none"]);
      await running.told("healthy");
      expect(await say(6379, "SET plants 77\r\nGET plants\r\n")).toBe("+OK\r\n$2\r\n77\r\n");
      running.child.kill("SIGTERM");
      const { code, stdout } = await running.ended;
      expect([0, 143]).toContain(code);
      expect(stdout).toContain("bye bye");
    },
  );
});

describe.skipIf(!requireOrSkip("Docker", docker))(
  "PostgreSQL of Debian's packages in Docker (skipped without an engine)",
  () => {
    const client = docker?.command ?? "";
    const image = `${name}-postgres:latest`;
    const hardened = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    const volume = `${name}-data`;
    const words = async (...args: string[]) => (await run(client, args, { timeout: 60_000 })).stdout.trim();
    const psql = (sql: string, [user, password, database] = ["o-neil", "p'w\"d", 'a "b"'] as string[]) =>
      words(
        "exec",
        "-e",
        `PGPASSWORD=${password}`,
        name,
        ...["psql", "-h", "127.0.0.1", "-U", user ?? ""],
        ...["-Atc", sql, database ?? ""],
      );

    beforeAll(async () => {
      const loaded = await sheaf(["build", repository, "--image", "postgres", "--load"]);
      if (loaded.code !== 0) throw new Error(loaded.stderr);
    }, 120_000);

    afterAll(async () => {
      await words("rm", "-f", name).catch(() => undefined);
      await words("volume", "rm", volume).catch(() => undefined);
      await words("rmi", image).catch(() => undefined);
    });

    const healthy = async (): Promise<void> => {
      for (let waited = 0; waited < 120; waited += 1) {
        const [status, health] = (
          await words("inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", name)
        ).split(" ");
        if (health === "healthy") return;
        if (status !== "running") break;
        await sleep(250);
      }
      expect.fail(await words("logs", name));
    };

    it("refuses to begin without a password, and says what to do", async () => {
      await expect(run(client, ["run", "--rm", ...hardened, image])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining("set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE"),
      });
    });

    it(
      "makes a cluster with a user and a database of any name, and a password from a file",
      { timeout: 120_000 },
      async () => {
        const secret = path.join(repository, "password");
        fs.writeFileSync(secret, "p'w\"d\n");
        const env = ["POSTGRES_PASSWORD_FILE=/run/secrets/password", "POSTGRES_USER=o-neil", 'POSTGRES_DB=a "b"'];
        await words(
          ...["run", "-d", "--name", name, ...hardened, "-v", `${volume}:/var/lib/postgresql`],
          ...["-v", `${secret}:/run/secrets/password:ro`, ...env.flatMap((each) => ["-e", each]), image],
        );
        await healthy();
        expect(await psql("SELECT current_user || ' ' || current_database()")).toBe('o-neil a "b"');
        expect(await words("exec", name, "id", "-un")).toBe("postgres");
        await expect(psql("SELECT 1", ["o-neil", "wrong", 'a "b"'])).rejects.toMatchObject({
          stderr: expect.stringContaining("password authentication failed"),
        });
      },
    );

    it("ends at once with open connections, and has its data when it starts again", { timeout: 120_000 }, async () => {
      await psql("CREATE TABLE plants AS SELECT 77 AS count");
      const session = psql("SELECT pg_sleep(30)").catch(() => undefined);
      await sleep(500);
      const started = performance.now();
      await words("stop", name);
      expect(performance.now() - started).toBeLessThan(5000);
      await session;
      expect(await words("inspect", "-f", "{{.State.ExitCode}}", name)).toBe("0");
      await words("start", name);
      await healthy();
      expect(await psql("SELECT count FROM plants")).toBe("77");
    });

    it("begins anew after it was killed while it made the cluster", { timeout: 120_000 }, async () => {
      await words("rm", "-f", name);
      await words("volume", "rm", volume);
      const start = () =>
        words(
          ...["run", "-d", "--name", name, ...hardened, "-v", `${volume}:/var/lib/postgresql`],
          ...["-e", "POSTGRES_PASSWORD=x", image],
        );
      await start();
      for (let waited = 0; waited < 100; waited += 1) {
        if ((await words("exec", name, "ls", "/var/lib/postgresql").catch(() => "")).includes("data.new")) break;
        await sleep(20);
      }
      await words("rm", "-f", name);
      await start();
      await healthy();
      expect(await psql("SELECT 1", ["postgres", "x", "postgres"])).toBe("1");
    });
  },
);

/** Sends lines to a port and returns the answer. */
function say(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      answer += chunk.toString();
      if (answer.split("\r\n").length > 3) socket.end();
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}
