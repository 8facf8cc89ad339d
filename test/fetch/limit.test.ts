import { expect, it } from "vitest";

import { createLimit } from "../../src/fetch/limit.ts";

it("runs so many at once; of those that wait the largest and the first take turns", async () => {
  const limit = createLimit(2);
  const started: string[] = [];
  let running = 0;
  let most = 0;
  const act = (name: string, size?: number): Promise<string> =>
    limit(async () => {
      started.push(name);
      most = Math.max(most, ++running);
      await Promise.resolve();
      running -= 1;
      return name;
    }, size);
  const names = await Promise.all([act("a"), act("b", 1), act("c", 2), act("d"), act("torch", 900), act("cudnn", 700)]);
  expect(names).toEqual(["a", "b", "c", "d", "torch", "cudnn"]);
  expect(started).toEqual(["a", "b", "torch", "c", "cudnn", "d"]);
  expect(most).toBe(2);
});

it("goes on after a failure", async () => {
  const limit = createLimit(1);
  const failing = limit(() => Promise.reject(new Error("refused")));
  const after = limit(async () => "done");
  await expect(failing).rejects.toThrow("refused");
  expect(await after).toBe("done");
});
