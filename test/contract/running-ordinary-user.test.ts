import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, expect, it } from "vitest";

import { namespacesWork } from "../engine/namespaces-available.ts";
import { requireOrSkip, tool } from "../lab/lab.ts";
import { canBuildServers, serverParts, verifyServer } from "./running-image.ts";
import { describeRunning, notPassed } from "./running-suite.ts";

// Every test file has a process of its own; this one gives root up for good where it has it.
const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const unavailable = !canBuildServers || !namespacesWork(isRoot ? { uid: nobody, gid: nobody } : undefined);
const redis = requireOrSkip("redis-server", tool("redis-server"));
if (isRoot) {
  process.setgroups?.([]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}

describeRunning("running checks of an ordinary user (skipped where unshare --user fails or there is no Python)", {
  engine: "none",
  unavailable,
  defects: ["runtime.health-negative", "runtime.zombies", "runtime.user"],
});

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-running-nobody-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

it.skipIf(unavailable || !redis)(
  "a Redis runs beside the image of an ordinary user, too (skipped as before, and without redis-server)",
  { timeout: 120_000 },
  async () => {
    const parts = serverParts();
    parts.contract["broker-env"] = ["REDIS_URL"];
    parts.server = parts.server.replace("# START\n", askRedis);
    const verification = await verifyServer(parts, { engine: "none", folder });
    expect(notPassed(verification)).toEqual([]);
    expect(verification.bugs).toEqual([]);
  },
);

/** What ends a server that has no Redis beside it. */
const askRedis = `
host, _, port = os.environ["REDIS_URL"].removeprefix("redis://").split("/")[0].partition(":")
with socket.create_connection((host, int(port)), 5) as redis:
    redis.sendall(b"PING\\r\\n")
    print("Redis says", redis.recv(100), flush=True)
`;
