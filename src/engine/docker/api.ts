import * as http from "node:http";
import * as https from "node:https";
import type { Writable } from "node:stream";

import { SheafError } from "../../errors.ts";
import { describeEndpoint, type Endpoint } from "./endpoint.ts";

export interface ApiRequest {
  method: "GET" | "POST" | "DELETE" | "HEAD";
  /** Without the version: `/containers/json`. Encode what goes into it. */
  path: string;
  query?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Writes the body instead, such as an archive; sent as application/x-tar. */
  send?: (stream: Writable) => Promise<void>;
  signal?: AbortSignal;
  /** Answers from 400 that the caller handles itself; all others are thrown. */
  accept?: number[];
}

/** Speaks Docker's Engine API, version 1.41 (20.10) or later. */
export class DockerApi {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /**
   * Returns the answer with its body still to be read.
   * @throws SheafError SHEAF_ENGINE when the daemon can't be reached or refuses
   */
  async open(request: ApiRequest): Promise<http.IncomingMessage> {
    const response = await this.#send(request).catch((error: unknown) => {
      if (error instanceof SheafError || request.signal?.aborted) throw error;
      throw new SheafError(
        "SHEAF_ENGINE",
        `Docker at ${describeEndpoint(this.endpoint)} can't be reached: ${messageOf(error)}`,
        {
          hint: messageOf(error).includes("EACCES")
            ? "add your user to the group docker, or run as root"
            : "is it running? docker info tells",
          cause: error,
        },
      );
    });
    const status = response.statusCode ?? 0;
    if (status < 400 || request.accept?.includes(status)) return response;
    const text = Buffer.concat(await response.toArray()).toString("utf8");
    throw new SheafError(
      "SHEAF_ENGINE",
      `Docker refused ${request.method} ${request.path}: ${errorMessage(text) ?? `status ${status}`}`,
    );
  }

  /** The parsed body, undefined when there is none. The caller vouches for the shape, as the API's documentation has it. */
  async json<T>(request: ApiRequest): Promise<T | undefined> {
    const response = await this.open(request);
    const text = Buffer.concat(await response.toArray()).toString("utf8");
    const status = response.statusCode ?? 0;
    return status >= 400 || text.trim() === "" ? undefined : (JSON.parse(text) as T);
  }

  /** One parsed object a line: progress, as pulls and loads tell it. */
  async *lines<T>(request: ApiRequest): AsyncGenerator<T> {
    const response = await this.open(request);
    let rest = "";
    response.setEncoding("utf8");
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim()) yield JSON.parse(line) as T;
    }
    if (rest.trim()) yield JSON.parse(rest) as T;
  }

  async #send(request: ApiRequest): Promise<http.IncomingMessage> {
    const { endpoint } = this;
    const query = new URLSearchParams(request.query).toString();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const options: https.RequestOptions = {
      ...(endpoint.kind === "socket" ? { socketPath: endpoint.path } : { host: endpoint.host, port: endpoint.port }),
      ...(endpoint.kind === "tcp" && endpoint.tls ? { ...endpoint.tls, rejectUnauthorized: endpoint.tls.verify } : {}),
      method: request.method,
      path: query ? `${request.path}?${query}` : request.path,
      headers: {
        Host: "docker",
        ...(request.send ? { "Content-Type": "application/x-tar" } : {}),
        ...(body === undefined
          ? {}
          : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }),
      },
      signal: request.signal,
    };
    const secure = endpoint.kind === "tcp" && endpoint.tls !== undefined;
    return await new Promise((resolve, reject) => {
      const outgoing = (secure ? https : http).request(options, resolve);
      outgoing.once("error", reject);
      if (request.send) {
        request.send(outgoing).then(
          () => outgoing.end(),
          (error: unknown) => outgoing.destroy(error instanceof Error ? error : new Error(String(error))),
        );
      } else {
        outgoing.end(body);
      }
    });
  }
}

function errorMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return text.trim() || undefined;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
