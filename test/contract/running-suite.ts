import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { findEngine } from "../../src/engine/find.ts";
import { runningChecks } from "../../src/contract/running/registry.ts";
import type { Runtime } from "../../src/contract/running/runtime.ts";
import type { Verification } from "../../src/contract/verify-image.ts";
import { runningDefects } from "./running-defects.ts";
import { buildServer, serverParts, verifyServer } from "./running-image.ts";

/** Ids of the running checks that a server does not pass. It is no worker, so that two of them don't apply. */
export function notPassed({ verdict }: Verification): string[] {
  return verdict.checks
    .filter(({ id, group }) => group === "runtime" && !id.startsWith("runtime.worker-"))
    .filter(({ verdict: each }) => each !== "pass")
    .map(({ id, measured, evidence }) => `${id}: ${measured} ${(evidence ?? []).join(" | ")}`);
}

export interface RunningSuite {
  engine: Runtime["kind"];
  unavailable: boolean;
  /** All of them, or those of these ids. */
  defects: "all" | readonly string[];
}

/** Processes with this variable, which only a container of one test has. */
function processesWith(mark: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(mark);
    } catch {
      return false;
    }
  });
}

/** A good server keeps every promise in a runtime, and each spoilt one breaks the one that it is to break. */
export function describeRunning(title: string, { engine, unavailable, defects }: RunningSuite): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-running-"));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  const chosen = runningDefects.filter(({ id, inEnginesOnly }) =>
    defects === "all" ? !inEnginesOnly : defects.includes(id),
  );

  describe.skipIf(unavailable)(title, { timeout: 120_000, concurrent: true }, () => {
    it("find nothing in a good server", async () => {
      const verification = await verifyServer(serverParts(), { engine, folder });
      expect(notPassed(verification)).toEqual([]);
      expect(verification.bugs).toEqual([]);
      const ids = verification.verdict.checks.filter(({ group }) => group === "runtime").map(({ id }) => id);
      expect(ids).toEqual(runningChecks.map(({ id }) => id));
      expect(verification.verdict.runtime).toMatch(/\S/);
    });

    it("leave nothing behind when they are interrupted", async () => {
      const parts = serverParts();
      const mark = `MARK=${randomBytes(8).toString("hex")}`;
      parts.config.Env = [...(parts.config.Env ?? []), mark];
      const interrupt = new AbortController();
      const verified = verifyServer(parts, { engine, folder, signal: interrupt.signal });
      void verified.catch(() => undefined);
      await expect.poll(() => processesWith(mark), { timeout: 60_000, interval: 50 }).not.toEqual([]);
      interrupt.abort();
      await expect(verified).rejects.toMatchObject({ name: "AbortError" });
      await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
      // An engine does not remove an image that a container has.
      const found = engine === "none" ? undefined : await findEngine(engine);
      expect(await found?.imageId(buildServer(parts).manifest.config.digest)).toBeUndefined();
    });

    it.each(chosen)("$id finds $what, and no other does", async ({ id, spoil }) => {
      const parts = serverParts();
      spoil(parts);
      const { verdict } = await verifyServer(parts, { engine, folder });
      const failed = verdict.checks.filter(({ group, verdict: each }) => group === "runtime" && each === "fail");
      expect(failed.map((check) => `${check.id}: ${check.measured}`)).toEqual([expect.stringContaining(`${id}: `)]);
      expect(failed[0]?.hint).toMatch(/\w/);
    });
  });
}
