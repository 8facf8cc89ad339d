import { expect, it, vi } from "vitest";

import { fail, pass } from "../../src/contract/finding.ts";
import { unlessBusy } from "../../src/contract/running/busy-machine.ts";

const slow = fail("the first answer comes after 12 s", {
  hint: "look at its imports",
  limit: "10 s",
  figure: { measured: 12, limit: 10, unit: "seconds" },
  evidence: ["1 start: 12 s"],
});

it("what takes too long fails on a machine that has time", async () => {
  expect(await unlessBusy(slow, async () => 0.3)).toBe(slow);
});

it("and is left undecided on a busy one, with what was measured", async () => {
  expect(await unlessBusy(slow, async () => 0.93)).toEqual({
    verdict: "error",
    measured: "the first answer comes after 12 s",
    limit: "10 s",
    figure: { measured: 12, limit: 10, unit: "seconds" },
    evidence: ["others keep 93 % of this machine's processors busy", "1 start: 12 s"],
    hint: "run it again when the machine has time: here nobody can tell whether it is the image's",
  });
});

it("what is in time passes, and other failures fail, without a look at the machine", async () => {
  const taken = vi.fn(async () => 1);
  const wrong = fail("status 500", { hint: "mend it", figure: { measured: 2, limit: 10, unit: "seconds" } });
  const large = fail("300 MB", { hint: "less", figure: { measured: 3e8, limit: 2e8, unit: "bytes" } });
  for (const finding of [pass("answers after 9 s"), wrong, large, fail("it ended", { hint: "look" })])
    expect(await unlessBusy(finding, taken)).toBe(finding);
  expect(taken).not.toHaveBeenCalled();
});
