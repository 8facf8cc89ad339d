import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { isErrno } from "../../src/store/store.ts";
import * as net from "node:net";

/** A port of this machine that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(true));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(false)));
  });
}

/** Held for longer than any test takes: whoever held it has died. */
const staleMs = 5 * 60_000;

/**
 * Runs an action while no other test file may use port 8000 of this machine, which the README's lines publish and which an
 * image that shares the machine's network listens on.
 */
export async function withPort8000<T>(action: () => Promise<T>): Promise<T> {
  const lock = path.join(os.tmpdir(), "sheaf-test-port-8000");
  while (!tryToHold(lock)) await sleep(200);
  try {
    return await action();
  } finally {
    fs.rmSync(lock, { recursive: true, force: true });
  }
}

function tryToHold(lock: string): boolean {
  const since = fs.statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
  if (since !== undefined && Date.now() - since > staleMs) fs.rmSync(lock, { recursive: true, force: true });
  try {
    fs.mkdirSync(lock);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}
