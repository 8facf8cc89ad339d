import * as os from "node:os";

import type { Contract } from "../contract.ts";
import { fail, type Finding, pass } from "../finding.ts";
import type { Container } from "./container.ts";
import { orText, secondsText } from "./texts.ts";

/** How a container ended. */
export interface End {
  code: number;
  seconds: number;
  /** It was given so long that it is deaf, and not slow. */
  deaf: boolean;
}

/** Sends the stop signal and waits for the end, with SIGKILL a second after the contract's time; on a busy machine, after three times as long. */
export async function stopOf(container: Container, contract: Contract): Promise<End> {
  const startedAt = performance.now();
  const isBusy = (os.loadavg()[0] ?? 0) > os.cpus().length;
  // Whole seconds are what engines wait; a little more, so that one at the limit is judged by the clock.
  const patience = Math.ceil(contract.stop) * (isBusy ? 3 : 1) + 1;
  const code = await container.running.stop(undefined, patience * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  return { code, seconds, deaf: isBusy && seconds >= patience };
}

/** Whether it ended in time and with an exit code that is fine. */
export function judgeStop(
  { code, seconds, deaf }: End,
  container: Container,
  { stop, exitCodes: codes }: Pick<Contract, "stop" | "exitCodes">,
): Finding {
  const limit = `${secondsText(stop)}, exit code ${orText(codes)}`;
  const figure = { measured: seconds, limit: stop, unit: "seconds" as const };
  const evidence = [`exit code ${code} after ${secondsText(seconds)}`, ...container.lastLines(4)];
  if (seconds > stop || (code === 137 && !codes.includes(137))) {
    return fail(`it was still there after ${secondsText(stop)} and had to be killed`, {
      limit,
      // With a figure it would be excused on a busy machine.
      ...(deaf ? {} : { figure }),
      evidence,
      hint: "start the server itself (exec form, or `exec` in the script) under tini, and limit how long it waits: --timeout-graceful-shutdown",
    });
  }
  if (!codes.includes(code)) {
    return fail(`it stopped with exit code ${code}`, {
      limit,
      figure,
      evidence,
      hint: "let it end well on the stop signal, or name the code in the contract's exit-codes",
    });
  }
  return pass(`stops within ${secondsText(seconds)}, exit code ${code}`, { limit, figure });
}
