import * as fs from "node:fs";
import * as path from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { SheafError } from "../../src/errors.ts";
import type { Emit } from "../../src/events.ts";
import { createWorkerPool, type WorkerPool } from "../../src/workers/pool.ts";
import type { TaskInput, Tasks } from "../../src/workers/tasks.ts";
import { temporary } from "../archive/oracle.ts";

/** A thread that does what its input says, in the place of the bundled worker. */
const program = `
import { parentPort, threadId } from "node:worker_threads";
const sheaf = { code: "SHEAF_WHEEL", hints: ["mend it"], details: [["file", "x.whl"]], exitCode: 2 };
const acts = {
  answer: () => parentPort.postMessage({ ok: true, value: threadId }),
  fail: () => parentPort.postMessage({ ok: false, error: { message: "broken", sheaf } }),
  throw: () => { throw new Error("out of hand"); },
  exit: () => process.exit(3),
  tell: () => {
    for (const id of ["a", "b"]) parentPort.postMessage({ event: { type: "work-end", id, group: "g", reused: false } });
    acts.answer();
  },
  wait: () => setTimeout(() => {}, 60_000),
};
parentPort.on("message", ({ input }) => acts[input]());
`;

const pools: WorkerPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

function poolOf(size: number): (act: string, emit?: Emit) => Promise<unknown> {
  const script = path.join(temporary(), "worker.mjs");
  fs.writeFileSync(script, program);
  const pool = createWorkerPool({ tasks: {} as Tasks, size, script });
  pools.push(pool);
  return (act, emit) => pool.tasks.wheel(act as unknown as TaskInput<"wheel">, emit);
}

describe("threads", () => {
  it("are used again", async () => {
    const run = poolOf(1);
    expect(await run("answer")).toBe(await run("answer"));
  });

  it("bring a SheafError across with its hints, details and exit code", async () => {
    const error = await poolOf(1)("fail").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SheafError);
    expect(error).toMatchObject({ code: "SHEAF_WHEEL", hints: ["mend it"], details: [["file", "x.whl"]], exitCode: 2 });
  });

  it("tell what happens to whoever gave them the task, before it is done", async () => {
    const run = poolOf(1);
    const told: string[] = [];
    await run("tell", (event) => told.push("id" in event ? event.id : event.type));
    await run("tell");
    expect(told).toEqual(["a", "b"]);
  });

  it.each([
    ["exit", "ended with code 3"],
    ["throw", "out of hand"],
  ])("that end by %s fail their own task, and the ones that wait get a thread", async (act, message) => {
    const run = poolOf(1);
    const [lost, ...others] = await Promise.allSettled([run(act), run("answer"), run("answer")]);
    expect(lost).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining(message) } });
    expect(others.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  });

  it("that are closed fail what is under way and what waits", async () => {
    const run = poolOf(1);
    const all = Promise.allSettled([run("wait"), run("answer")]);
    await pools[0]?.close();
    expect((await all).map((each) => each.status)).toEqual(["rejected", "rejected"]);
    await expect(run("answer")).rejects.toThrow("closed");
  });
});

it("runs on this thread with size 0", async () => {
  const tasks = { wheel: async (input: unknown) => ({ input }) } as unknown as Tasks;
  const pool = createWorkerPool({ tasks, size: 0 });
  expect(await pool.tasks.wheel({ digest: "d" } as unknown as TaskInput<"wheel">)).toEqual({ input: { digest: "d" } });
});
