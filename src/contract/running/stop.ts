import type { Contract } from "../contract.ts";
import { fail, type Finding, pass } from "../finding.ts";
import type { Container } from "./container.ts";
import { orText, secondsText } from "./texts.ts";

/** How a container ended. */
export interface End {
  code: number;
  seconds: number;
}

/** Sends the stop signal and waits for the end, with SIGKILL a second after the contract's time. */
export async function stopOf(container: Container, contract: Contract): Promise<End> {
  const startedAt = performance.now();
  // Whole seconds are what engines wait; a little more, so that one at the limit is judged by the clock.
  const code = await container.running.stop(undefined, Math.ceil(contract.stop) * 1000 + 1000);
  return { code, seconds: (performance.now() - startedAt) / 1000 };
}

/** Whether it ended in time and with an exit code that is fine. */
export function judgeStop(
  { code, seconds }: End,
  container: Container,
  { stop, exitCodes: codes }: Pick<Contract, "stop" | "exitCodes">,
): Finding {
  const limit = `${secondsText(stop)}, exit code ${orText(codes)}`;
  const figure = { measured: seconds, limit: stop, unit: "seconds" as const };
  const evidence = [`exit code ${code} after ${secondsText(seconds)}`, ...container.lastLines(4)];
  if (seconds > stop || (code === 137 && !codes.includes(137))) {
    return fail(`it was still there after ${secondsText(stop)} and had to be killed`, {
      limit,
      figure,
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
