import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { namespacesWork } from "../engine/namespaces-available.ts";
import { canBuildServers, serverParts, verifyServer } from "./running-image.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-running-own-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!namespacesWork() || !canBuildServers)(
  "a running image (skipped where unshare --user fails or there is no Python)",
  { timeout: 60_000 },
  () => {
    it("is held to checks of one's own", async () => {
      const parts = serverParts();
      parts.contract.skip = { "runtime.*": "not asked here" };
      parts.contract.checks = {
        "exit-good": { command: ["/bin/sh", "-c", "exit 3"], exit: 3 },
        "exit-bad": { command: ["/bin/sh", "-c", "echo broken; exit 1"] },
        "output-good": { command: ["/bin/sh", "-c", "pwd"], output: "^/app$" },
        "output-bad": { command: ["/bin/sh", "-c", "pwd"], output: "^/srv$" },
        "missing-bad": { command: ["/bin/no-such-program"] },
        "url-good": { url: "/health", output: "ok" },
        "url-bad": { url: "/nowhere" },
        "status-good": { url: "/nowhere", status: 404 },
      };
      const { verdict, bugs } = await verifyServer(parts, { engine: "none", folder });
      expect(bugs).toEqual([]);
      const custom = verdict.checks.filter(({ group }) => group === "custom");
      expect(custom.map(({ id, verdict: each }) => [id, each])).toEqual(
        custom.map(({ id }) => [id, id.endsWith("-good") ? "pass" : "fail"]),
      );
      expect(custom).toHaveLength(8);
      expect(custom.find(({ id }) => id === "custom.exit-bad")?.evidence).toEqual(["broken"]);
      expect(custom.find(({ id }) => id === "custom.url-bad")?.measured).toBe("/nowhere answered 404");
    });

    it("without a port is up when its probe succeeds, and is asked no HTTP", async () => {
      const parts = serverParts();
      delete parts.config.ExposedPorts;
      delete parts.contract["health-url"];
      parts.contract.role = "worker";
      parts.config.Healthcheck = {
        Test: ["CMD", "/bin/sh", "-c", "grep -qz server.py /proc/[0-9]*/cmdline"],
        Timeout: 3e9,
      };
      const { verdict } = await verifyServer(parts, { engine: "none", folder });
      const of = (id: string) => verdict.checks.find((check) => check.id === id);
      for (const id of ["runtime.port", "runtime.health", "runtime.signal-inflight"]) {
        expect(of(id)?.verdict, id).toBe("skipped");
        expect(of(id)?.notRun, id).toBeUndefined();
      }
      for (const id of [
        "runtime.start",
        "runtime.user",
        "runtime.healthcheck",
        "runtime.signal-idle",
        "runtime.zombies",
      ])
        expect(of(id), id).toMatchObject({ verdict: "pass" });
      expect(verdict.checks.filter(({ group, verdict: each }) => group === "runtime" && each === "fail")).toEqual([]);
    });

    it("that ends at once says what it printed last, and nothing else is green", async () => {
      const parts = serverParts();
      parts.server = "import sys\nsys.exit('DATABASE_URL is not set')\n";
      const { verdict } = await verifyServer(parts, { engine: "none", folder });
      const runtime = verdict.checks.filter(({ group }) => group === "runtime");
      expect(runtime.filter(({ verdict: each }) => each === "pass")).toEqual([]);
      expect(runtime.find(({ id }) => id === "runtime.start")).toMatchObject({
        verdict: "fail",
        measured: "it did not start: it ended with exit code 1",
        evidence: ["DATABASE_URL is not set"],
      });
      expect(runtime.find(({ id }) => id === "runtime.user")).toMatchObject({
        measured: "it did not start",
        notRun: true,
      });
    });
  },
);
