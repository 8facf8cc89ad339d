import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { onTestFinished } from "vitest";

/** Whether a program is there; `args` must make it exit with 0. */
export function has(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args.length > 0 ? args : ["--version"], { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

/** Output of a program; its stderr is in the error when it fails. */
export function run(program: string, args: string[], input?: Uint8Array): string {
  return execFileSync(program, args, { input, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "pipe"] });
}

export function python<T>(script: string, ...args: string[]): T {
  return JSON.parse(run("python3", ["-c", script, ...args])) as T;
}

/** A folder that goes when the test ends. */
export function temporary(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-test-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export async function* streamOf(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size);
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}
