import * as http from "node:http";

export interface Answer {
  status: number;
  /** The first 256 KiB. */
  body: string;
  /** From the connection to the last byte. */
  seconds: number;
}

export interface AskOptions {
  timeoutMs: number;
  /** As the server knows itself. */
  host?: string;
}

const bodyLimit = 262_144;

/** What came in between: `connect ECONNREFUSED`. */
export interface NoAnswer {
  problem: string;
  /** The answer had begun and was cut off. */
  begun: boolean;
}

/** Asks over a connection of its own. */
export async function ask(url: string, { timeoutMs, host }: AskOptions): Promise<Answer | NoAnswer> {
  const startedAt = performance.now();
  return await new Promise((resolve) => {
    const headers = { Connection: "close", ...(host === undefined ? {} : { Host: host }) };
    const request = http.get(url, { agent: false, headers }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        if (size < bodyLimit) chunks.push(chunk.subarray(0, bodyLimit - size));
        size += chunk.length;
      });
      response.on("error", (error) => resolve({ problem: error.message, begun: true }));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString("utf8"),
          seconds: (performance.now() - startedAt) / 1000,
        }),
      );
    });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${(timeoutMs / 1000).toFixed(1)} s`)),
      timeoutMs,
    );
    request.on("close", () => clearTimeout(timer));
    request.on("error", (error) => resolve({ problem: error.message, begun: false }));
  });
}

/** What an answer lacks of what is promised: each field is there and equal, others may be. Undefined when all is there. */
export function missingInBody(body: string, wanted: Record<string, unknown>): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return `the answer is no JSON: ${body.slice(0, 120)}`;
  }
  const missing = Object.entries(wanted).find(([key, value]) => !covers(fieldOf(parsed, key), value));
  return (
    missing && `${missing[0]} is ${JSON.stringify(fieldOf(parsed, missing[0]))}, not ${JSON.stringify(missing[1])}`
  );
}

function covers(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return found === wanted;
  if (Array.isArray(wanted))
    return (
      Array.isArray(found) &&
      found.length === wanted.length &&
      wanted.every((each, index) => covers(found[index], each))
    );
  return Object.entries(wanted).every(([key, value]) => covers(fieldOf(found, key), value));
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
