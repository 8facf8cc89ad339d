import { type ChildProcess, execFile, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { tool } from "../lab/lab.ts";
import { freePort, isTaken } from "./ports.ts";

const run = promisify(execFile);

/** A PostgreSQL and a Redis of the test's own, on this machine's loopback. */
export interface Servers {
  /** As the example's settings take it. */
  databaseUrl: string;
  redisUrl: string;
  stop(): Promise<void>;
}

/** Starts them; undefined where one of the programs isn't installed. */
export function servers(): (() => Promise<Servers>) | undefined {
  const redis = tool("redis-server");
  const postgres = postgresFolder();
  if (!redis || !postgres) return undefined;
  return () => start(redis, postgres);
}

async function start(redis: string, postgres: string): Promise<Servers> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-servers-"));
  const redisPort = await freePort();
  const words = ["--port", String(redisPort), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const server = spawn(redis, words, { cwd: folder, stdio: "ignore" });
  const port = await freePort();
  const control = path.join(folder, "data");
  // PostgreSQL refuses to run as root.
  const asUser = process.getuid?.() === 0 ? ["runuser", "-u", "postgres", "--"] : [];
  const postgresRun = async (program: string, ...rest: string[]) => {
    const [first = "", ...others] = [...asUser, path.join(postgres, program), ...rest];
    await run(first, others, { cwd: os.tmpdir(), timeout: 60_000 });
  };
  if (asUser.length > 0) await run("chown", ["postgres", folder]);
  await postgresRun("initdb", "-D", control, "-U", "demeterai", "-A", "trust", "-N");
  const options = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off`;
  await postgresRun("pg_ctl", "-D", control, "-s", "-w", "-l", path.join(folder, "log"), "-o", options, "start");
  while (!(await isTaken(redisPort))) await sleep(50);
  return {
    databaseUrl: `postgresql+asyncpg://demeterai@127.0.0.1:${port}/postgres`,
    redisUrl: `redis://127.0.0.1:${redisPort}/0`,
    stop: async () => {
      await ended(server);
      await postgresRun("pg_ctl", "-D", control, "-m", "immediate", "-s", "stop");
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("close", () => resolve());
    child.kill();
  });
}

/** The folder of initdb and pg_ctl, which Debian keeps off the PATH. */
function postgresFolder(): string | undefined {
  const versions = "/usr/lib/postgresql";
  const folders = fs.existsSync(versions)
    ? fs.readdirSync(versions).map((each) => path.join(versions, each, "bin"))
    : [];
  return folders.toSorted().findLast((folder) => fs.existsSync(path.join(folder, "pg_ctl")));
}
