import * as http from "node:http";
import type { AddressInfo } from "node:net";

import { expect, it, onTestFinished } from "vitest";

import { resolveContract } from "../../src/contract/contract.ts";
import type { Runtime } from "../../src/contract/running/runtime.ts";
import { Session } from "../../src/contract/running/session.ts";
import { apiParts, build } from "./image-dsl.ts";

/** Stands for an engine: its container is a server in this process that answers from 0.2 s on. */
async function runtimeOf(probe: number): Promise<Runtime> {
  const startedAt = performance.now();
  const server = http.createServer((_, response) => {
    response.statusCode = performance.now() - startedAt > 200 ? 200 : 503;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    kind: "none",
    description: "a stand-in",
    beside: () => expect.fail("nothing runs beside it"),
    start: async ({ onOutput, ports = [] }) => {
      setTimeout(() => onOutput(Buffer.from("Started\n"), "stderr"), 50);
      return {
        startedAt,
        ports: new Map(ports.map((each) => [each, port])),
        running: {
          id: "stand-in",
          pid: -1,
          exited: new Promise<number>(() => undefined),
          stop: async () => 137,
          exec: async () => ({ code: probe, stdout: "", stderr: "" }),
        } as never,
      };
    },
    close: async () => undefined,
  };
}

it.each([
  [0, ["prints its first line", "answers /health", "its HEALTHCHECK succeeds"]],
  [1, ["prints its first line", "answers /health"]],
])("the moments of a start are kept in their order, with a probe that exits %i", async (probe, labels) => {
  const image = build(apiParts());
  const contract = resolveContract({ config: {}, name: "shop-api", runtime: image.config.config ?? {} });
  const runtime = await runtimeOf(probe);
  const session = new Session({ image, contract, runtime, signal: new AbortController().signal });
  await session.shared();
  await session.fresh();
  expect(session.moments.map(({ label }) => label)).toEqual(labels);
  const [printed, answered, healthy] = session.moments.map(({ seconds }) => seconds);
  expect(printed).toBeGreaterThan(0.03);
  expect(answered).toBe(session.starts[0]);
  expect(answered).toBeGreaterThan(Math.max(0.19, printed ?? 9));
  if (probe === 0) expect(healthy).toBeGreaterThanOrEqual(answered ?? 9);
  expect(session.moments[1]?.limit).toBe(contract.start);
});
