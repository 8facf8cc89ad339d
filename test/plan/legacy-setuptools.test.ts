import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { needsSetuptools } from "../../src/plan/legacy-setuptools.ts";
import { openStore } from "../../src/store/store.ts";
import { buildZip } from "../wheel/build-wheel.ts";

const root = mkdtempSync(join(tmpdir(), "sheaf-setuptools-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const store = openStore(root);

function distribution(name: string, path: string, source: string) {
  const digest = store.putBlob(buildZip([{ path, bytes: Buffer.from(source) }]));
  return { name, sha256: digest.slice("sha256:".length), modules: [name] };
}

const old = distribution("old", "old/__init__.py", '"""Old."""\nfrom pkg_resources import get_distribution\n');

describe("needsSetuptools", () => {
  it("names the distribution that imports pkg_resources as it loads, the second time from what it knows", async () => {
    const young = distribution("young", "young/__init__.py", "import importlib.metadata\n");
    const question = { distributions: [young, old], minor: "3.11" };
    expect(await needsSetuptools(question, store)).toBe("old");
    expect(await needsSetuptools(question, store)).toBe("old");
  });

  it.each([
    ["an import that may fail", "x/__init__.py", "try:\n    import pkg_resources\nexcept ImportError:\n    pass\n"],
    ["tests", "x/tests/test_x.py", "import pkg_resources\n"],
    ["another name", "x/__init__.py", "import pkg_resources_of_mine\n"],
    ["what is no code", "x/notes.txt", "import pkg_resources\n"],
  ])("leaves out %s", async (_, path, source) => {
    const distributions = [distribution("x", path, source)];
    expect(await needsSetuptools({ distributions, minor: "3.11" }, store)).toBeUndefined();
  });

  it("adds nothing where setuptools is, or where Python never had it", async () => {
    const setuptools = { name: "setuptools", sha256: "0".repeat(64), modules: ["setuptools", "pkg_resources"] };
    expect(await needsSetuptools({ distributions: [old, setuptools], minor: "3.11" }, store)).toBeUndefined();
    expect(await needsSetuptools({ distributions: [old], minor: "3.12" }, store)).toBeUndefined();
  });
});
