import { setTimeout as sleep } from "node:timers/promises";

import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import { showUrl } from "./show-url.ts";

const attempts = 4;
const pauses = [300, 1000, 3000];

/** What is tried, for progress and errors. */
export interface Attempted {
  url: string;
  label: string;
  emit: Emit;
}

/**
 * Does something up to four times, with pauses, as long as it fails in a way that can pass.
 * @throws SheafError SHEAF_FETCH when it doesn't pass, and whatever else `action` throws
 */
export async function withRetries<T>(what: Attempted, action: () => Promise<T>): Promise<T> {
  const retries = new Retries(what);
  for (;;) {
    try {
      return await action();
    } catch (error) {
      await retries.afterFailure(error);
    }
  }
}

/** Counts the failures of one thing that is tried: for callers that go on where they were. */
export class Retries {
  readonly #what: Attempted;
  #attempt = 1;

  constructor(what: Attempted) {
    this.#what = what;
  }

  /** Returns when it is time for the next attempt. @throws what the caller is to be told when there is none */
  async afterFailure(error: unknown): Promise<void> {
    if (error instanceof SheafError) throw error;
    const { url, label, emit } = this.#what;
    const attempt = this.#attempt++;
    const last = attempt === attempts || !canPass(error);
    if (last && (canPass(error) || isCertificateError(error))) throw unreachable(error, { label, url, attempt });
    if (last) throw error;
    emit({ type: "retry", id: url, label, attempt, reason: reasonOf(error) });
    await sleep(pauses[attempt - 1]);
  }
}

/** A failure that a second try may not have. */
export class PassingFailure extends Error {}

/** Statuses of a server that is busy or broken for a while. */
export function isPassingStatus(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

export function truncated(received: number, expected: number): PassingFailure {
  return new PassingFailure(`the connection ended after ${received} of ${expected} bytes`);
}

function canPass(error: unknown): boolean {
  if (error instanceof PassingFailure) return true;
  const code = causeCode(error);
  if (code === undefined || ended.has(code)) return false;
  return code.startsWith("UND_ERR") || networkCodes.has(code);
}

/** The command is over, or was interrupted, and its connections with it. */
const ended = new Set(["UND_ERR_DESTROYED", "UND_ERR_CLOSED", "UND_ERR_ABORTED"]);

const networkCodes = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** The code of the outermost failure that has one: `ECONNREFUSED`. */
export function causeCode(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if ("code" in each && typeof each.code === "string") return each.code;
  }
  return undefined;
}

function reasonOf(error: unknown): string {
  const code = causeCode(error);
  const message = error instanceof Error ? error.message || error.name : String(error);
  return code && !message.includes(code) ? `${message} (${code})` : message;
}

function isCertificateError(error: unknown): boolean {
  return /CERT|SIGNED|SIGNATURE|ISSUER/.test(causeCode(error) ?? "");
}

function unreachable(
  cause: unknown,
  { label, url, attempt }: { label: string; url: string; attempt: number },
): SheafError {
  const times = attempt === 1 ? "" : `, tried ${attempt} times`;
  return new SheafError("SHEAF_FETCH", `${label} could not be fetched${times}`, {
    details: [
      ["from", showUrl(url)],
      ["reason", reasonOf(cause)],
    ],
    hint: isCertificateError(cause)
      ? "if a proxy signs this network's traffic, name its certificate in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS"
      : ["check the network and HTTPS_PROXY", "or use --offline when everything is in the cache"],
    cause,
  });
}
