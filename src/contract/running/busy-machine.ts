import * as os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { type Finding, undecided } from "../finding.ts";

/** From here on, what took too long may have waited for a processor. */
const busy = 0.5;

/**
 * A limit is a promise, and keeping it on a busy machine counts. What is over its limit is a failure only on a machine that has time:
 * otherwise nobody can tell whose it is, and the finding says so.
 * @param taken share of the processors that others take, 0 to 1; asked when it matters
 */
export async function unlessBusy(finding: Finding, taken: () => Promise<number>): Promise<Finding> {
  const { figure, measured, limit, evidence = [] } = finding;
  if (finding.verdict !== "fail" || figure?.unit !== "seconds") return finding;
  if (figure.limit === undefined || figure.measured <= figure.limit) return finding;
  const share = await taken();
  if (share < busy) return finding;
  return undecided(measured, {
    ...(limit === undefined ? {} : { limit }),
    figure,
    evidence: [`others keep ${Math.round(share * 100)} % of this machine's processors busy`, ...evidence],
    hint: "run it again when the machine has time: here nobody can tell whether it is the image's",
  });
}

/** Share of this machine's processors that is taken, for half a second in which nothing is asked of a container. */
export async function takenNow(): Promise<number> {
  const before = times();
  await sleep(500);
  const after = times();
  const all = after.all - before.all;
  return all === 0 ? 0 : 1 - (after.idle - before.idle) / all;
}

function times(): { idle: number; all: number } {
  const sums = { idle: 0, all: 0 };
  for (const { times: each } of os.cpus()) {
    sums.idle += each.idle;
    sums.all += each.user + each.nice + each.sys + each.idle + each.irq;
  }
  return sums;
}
