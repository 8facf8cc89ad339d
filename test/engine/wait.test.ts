import * as http from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, describe, expect, it } from "vitest";

import { waitForHttp } from "../../src/engine/wait.ts";

const servers: http.Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

async function serve(answer: http.RequestListener): Promise<string> {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`;
}

describe("waitForHttp", () => {
  it("waits through other answers until the first 200", async () => {
    let requests = 0;
    const url = await serve((_, response) => response.writeHead(++requests < 4 ? 503 : 200).end());
    const ms = await waitForHttp(url, { timeoutMs: 5000, everyMs: 5 });
    expect(requests).toBe(4);
    expect(ms).toBeGreaterThan(14);
  });

  it("gives up in time and says what was last", async () => {
    const url = await serve((_, response) => response.writeHead(404).end());
    const wait = waitForHttp(url, { timeoutMs: 100, everyMs: 10 });
    await expect(wait).rejects.toMatchObject({
      code: "SHEAF_NOT_READY",
      message: expect.stringContaining("last: 404"),
    });
    const closed = waitForHttp("http://127.0.0.1:1/", { timeoutMs: 50, everyMs: 10 });
    await expect(closed).rejects.toThrow("ECONNREFUSED");
  });

  it("is not held up by a server that accepts and says nothing", async () => {
    const url = await serve(() => {});
    const startedAt = performance.now();
    await expect(waitForHttp(url, { timeoutMs: 200 })).rejects.toThrow("no answer within");
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  it("ends early when there is nothing left to wait for", async () => {
    const wait = waitForHttp("http://127.0.0.1:1/", {
      timeoutMs: 60_000,
      gaveUp: () => "the container has exited with 3",
    });
    await expect(wait).rejects.toThrow("the container has exited with 3");
  });
});
