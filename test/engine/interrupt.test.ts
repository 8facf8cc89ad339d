import { spawn, type ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { rolldown } from "rolldown";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { processesLike } from "./daemonless-suite.ts";
import { namespacesWork } from "./namespaces-available.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-interrupt-"));
const program = path.join(folder, "run.mjs");
const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill("SIGKILL")));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const bundle = await rolldown({
    input: path.join(import.meta.dirname, "interrupt-program.ts"),
    platform: "node",
    logLevel: "silent",
  });
  await bundle.write({ file: program, format: "esm", codeSplitting: false });
  await bundle.close();
});

interface Run {
  child: ChildProcess;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals | null>;
}

/** Runs an image in a process of its own, until it has printed `up`. */
async function run(script: string): Promise<Run> {
  const child = spawn(process.execPath, [program, path.join(folder, "store"), script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal)),
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk: Buffer) => chunk.toString().includes("up") && resolve());
    child.once("exit", () => reject(new Error("it ended before the image was up")));
  });
  return { child, ended };
}

describe.skipIf(!namespacesWork())("an interrupted run (skipped where unshare --user fails)", () => {
  const own = `7${process.pid}`;
  const left = () => processesLike(`sleep\0${own}`);
  const leftInStore = () => fs.readdirSync(path.join(folder, "store", "tmp"));

  it("asks the image to stop at the first signal", async () => {
    const { child, ended } = await run(`trap 'exit 21' TERM; sleep ${own} & echo up; wait`);
    child.kill("SIGINT");
    expect(await ended).toBe(21);
    expect([left(), leftInStore()]).toEqual([[], []]);
  });

  it("kills it at the second", async () => {
    const { child, ended } = await run(`trap 'echo asked' TERM; sleep ${own} & echo up; while :; do sleep 0.05; done`);
    const asked = new Promise<void>((resolve) =>
      child.stdout?.on("data", (chunk: Buffer) => String(chunk).includes("asked") && resolve()),
    );
    child.kill("SIGTERM");
    await asked;
    child.kill("SIGTERM");
    expect(await ended).toBe(137);
    expect([left(), leftInStore()]).toEqual([[], []]);
  });

  it("leaves no process and no file behind when Sheaf itself is killed", async () => {
    const { child, ended } = await run(`trap '' TERM; sleep ${own} & echo up; while :; do sleep 0.05; done`);
    await expect.poll(left).toHaveLength(1);
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    await expect.poll(left).toEqual([]);
    expect(leftInStore()).toEqual([]);
    expect(fs.readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(folder);
  });
});
