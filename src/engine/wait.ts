import * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { SheafError } from "../errors.ts";

export interface WaitOptions {
  /** Milliseconds until giving up. */
  timeoutMs: number;
  /** Milliseconds between two tries, 20 unless given: start-up is measured with it. */
  everyMs?: number;
  /** Ends the wait early, with what it returns as the reason: the container has exited, say. */
  gaveUp?: () => string | undefined;
}

/**
 * Waits until an http: URL answers 200; returns the milliseconds that it took.
 * @throws SheafError SHEAF_NOT_READY with the last answer when the time is up
 */
export async function waitForHttp(url: string, options: WaitOptions): Promise<number> {
  const startedAt = performance.now();
  const left = () => options.timeoutMs - (performance.now() - startedAt);
  let last = unreached;
  while (left() > 0) {
    const reason = options.gaveUp?.();
    if (reason !== undefined) throw notReady(url, reason);
    const answer = await tryOnce(url, Math.max(1, Math.min(left(), 5000)));
    if (answer === "200") return performance.now() - startedAt;
    // The last try may have had a millisecond: what was answered before says more.
    if (left() > 0 || last === unreached) last = answer;
    await sleep(Math.max(1, Math.min(left(), options.everyMs ?? 20)));
  }
  throw notReady(url, `${(options.timeoutMs / 1000).toFixed(1)} s have passed, last: ${last}`);
}

const unreached = "it was never reached";

function notReady(url: string, reason: string): SheafError {
  return new SheafError("SHEAF_NOT_READY", `${url} did not answer 200: ${reason}`, {
    hint: "the lines that the app printed say why; a slow start needs a longer --timeout",
  });
}

/** The status as text, or the reason why there is none. */
async function tryOnce(url: string, timeoutMs: number): Promise<string> {
  return await new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: timeoutMs }, (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${Math.round(timeoutMs)} ms`)));
    request.on("error", (error) => resolve(error.message));
  });
}
