import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sheaf-lab-"));
  vi.resetModules();
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** The helpers remember what they found; each test starts from a fresh module. */
async function lab() {
  return import("./lab.ts");
}

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe("dockerEngine", () => {
  it("takes the client that SHEAF_TEST_DOCKER names when its engine answers", async () => {
    const docker = program("my-docker", 'test "$1" = version');
    vi.stubEnv("SHEAF_TEST_DOCKER", docker);
    expect((await lab()).dockerEngine()).toEqual({ command: docker });
  });

  it("does not take a client without an engine", async () => {
    vi.stubEnv("SHEAF_TEST_DOCKER", program("docker", "echo Cannot connect >&2; exit 1"));
    expect((await lab()).dockerEngine()).toBeUndefined();
  });

  it("asks once", async () => {
    vi.stubEnv("SHEAF_TEST_DOCKER", program("docker", `echo asked >> "${folder}/asked"; exit 1`));
    const { dockerEngine } = await lab();
    dockerEngine();
    rmSync(join(folder, "asked"));
    dockerEngine();
    expect(() => rmSync(join(folder, "asked"))).toThrow(/ENOENT/);
  });
});

describe("tool", () => {
  it("finds a program on PATH and passes over what cannot be run", async () => {
    const path = program("some-oracle", "exit 0");
    writeFileSync(join(folder, "some-text"), "no program");
    vi.stubEnv("PATH", folder);
    const { tool } = await lab();
    expect(tool("some-oracle")).toBe(path);
    expect(tool("some-text")).toBeUndefined();
    expect(tool("some-absent-oracle")).toBeUndefined();
  });
});

describe("pythonWith", () => {
  it("passes over a python that lacks the module", async () => {
    const lacking = program("python3", "exit 1");
    const having = program("python3.13", "exit 0");
    vi.stubEnv("PATH", folder);
    const found = (await lab()).pythonWith("packaging");
    expect(found).toBe(having);
    expect(found).not.toBe(lacking);
  });
});

describe("requireOrSkip", () => {
  it("skips what is missing on a developer's machine", async () => {
    vi.stubEnv("SHEAF_REQUIRE_ENGINES", "");
    const { requireOrSkip } = await lab();
    expect(requireOrSkip("skopeo", undefined)).toBe(false);
    expect(requireOrSkip("skopeo", "/usr/bin/skopeo")).toBe(true);
  });

  it("fails, naming what is missing, where engines are required", async () => {
    vi.stubEnv("SHEAF_REQUIRE_ENGINES", "1");
    const { requireOrSkip } = await lab();
    expect(() => requireOrSkip("skopeo", undefined)).toThrow(/skopeo is required here/);
    expect(requireOrSkip("skopeo", "/usr/bin/skopeo")).toBe(true);
  });
});

describe("output", () => {
  it("gives standard output, and throws with standard error", async () => {
    const { output } = await lab();
    expect(await output(program("good", "echo fine"), [])).toBe("fine\n");
    await expect(output(program("bad", "echo broken >&2; exit 3"), [])).rejects.toThrow(/broken/);
  });
});
