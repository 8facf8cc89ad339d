import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { openDockerArchive } from "../../src/oci/open-docker-archive.ts";
import { buildWheel } from "../wheel/build-wheel.ts";
import { buildJson, builtExample, example, exampleTag } from "./example.ts";
import { framework, projectOn, serveWheels } from "./local-index.ts";
import { refused } from "./refusal.ts";
import { copyStore, filesBelow, sheaf, startSheaf, temporaryFolder, writeFiles } from "./sheaf.ts";
import { canMount } from "../lab/can-mount.ts";

beforeAll(() => builtExample(), 300_000);

/** Processes that have this store in their command line or environment, the test's own aside. */
function processesWith(store: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return ["cmdline", "environ"].some((file) => fs.readFileSync(`/proc/${pid}/${file}`, "latin1").includes(store));
    } catch {
      return false;
    }
  });
}

/** Makes every layer of the example anew when it is built with a copy of the shared store. */
function withoutLayers(): string {
  const store = copyStore();
  for (const kind of [
    "environment",
    "wheel",
    "deb",
    "interpreter",
    "bytecode",
    "bytecode-pack",
    "layer",
    "layer-group",
  ])
    fs.rmSync(path.join(store, "records", kind), { recursive: true, force: true });
  return store;
}

describe.skipIf(process.platform !== "linux")("Ctrl-C (reads /proc)", { timeout: 120_000 }, () => {
  it.each(["SIGINT", "SIGTERM"] as const)("while a download is under way (%s)", async (signal) => {
    const wheels = [...framework(), { ...buildWheel({ name: "demo" }), trouble: { kind: "stall", times: 1 } as const }];
    const { env, requests } = await serveWheels(wheels);
    const folder = writeFiles(temporaryFolder(), projectOn(wheels));
    const store = copyStore();
    const build = startSheaf(["build", folder], { env, store });
    await expect.poll(() => requests.some((name) => name.startsWith("demo")), { timeout: 20_000 }).toBe(true);
    build.child.kill(signal);
    const outcome = await build.ended;
    expect(outcome.code, outcome.stderr).toBe(130);
    expect(outcome.stderr).not.toMatch(/error|bug|at /);
    expect(processesWith(store)).toEqual([]);
    expect(await sheaf(["build", folder], { env, store })).toMatchObject({ code: 0 });
  });

  it("while layers are made", async () => {
    const store = withoutLayers();
    const build = startSheaf(["build", example, "--image", "api", "--progress", "json"], { store });
    await build.told('"work-end"');
    build.child.kill("SIGINT");
    const outcome = await build.ended;
    expect(outcome.code, outcome.stderr).toBe(130);
    expect(outcome.seconds).toBeLessThan(60);
    expect(processesWith(store)).toEqual([]);
    const again = await buildJson([example, "--image", "api", "-t", exampleTag], { store });
    expect(again.digest).toBe((await builtExample()).digest);
  });

  it("while an archive is written: what was there before stays, whole", async () => {
    const folder = temporaryFolder();
    const dest = path.join(folder, "image.tar");
    const words = ["build", example, "--image", "api", "-t", exampleTag, "-o", `type=docker-archive,dest=${dest}`];
    fs.writeFileSync(dest, "what was there before");
    const build = startSheaf(words);
    await expect
      .poll(() => fs.readdirSync(folder).some((name) => name !== "image.tar"), { timeout: 30_000, interval: 2 })
      .toBe(true);
    build.child.kill("SIGINT");
    const { code } = await build.ended;
    if (code === 0) return expect((await openDockerArchive(dest)).layers.length).toBeGreaterThan(5);
    expect(code).toBe(130);
    expect(fs.readdirSync(folder)).toEqual(["image.tar"]);
    expect(fs.readFileSync(dest, "utf8")).toBe("what was there before");
  });

  it("while a layout is written: no half blob under its name", async () => {
    const dest = path.join(temporaryFolder(), "layout");
    const words = ["build", example, "--image", "api", "-t", exampleTag, "-o", `type=oci,dest=${dest}`];
    const build = startSheaf(words);
    await expect.poll(() => filesBelow(dest).length > 2, { timeout: 30_000, interval: 2 }).toBe(true);
    build.child.kill("SIGINT");
    expect([0, 130]).toContain((await build.ended).code);
    expect(filesBelow(dest).filter((file) => file.includes("tmp"))).toEqual([]);
    expectWholeBlobs(path.join(dest, "blobs"));
    expect(await sheaf(words)).toMatchObject({ code: 0 });
  });
});

describe("two builds at once on one store", () => {
  it("both succeed, with the same digest", { timeout: 180_000 }, async () => {
    const store = withoutLayers();
    const words = [example, "--image", "api", "-t", exampleTag];
    const [one, two] = await Promise.all([buildJson(words, { store }), buildJson(words, { store })]);
    expect(one.digest).toBe((await builtExample()).digest);
    expect(two.digest).toBe(one.digest);
    expect(filesBelow(path.join(store, "tmp"))).toEqual([]);
  });
});

describe("a disk that takes no more", () => {
  it.skipIf(!canMount())(
    "is named, and nothing is corrupted (needs root, to mount a small one)",
    { timeout: 120_000 },
    async () => {
      const store = mountSmall(20);
      const { codes, text } = await refused(["build", example, "--image", "api"], { store });
      expect(codes).toEqual(["SHEAF_DISK_FULL"]);
      expect(text).toMatch(/no space left[\s\S]*sheaf cache prune/);
      expectWholeBlobs(path.join(store, "blobs"));
      expect(filesBelow(path.join(store, "tmp"))).toEqual([]);
    },
  );

  it("a store that can't be written", { timeout: 30_000 }, async () => {
    // A file in the way is a refusal that root gets too.
    const file = path.join(writeFiles(temporaryFolder(), { there: "" }), "there");
    const { codes, text } = await refused(["build", example, "--image", "api"], { store: path.join(file, "store") });
    expect(codes).toEqual(["SHEAF_STORE"]);
    expect(text).toMatch(/SHEAF_CACHE_DIR/);
  });

  it.skipIf(process.getuid?.() === 0)("a read-only store (root may write everywhere)", async () => {
    const store = path.join(temporaryFolder(), "store");
    fs.mkdirSync(store, { mode: 0o555 });
    expect((await refused(["build", example], { store })).codes).toEqual(["SHEAF_STORE"]);
  });
});

/** Every file has the hash that is its name. */
function expectWholeBlobs(folder: string): void {
  const files = filesBelow(folder);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const sum = createHash("sha256")
      .update(fs.readFileSync(path.join(folder, file)))
      .digest("hex");
    expect(`sha256/${sum}`).toBe(file);
  }
}

function mountSmall(megabytes: number): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "none", folder]);
  onTestFinished(() => {
    execFileSync("umount", [folder]);
    fs.rmdirSync(folder);
  });
  return folder;
}
