import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { onTestFinished } from "vitest";

export interface FakeAnswer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Asked {
  method: string;
  url: string;
  authorization?: string;
  range?: string;
  body: string;
}

export type Answers = (asked: Asked, requests: readonly Asked[]) => FakeAnswer | undefined;

export interface FakeRegistry {
  host: string;
  asked: Asked[];
}

/** A server on loopback that says what a test wants; 404 where that is undefined. Closed when the test is over. */
export async function fakeServer(answers: Answers): Promise<FakeRegistry> {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    void respond(request, response, { answers, asked });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

interface Serving {
  answers: Answers;
  asked: Asked[];
}

async function respond(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  { answers, asked }: Serving,
): Promise<void> {
  const body = Buffer.concat(await request.toArray()).toString("utf8");
  const { authorization, range } = request.headers;
  const one: Asked = { method: request.method ?? "", url: request.url ?? "", authorization, range, body };
  asked.push(one);
  const { status = 200, headers = {}, body: content = "" } = answers(one, asked) ?? { status: 404 };
  response.writeHead(status, headers);
  if (typeof content === "string" || content instanceof Uint8Array) return void response.end(content);
  // A content that fails breaks the connection, as does a client that has had enough.
  await pipeline(Readable.from(content, { objectMode: false }), response).catch(() => response.destroy());
}

/** The answers of a registry that holds blobs and manifests under their digests, and tags. */
export function holding(
  contents: Record<string, { type?: string; bytes: Uint8Array }>,
  repository = "team/app",
): Answers {
  return ({ url }) => {
    if (url === "/v2/") return {};
    const [, reference = ""] = new RegExp(`^/v2/${repository}/(?:manifests|blobs)/(.+)$`).exec(url) ?? [];
    const content = contents[reference];
    if (!content) return undefined;
    const headers: Record<string, string> = content.type ? { "content-type": content.type } : {};
    return { headers, body: content.bytes };
  };
}
