import { createHash } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";

import { onTestFinished } from "vitest";

import { type BuiltWheel, buildWheel } from "../wheel/build-wheel.ts";

/** What goes wrong with a download: the connection is cut half way, the server fails, or it falls silent half way. */
export interface Trouble {
  kind: "cut" | "fail" | "stall";
  /** How many times; always unless given. */
  times?: number;
}

export interface ServedWheel extends BuiltWheel {
  trouble?: Trouble;
  /** Sent instead of what the index tells the hash of. */
  sent?: Uint8Array;
}

export interface LocalIndex {
  /** With the credentials. */
  url: string;
  /** Makes the command line ask this index and no other. */
  env: Record<string, string | undefined>;
  /** Names of the files that were asked for, in order. */
  requests: string[];
}

export interface IndexOptions {
  /** `user:password`, without which nothing is answered but 401. */
  credentials?: string;
  /** Certificate and key, in PEM: the index speaks TLS. */
  tls?: { cert: string; key: string };
}

/** A package index on 127.0.0.1 that lives as long as the test. */
export async function serveWheels(wheels: readonly ServedWheel[], options: IndexOptions = {}): Promise<LocalIndex> {
  const requests: string[] = [];
  const left = new Map(wheels.map((wheel) => [wheel.filename, wheel.trouble?.times ?? Number.POSITIVE_INFINITY]));
  const { credentials, tls } = options;
  const expected = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`;
  const answer: http.RequestListener = (request, response) => {
    if (expected !== undefined && request.headers.authorization !== expected)
      return void response.writeHead(401, { "www-authenticate": 'Basic realm="index"' }).end();
    const [, place = "", name = ""] = (request.url ?? "").split("/");
    if (place === "simple") {
      const files = wheels.filter((wheel) => projectOf(wheel) === name);
      if (files.length === 0) return void response.writeHead(404).end();
      response.setHeader("content-type", "application/vnd.pypi.simple.v1+json");
      return void response.end(JSON.stringify({ meta: { "api-version": "1.1" }, name, files: files.map(describe) }));
    }
    const wheel = wheels.find((each) => each.filename === decodeURIComponent(name));
    if (!wheel) return void response.writeHead(404).end();
    requests.push(wheel.filename);
    const bytes = wheel.sent ?? wheel.bytes;
    // As registries say of files: pip keeps nothing that may change.
    response.setHeader("cache-control", "max-age=365000000, immutable, public");
    const rest = left.get(wheel.filename) ?? 0;
    if (!wheel.trouble || rest <= 0) return void response.end(bytes);
    left.set(wheel.filename, rest - 1);
    if (wheel.trouble.kind === "fail") return void response.writeHead(503).end("not today");
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => {
      if (wheel.trouble?.kind === "cut") request.socket.destroy();
    });
  };
  const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `${tls ? "https" : "http"}://${credentials ? `${credentials}@` : ""}127.0.0.1:${port}/simple/`;
  return { url, env: { ...onlyIndex, PIP_INDEX_URL: url }, requests };
}

/** No other configuration of pip or uv has a say. */
const onlyIndex = {
  PIP_CONFIG_FILE: "/dev/null",
  UV_NO_CONFIG: "1",
  UV_DEFAULT_INDEX: undefined,
  UV_INDEX_URL: undefined,
  UV_INDEX: undefined,
  UV_EXTRA_INDEX_URL: undefined,
  PIP_EXTRA_INDEX_URL: undefined,
  PIP_FIND_LINKS: undefined,
  UV_FIND_LINKS: undefined,
  NO_PROXY: "127.0.0.1",
  no_proxy: "127.0.0.1",
};

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function projectOf(wheel: BuiltWheel): string {
  return (wheel.filename.split("-")[0] ?? "").toLowerCase().replaceAll(/[-_.]+/g, "-");
}

function describe(wheel: BuiltWheel): object {
  const { filename, bytes } = wheel;
  return {
    filename,
    url: `../../files/${encodeURIComponent(filename)}`,
    hashes: { sha256: sha256Of(bytes) },
    size: bytes.length,
  };
}

/** Just enough of FastAPI and uvicorn for a project to be one. */
export function framework(): ServedWheel[] {
  return [
    buildWheel({ name: "fastapi", files: { "fastapi/__init__.py": "class FastAPI:\n    pass\n" } }),
    buildWheel({
      name: "uvicorn",
      files: { "uvicorn/__init__.py": "", "uvicorn/main.py": "def main():\n    print('serving')\n" },
      entryPoints: "[console_scripts]\nuvicorn = uvicorn.main:main\n",
    }),
  ];
}

/** A FastAPI project that asks for these wheels, with their hashes, and for the Python that the example has. */
export function projectOn(wheels: readonly BuiltWheel[]): Record<string, string> {
  return {
    "main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    "requirements.txt": requirementsOf(wheels),
    ".python-version": "3.12\n",
  };
}

export function requirementsOf(wheels: readonly BuiltWheel[]): string {
  return wheels
    .map((wheel) => {
      const [name, version] = wheel.filename.split("-");
      return `${name}==${version} --hash=sha256:${sha256Of(wheel.bytes)}\n`;
    })
    .join("");
}
