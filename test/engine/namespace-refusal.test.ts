import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, afterEach, describe, expect, it } from "vitest";

import { runDaemonless } from "../../src/engine/daemonless.ts";
import { refusal } from "../../src/engine/namespace-refusal.ts";
import { silent } from "../../src/events.ts";
import { openStore } from "../../src/store/store.ts";
import { imageOf, shellLayer } from "./images.ts";

describe("refusal", () => {
  const refused = (text: string, settings: Record<string, string>) => refusal(text, (file) => settings[file]);
  const eperm = "unshare: unshare failed: Operation not permitted\n";

  it.each([
    ["kernel.unprivileged_userns_clone=1", eperm, { "/proc/sys/kernel/unprivileged_userns_clone": "0" }],
    ["user.max_user_namespaces", eperm, { "/proc/sys/user/max_user_namespaces": "0" }],
    ["user.max_user_namespaces", "unshare: unshare failed: No space left on device", {}],
    [
      "apparmor_restrict_unprivileged_userns=0",
      eperm,
      { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1" },
    ],
    ["seccomp=unconfined", eperm, { "/.dockerenv": "" }],
    ["seccomp=unconfined", eperm, { "/proc/self/status": "Name:\tnode\nSeccomp:\t2\n" }],
    ["systempaths=unconfined", "mount: /proc: permission denied.", { "/.dockerenv": "" }],
    ["findutils", "sheaf-namespace: 35: xargs: not found", {}],
    ["util-linux 2.", "unshare: unrecognized option '--map-user=1'", {}],
    ["unshare --user --map-root-user", eperm, {}],
  ])("names %s", (hint, text, settings) => {
    const error = refused(text, settings);
    expect(error.code).toBe("SHEAF_NAMESPACES");
    expect(error.hints.join("\n")).toContain(hint);
    expect(error.hints.at(-1)).toContain("Docker");
    expect(error.details).toEqual([["the system said", text.trim()]]);
  });
});

describe("runDaemonless on a machine that refuses", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-refusal-"));
  const store = openStore(path.join(folder, "store"));
  const realPath = process.env["PATH"];
  afterEach(() => (process.env["PATH"] = realPath));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  const image = imageOf([shellLayer()], { User: "10001:10001", Cmd: ["true"], Env: ["PATH=/bin"] });
  const run = () => runDaemonless(image, { store, emit: silent });

  function fake(name: string, script: string): void {
    const bin = path.join(folder, name);
    fs.mkdirSync(bin, { recursive: true });
    fs.writeFileSync(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env["PATH"] = `${bin}:${realPath}`;
  }

  it("says so when unshare fails, and leaves nothing behind", async () => {
    fake("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1");
    await expect(run()).rejects.toMatchObject({
      code: "SHEAF_NAMESPACES",
      details: [["the system said", "unshare: unshare failed: Operation not permitted"]],
    });
    expect(fs.readdirSync(path.join(store.root, "tmp"))).toEqual([]);
  });

  it("says so when a mount fails half-way", async () => {
    fake("mount", "echo 'mount: /proc: permission denied.' >&2; exit 32");
    await expect(run()).rejects.toMatchObject({ code: "SHEAF_NAMESPACES", message: expect.stringContaining("engine") });
  });

  it("goes on read-only, with a warning, where overlayfs is refused", async () => {
    const real = realPath
      ?.split(":")
      .map((each) => path.join(each, "mount"))
      .find((file) => fs.existsSync(file));
    fake("mount", `case "$*" in *"-t overlay"*) exit 32;; esac; exec ${real} "$@"`);
    const events: unknown[] = [];
    let text = "";
    const command = ["sh", "-c", "touch /home/appuser/x 2>&1 || true; touch /tmp/x && id -u; cat /app/main.txt"];
    const running = await runDaemonless(image, {
      store,
      command,
      emit: (event) => events.push(event),
      onOutput: (chunk) => (text += Buffer.from(chunk).toString()),
    });
    expect(await running.exited).toBe(0);
    expect(text).toMatch(/[Rr]ead-only file system\n10001\nmain\n$/);
    expect(events).toMatchObject([{ type: "warning", code: "SHEAF_READ_ONLY" }]);
  });

  it("asks for an image of this machine's platform", async () => {
    const foreign = { ...image, config: { ...image.config, architecture: "riscv64" } };
    await expect(runDaemonless(foreign, { store, emit: silent })).rejects.toMatchObject({
      code: "SHEAF_PLATFORM",
      message: expect.stringContaining("linux/riscv64"),
    });
  });
});
