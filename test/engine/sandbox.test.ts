import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { runInSandbox, type SandboxOptions } from "../../src/engine/sandbox.ts";
import { openStore } from "../../src/store/store.ts";
import { processesLike } from "./daemonless-suite.ts";
import { shellLayer } from "./images.ts";
import { namespacesWork } from "./namespaces-available.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-sandbox-"));
const store = openStore(path.join(folder, "store"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const run = (script: string, options: Partial<SandboxOptions> = {}) =>
  runInSandbox({
    store,
    rootfs: [shellLayer()],
    command: ["sh", "-c", script],
    binds: [],
    workdir: "/",
    env: { PATH: "/bin" },
    timeoutMs: 20_000,
    ...options,
  });

describe.skipIf(!namespacesWork())("runInSandbox (skipped where unshare --user fails)", () => {
  it("builds from one folder into another and keeps nothing else", async () => {
    const [source, out] = ["source", "out"].map((name) => path.join(folder, name)) as [string, string];
    for (const each of [source, out]) fs.mkdirSync(each);
    fs.writeFileSync(path.join(source, "input"), "input\n");
    const result = await run(
      "pwd; cat input > /out/built; echo x 2>/dev/null > /src/input; cat input; echo lost > /build/y; echo err >&2",
      {
        binds: [
          { source, target: "/src", readOnly: true },
          { source, target: "/build", readOnly: true },
          { source: out, target: "/out" },
        ],
        workdir: "/src",
      },
    );
    expect(result.stdout).toBe("/src\ninput\n");
    expect(result.stderr).toContain("err\n");
    expect(fs.readFileSync(path.join(out, "built"), "utf8")).toBe("input\n");
    expect(fs.readdirSync(source)).toEqual(["input"]);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("has no network, no other environment, no capabilities and nobody's user", async () => {
    const result = await run(
      "id -u; cat /proc/net/dev | grep -c :; env | grep -v ^_= | wc -l; grep CapEff /proc/self/status",
    );
    const [uid, interfaces, variables, capabilities] = result.stdout.trim().split("\n");
    expect([uid, interfaces, capabilities]).toEqual(["20001", "1", "CapEff:\t0000000000000000"]);
    // PATH, and what a shell adds by itself.
    expect(Number(variables)).toBeLessThanOrEqual(3);
  });

  it("ends what takes too long, with all it has started", async () => {
    const own = `8${process.pid}`;
    const result = await run(`echo begun; sleep ${own} & sleep ${own}`, { timeoutMs: 300 });
    expect(result).toMatchObject({ code: 124, stdout: "begun\n" });
    expect(processesLike(`sleep\0${own}`)).toEqual([]);
  });

  it("keeps a megabyte of what is printed and counts the rest", async () => {
    const result = await run("head -c 3000000 /dev/zero");
    expect(result.stdout).toHaveLength(2 ** 20 + "\n[1951424 more bytes were left out]\n".length);
    expect(result.stdout).toContain("[1951424 more bytes");
  });

  it("bounds the memory", async () => {
    const script = "x=0123456789abcdef; while :; do x=$x$x; done";
    const result = await run(script, { memory: 200 * 2 ** 20 });
    expect(result.code).not.toBe(0);
    expect(result.code).not.toBe(124);
  });

  it("takes a folder of this machine as its root, which it can't change", async () => {
    const root = path.join(folder, "with space, and: comma");
    const { prepareRootFileSystem } = await import("../../src/engine/rootfs.ts");
    const { root: tree } = await prepareRootFileSystem(store, [shellLayer()], { uid: 0, gid: 0 });
    fs.cpSync(tree, root, { recursive: true, verbatimSymlinks: true });
    const result = await run("cat /app/main.txt; echo 1 > /app/new; echo 2 > /tmp/new && cat /tmp/new", {
      rootfs: root,
    });
    expect(result.stdout).toBe("main\n2\n");
    expect(fs.readdirSync(path.join(root, "app"))).toEqual(["main.txt"]);
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });
});
