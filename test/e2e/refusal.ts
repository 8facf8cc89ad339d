import { expect } from "vitest";

import { type RunOptions, sheaf } from "./sheaf.ts";

export interface Refusal {
  /** Codes of the errors, in order. */
  codes: string[];
  /** What a person reads, on standard error, without progress. */
  text: string;
}

/**
 * Runs a command that must be refused, and checks what holds for every refusal: exit code 2, one JSON object on stdout with
 * `--json`, words instead of a stack trace on stderr.
 */
export async function refused(words: readonly string[], options: RunOptions = {}): Promise<Refusal> {
  const outcome = await sheaf([...words, "--json"], options);
  expect(outcome.code, `${outcome.stdout}\n${outcome.stderr}`).toBe(2);
  const { errors } = JSON.parse(outcome.stdout) as { errors: { code: string; message: string }[] };
  expect(errors.length).toBeGreaterThan(0);
  expect(outcome.stderr).toMatch(/^error: /m);
  expect(outcome.stderr).not.toMatch(/^\s+at .+[:(]\d+|bug in Sheaf|\bundefined\b|\[object /m);
  for (const { message } of errors) expect(outcome.stderr).toContain(message.split("\n")[0]);
  return { codes: errors.map((error) => error.code), text: outcome.stderr.slice(outcome.stderr.search(/^error: /m)) };
}
