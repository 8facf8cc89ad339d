import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import {
  initialHealth,
  nextHealth,
  parseHealthcheck,
  probeDelayMs,
  probeEvidence,
  type HealthCheck,
} from "../../src/engine/health.ts";
import { monitorHealth } from "../../src/engine/health-monitor.ts";

const second = 1e9;

describe("parseHealthcheck", () => {
  it("reads both forms, in nanoseconds", () => {
    const config = {
      Test: ["CMD", "wget", "-q", "x"],
      Interval: 30 * second,
      Timeout: 3 * second,
      StartPeriod: 40 * second,
      Retries: 4,
    };
    expect(parseHealthcheck(config)).toEqual({
      ...{ command: ["wget", "-q", "x"], intervalMs: 30_000, timeoutMs: 3000 },
      ...{ startPeriodMs: 40_000, startIntervalMs: 250, retries: 4 },
    });
    expect(parseHealthcheck({ Test: ["CMD-SHELL", "a || b"] })?.command).toEqual(["/bin/sh", "-c", "a || b"]);
    expect(parseHealthcheck({ Test: ["CMD-SHELL", "a"] }, ["/bin/bash", "-ec"])?.command).toEqual([
      "/bin/bash",
      "-ec",
      "a",
    ]);
  });

  it("has Docker's defaults for what is absent or 0", () => {
    const defaults = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, retries: 3 };
    expect(parseHealthcheck({ Test: ["CMD", "x"] })).toMatchObject(defaults);
    expect(parseHealthcheck({ Test: ["CMD", "x"], Interval: 0, Timeout: 0, Retries: 0 })).toMatchObject(defaults);
  });

  it("is undefined where there is no check", () => {
    for (const config of [
      undefined,
      {},
      { Test: [] },
      { Test: ["NONE"] },
      { Test: ["CMD"] },
      { Test: ["CMD-SHELL"] },
    ]) {
      expect(parseHealthcheck(config)).toBeUndefined();
    }
  });

  it("never probes less often at the start than later", () => {
    expect(parseHealthcheck({ Test: ["CMD", "x"], Interval: 0.1 * second })?.startIntervalMs).toBe(100);
    expect(parseHealthcheck({ Test: ["CMD", "x"], StartInterval: 5 * second })?.startIntervalMs).toBe(5000);
  });
});

describe("nextHealth", () => {
  const check = { ...(parseHealthcheck({ Test: ["CMD", "x"], Retries: 2, StartPeriod: 10 * second }) as HealthCheck) };
  const after = (...results: [ok: boolean, atMs: number][]) =>
    results.reduce((state, [ok, atMs]) => nextHealth(check, state, { ok, atMs }), initialHealth).status;

  it("counts no failure inside the start period until the first success", () => {
    expect(after([false, 1000], [false, 2000], [false, 9000])).toBe("starting");
    expect(after([true, 1000], [false, 2000], [false, 3000])).toBe("unhealthy");
  });

  it("needs as many failures in a row as retries", () => {
    expect(after([false, 11_000])).toBe("starting");
    expect(after([false, 11_000], [false, 12_000])).toBe("unhealthy");
    expect(after([true, 11_000], [false, 12_000])).toBe("healthy");
    expect(after([true, 11_000], [false, 12_000], [true, 13_000], [false, 14_000])).toBe("healthy");
  });

  it("recovers with one success", () => {
    expect(after([false, 11_000], [false, 12_000], [true, 13_000])).toBe("healthy");
  });

  it("is in a hurry only while it starts", () => {
    const healthy = { status: "healthy" as const, failingStreak: 0 };
    expect(probeDelayMs(check, initialHealth, 0)).toBe(250);
    expect(probeDelayMs(check, initialHealth, 10_000)).toBe(30_000);
    expect(probeDelayMs(check, healthy, 0)).toBe(30_000);
  });
});

describe("probeEvidence", () => {
  it("is one line with the end of what was printed", () => {
    expect(probeEvidence(1, "a\n  b\n")).toBe("exit code 1: a b");
    expect(probeEvidence(139, "")).toBe("exit code 139");
    expect(probeEvidence(124, "")).toBe("no answer within its timeout");
    expect(probeEvidence(1, "x".repeat(1000))).toHaveLength("exit code 1: ".length + 300);
  });
});

describe("monitorHealth", () => {
  const check = { command: ["x"], intervalMs: 5, timeoutMs: 50, startPeriodMs: 0, startIntervalMs: 5, retries: 2 };

  it("tells each change once, and a probe that throws is a failure", async () => {
    const seen: string[] = [];
    const codes = [0, 0, 1, "throw", 1, 0] as const;
    let probes = 0;
    const monitor = monitorHealth({
      check,
      probe: (command, timeoutMs) => {
        expect([command, timeoutMs]).toEqual([["x"], 50]);
        const code = codes[probes++] ?? 0;
        return code === "throw"
          ? Promise.reject(new Error("no such program"))
          : Promise.resolve({ code, stdout: "", stderr: `said ${code}\n` });
      },
      onChange: (status, evidence) => seen.push(`${status}: ${evidence}`),
    });
    expect(monitor.status).toBe("starting");
    await expect.poll(() => probes).toBeGreaterThan(6);
    monitor.stop();
    expect(seen).toEqual([
      "healthy: exit code 0: said 0",
      "unhealthy: exit code 1: no such program",
      "healthy: exit code 0: said 0",
    ]);
  });

  it("says nothing after stop, even from a probe under way", async () => {
    const seen: string[] = [];
    let finish = () => {};
    let probes = 0;
    const monitor = monitorHealth({
      check,
      probe: () => {
        probes += 1;
        return new Promise((resolve) => (finish = () => resolve({ code: 0, stdout: "", stderr: "" })));
      },
      onChange: (status) => seen.push(status),
    });
    await expect.poll(() => probes).toBe(1);
    monitor.stop();
    finish();
    await sleep(30);
    expect([seen, probes]).toEqual([[], 1]);
  });
});
