/** The health check of workers, run beside processes that go by several names, in a process namespace of their own. */
import { execFile, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";

import { afterAll, describe, expect, it } from "vitest";

import { chooseHealth } from "../../src/plan/health.ts";
import type { ImageIntent } from "../../src/plan/choose-images.ts";
import { pythonWith } from "../lab/lab.ts";

const run = promisify(execFile);
const python = pythonWith("ctypes");
const namespace = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
const usable = python !== undefined && spawnSync("unshare", [...namespace, "true"]).status === 0;

describe.skipIf(!usable)("a worker's health check (skipped without Python and namespaces)", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-probe-"));
  const script = path.join(folder, "celery");
  // torch gives the main thread, and so the process, another short name.
  fs.writeFileSync(
    script,
    'import ctypes, time\nctypes.CDLL(None).prctl(15, b"pt_main_thread", 0, 0, 0)\nprint("up", flush=True)\ntime.sleep(60)\n',
  );
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  const beside = async (shell: boolean, command: string) => {
    const intent = { settings: {}, role: "worker" } as unknown as ImageIntent;
    const [program = "", ...words] =
      chooseHealth({ intent, sources: new Map(), port: undefined, shell })?.value.test ?? [];
    const inside = `PATH=$1:$PATH; shift; (${command}) >/dev/null 2>&1 & sleep 1; "$@" && echo well || echo ill`;
    const probe = [program, ...words];
    const { stdout } = await run("unshare", [
      ...namespace,
      "sh",
      "-c",
      inside,
      "sh",
      path.dirname(python ?? ""),
      ...probe,
    ]);
    return stdout.trim();
  };

  it.each([true, false])(
    "finds Celery by its command line, whatever its process is called (with a shell: %s)",
    async (shell) => {
      expect(await beside(shell, `exec '${python}' '${script}' -A app worker`)).toBe("well");
    },
  );

  it.each([true, false])("finds the title that setproctitle writes (with a shell: %s)", async (shell) => {
    expect(await beside(shell, `exec bash -c 'exec -a "[celeryd: celery@host:MainProcess] -active-" sleep 60'`)).toBe(
      "well",
    );
  });

  it.each([true, false])("is ill where nothing but the probe and others run (with a shell: %s)", async (shell) => {
    expect(await beside(shell, "exec sleep 60")).toBe("ill");
    expect(await beside(shell, `exec sh -c 'sleep 60; echo celery'`)).toBe("ill");
  });
});
