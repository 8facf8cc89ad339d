import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it, onTestFinished } from "vitest";

import { readReply, RedisClient } from "../../src/contract/running/redis-client.ts";
import { freePort } from "../e2e/ports.ts";
import { temporaryFolder } from "../e2e/sheaf.ts";
import { requireOrSkip, tool } from "../lab/lab.ts";

it.each([
  ["+OK\r\n", "OK"],
  [":12\r\n", 12],
  ["$5\r\na\r\nbc\r\n", "a\r\nbc"],
  ["$-1\r\n", null],
  ["*2\r\n$1\r\na\r\n*1\r\n:1\r\n", ["a", [1]]],
  ["-ERR no\r\n", new Error("ERR no")],
  ["?1\r\n", new Error("no RESP: 1")],
])("%j is read whole, and only when it is", (text, reply) => {
  const bytes = Buffer.from(text);
  expect(readReply(bytes, 0)).toEqual({ reply, end: bytes.length });
  for (let length = 0; length < bytes.length; length++) expect(readReply(bytes.subarray(0, length), 0)).toBeUndefined();
});

const server = tool("redis-server");

it.skipIf(!requireOrSkip("redis-server", server))("talks to a Redis (skipped without)", async () => {
  const port = await freePort();
  const words = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const redis = spawn(server ?? "", words, { cwd: temporaryFolder(), stdio: "ignore" });
  onTestFinished(() => void redis.kill());
  let client: RedisClient | undefined;
  for (let tries = 0; tries < 200 && !client; tries++) {
    client = await RedisClient.connect(port).catch(() => undefined);
    await sleep(25);
  }
  expect(await client?.ask("RPUSH", "list", "ä\r\n", "x".repeat(200_000))).toBe(2);
  expect(await client?.ask("LRANGE", "list", "0", "-1")).toEqual(["ä\r\n", "x".repeat(200_000)]);
  await expect(client?.ask("HVALS", "list")).rejects.toThrow(/WRONGTYPE/);
  expect(await client?.ask("GET", "nothing")).toBeNull();
  client?.close();
  await expect(RedisClient.connect(await freePort())).rejects.toThrow(/ECONNREFUSED/);
});
