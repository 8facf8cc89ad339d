import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { writeLayout } from "../../src/oci/layout.ts";
import { f, imageOf, layerOf } from "../oci/images.ts";
import { startSheaf, temporaryFolder } from "./sheaf.ts";

/** A Docker that has every image, and never ends to send one. Answers its socket's path and how many bytes have left. */
async function endlessDocker(folder: string): Promise<{ socket: string; sent: () => number }> {
  let sent = 0;
  const server = http.createServer((request, response) => {
    if (request.url?.endsWith("/version")) return void response.end(JSON.stringify({ Version: "20.10.0" }));
    if (request.url?.endsWith("/json")) return void response.end(JSON.stringify({ Id: `sha256:${"0".repeat(64)}` }));
    const chunk = Buffer.alloc(65_536);
    const timer = setInterval(() => {
      sent += chunk.length;
      response.write(chunk);
    }, 20);
    response.on("close", () => clearInterval(timer));
  });
  const socket = path.join(folder, "docker.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { socket, sent: () => sent };
}

describe("Ctrl-C while an image comes out of an engine", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("leaves nothing behind (%s)", async (signal) => {
    const folder = temporaryFolder();
    const store = path.join(folder, "store");
    const { socket, sent } = await endlessDocker(folder);
    const started = startSheaf(["inspect", "docker-daemon:app:1"], { store, env: { DOCKER_HOST: `unix://${socket}` } });
    await expect.poll(sent, { timeout: 20_000 }).toBeGreaterThan(200_000);
    expect(fs.readdirSync(path.join(store, "tmp"))).toHaveLength(1);
    started.child.kill(signal);
    const { code, stderr } = await started.ended;
    expect(code, stderr).toBe(130);
    expect(stderr).not.toMatch(/error|bug|at /);
    expect(fs.readdirSync(path.join(store, "tmp"))).toEqual([]);
  });
});

it("an engine that breaks off is told of, and leaves nothing behind", async () => {
  const folder = temporaryFolder();
  const store = path.join(folder, "store");
  const image = imageOf([layerOf([f("a")])]);
  await writeLayout(path.join(folder, "layout"), image);
  const server = http.createServer((request, response) => {
    if (request.url?.endsWith("/version")) return void response.end(JSON.stringify({ Version: "20.10.0" }));
    if (request.url?.endsWith("/json")) return void response.end(JSON.stringify({ Id: `sha256:${"0".repeat(64)}` }));
    response.write(Buffer.alloc(100_000));
    setTimeout(() => response.destroy(), 100);
  });
  const socket = path.join(folder, "docker.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  onTestFinished(() => void server.close());
  const words = ["diff", path.join(folder, "layout"), "docker-daemon:app:1"];
  const { code, stderr } = await startSheaf(words, { store, env: { DOCKER_HOST: `unix://${socket}` } }).ended;
  expect(code, stderr).toBe(2);
  expect(stderr).toContain("broke off while it sent app:1");
  expect(fs.readdirSync(path.join(store, "tmp"))).toEqual([]);
});
