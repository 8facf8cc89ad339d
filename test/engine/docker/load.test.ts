import * as fs from "node:fs";
import * as http from "node:http";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll, afterEach, describe, expect, it } from "vitest";

import { readTar } from "../../../src/archive/tar-read.ts";
import { DockerApi } from "../../../src/engine/docker/api.ts";
import { connectDocker } from "../../../src/engine/docker/docker.ts";
import { loadIntoDocker } from "../../../src/engine/docker/load.ts";
import { silent } from "../../../src/events.ts";
import { imageOf, layerOf } from "../images.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-docker-"));
const servers: http.Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

interface Seen {
  method: string;
  url: string;
  body: Buffer;
}

/** A daemon that answers by the start of the path. */
async function daemon(answers: Record<string, (seen: Seen) => { status: number; body?: string }>) {
  const requests: Seen[] = [];
  const socket = path.join(folder, `${servers.length}-${Math.random().toString(36).slice(2)}.sock`);
  const answerOne = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const seen = { method: request.method ?? "", url: request.url ?? "", body: Buffer.concat(await request.toArray()) };
    requests.push(seen);
    const answer = Object.entries(answers).find(([start]) => seen.url.startsWith(start))?.[1](seen);
    response.writeHead(answer?.status ?? 404).end(answer?.body ?? '{"message":"page not found"}');
  };
  const server = http.createServer((request, response) => void answerOne(request, response));
  servers.push(server.listen(socket));
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    api: new DockerApi({ kind: "socket", path: socket }),
    endpoint: { kind: "socket", path: socket } as const,
    requests,
  };
}

const image = imageOf([layerOf([{ path: "a", data: "a".repeat(3_000_000) }], 0), layerOf([{ path: "b", data: "b" }])]);

describe("loadIntoDocker", () => {
  it("sends the whole archive where the daemon does not come to the registry", async () => {
    const refused = '{"status":"Pulling"}\n{"error":"Get http://127.0.0.1:1/v2/: dial tcp: connection refused"}\n';
    const { api, requests } = await daemon({
      "/images/create": () => ({ status: 200, body: refused }),
      "/images/load": () => ({ status: 200, body: '{"stream":"Loaded image: app:1\\n"}\n' }),
    });
    const loaded = await loadIntoDocker(api, image, { tag: "app:1", emit: silent });
    expect(loaded.way).toBe("archive");
    const archive = requests.find((request) => request.url.startsWith("/images/load"))?.body ?? Buffer.alloc(0);
    expect(loaded.transferred).toBe(archive.length);
    const manifest = readTar(archive).find((entry) => entry.path === "manifest.json");
    expect(JSON.parse(Buffer.from(manifest?.data ?? []).toString())).toMatchObject([{ RepoTags: ["app:1"] }]);
  });

  it("sends the archive straight away to a daemon on another machine", async () => {
    const { api, requests } = await daemon({ "/images/load": () => ({ status: 200, body: "{}" }) });
    const remote = new DockerApi({ kind: "tcp", host: "192.0.2.1", port: 1 });
    remote.lines = api.lines.bind(api);
    expect(await loadIntoDocker(remote, image, { tag: "app:1", emit: silent })).toMatchObject({ way: "archive" });
    expect(requests.map((request) => request.url)).toEqual(["/images/load?quiet=1"]);
  });

  it("passes on why the daemon did not take the image", async () => {
    const { api } = await daemon({
      "/images/create": () => ({ status: 500, body: '{"message":"no route"}' }),
      "/images/load": () => ({ status: 200, body: '{"error":"max depth exceeded"}\n' }),
    });
    const load = loadIntoDocker(api, image, { tag: "app:1", emit: silent });
    await expect(load).rejects.toMatchObject({
      code: "SHEAF_ENGINE",
      message: expect.stringContaining("max depth exceeded"),
    });
  });
});

describe("connectDocker", () => {
  it("is nothing where nothing answers as Docker", async () => {
    expect(await connectDocker({ kind: "socket", path: path.join(folder, "missing.sock") })).toBeUndefined();
    const { endpoint } = await daemon({ "/version": () => ({ status: 200, body: "{}" }) });
    expect(await connectDocker(endpoint)).toBeUndefined();
  });

  it("sends nothing when the engine has the image", async () => {
    const { endpoint, requests } = await daemon({
      "/version": () => ({ status: 200, body: '{"Version":"99.0"}' }),
      "/images/app:1/json": () => ({ status: 200, body: JSON.stringify({ Id: image.manifest.config.digest }) }),
    });
    const engine = await connectDocker(endpoint);
    expect(await engine?.load(image, "app:1", silent)).toMatchObject({ way: "none", transferred: 0, layersReused: 2 });
    expect(requests.map((request) => request.method)).toEqual(["GET", "GET"]);
  });
});

describe("DockerApi", () => {
  it("tells what the daemon said, and what to do when none is there", async () => {
    const { api } = await daemon({ "/a": () => ({ status: 409, body: '{"message":"it is in use"}' }) });
    await expect(api.json({ method: "GET", path: "/a" })).rejects.toThrow("Docker refused GET /a: it is in use");
    expect(await api.json({ method: "GET", path: "/a", accept: [409] })).toBeUndefined();
    const nobody = new DockerApi({ kind: "socket", path: path.join(folder, "missing.sock") });
    await expect(nobody.json({ method: "GET", path: "/" })).rejects.toMatchObject({
      code: "SHEAF_ENGINE",
      hints: [expect.stringContaining("docker info")],
    });
  });
});
