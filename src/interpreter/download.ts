import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { listFolder } from "./inspect.ts";
import { isExecutable } from "../host/programs.ts";

export interface DownloadRequest {
  /** The uv executable. */
  uv: string;
  /** `3.12` or `3.12.4` */
  version: string;
  machine: "x86_64" | "aarch64";
  /** Folder that uv installs into. */
  folder: string;
  /** How long nothing may arrive before it counts as failed, in ms. */
  stallMs?: number;
}

/** Undefined when it is there, or why not. A failure is remembered: nobody waits for it twice in one process. */
export async function downloadInterpreter(request: DownloadRequest): Promise<string | undefined> {
  const failure = failures.get(request.uv);
  if (failure) return failure;
  const result = await runUv(request);
  if (result.offline) failures.set(request.uv, result.problem ?? "failed before");
  return result.problem;
}

const failures = new Map<string, string>();

/** The first executable `uv` on PATH. */
export function findUv(searchPath: string): string | undefined {
  return searchPath
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, "uv"))
    .find((file) => isExecutable(file));
}

interface Outcome {
  problem?: string;
  /** Whether the next download would fail the same way. */
  offline: boolean;
}

function runUv({ uv, version, machine, folder, stallMs = 10_000 }: DownloadRequest): Promise<Outcome> {
  fs.mkdirSync(folder, { recursive: true });
  const child = spawn(uv, ["python", "install", `cpython-${version}-linux-${machine}-gnu`, "--install-dir", folder], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      UV_PYTHON_INSTALL_DIR: folder,
      // No links into the user's ~/.local/bin, and no waiting for a network that isn't there.
      UV_PYTHON_INSTALL_BIN: "0",
      UV_HTTP_TIMEOUT: String(Math.ceil(stallMs / 1000)),
      UV_HTTP_RETRIES: "0",
      UV_NO_PROGRESS: "1",
    },
  });
  let stderr = "";
  let stalled = false;
  child.stderr.on("data", (chunk: Buffer) => {
    if (stderr.length < 16_384) stderr += chunk.toString("utf8");
  });
  const stopWatching = watchGrowth(folder, stallMs, () => {
    stalled = true;
    child.kill("SIGKILL");
  });
  return new Promise((resolve) => {
    const finish = (outcome: Outcome) => {
      stopWatching();
      resolve(outcome);
    };
    child.on("error", (error) => finish({ problem: error.message, offline: true }));
    child.on("close", (code) => {
      if (stalled) finish({ problem: `nothing arrived within ${stallMs / 1000} s`, offline: true });
      else if (code === 0) finish({ offline: false });
      else
        finish({
          problem: lastLine(stderr) ?? `exit code ${code}`,
          offline: !/No download|not found for request/i.test(stderr),
        });
    });
  });
}

/** Calls back once nothing was written under the folder for a while. */
function watchGrowth(folder: string, stallMs: number, onStall: () => void): () => void {
  let last = "";
  let since = Date.now();
  const timer = setInterval(
    () => {
      const state = stateOf(folder, 4);
      if (state !== last) {
        last = state;
        since = Date.now();
      } else if (Date.now() - since >= stallMs) onStall();
    },
    Math.min(500, stallMs / 4),
  );
  return () => clearInterval(timer);
}

/** Names and sizes a few levels deep: enough to see an archive grow or a tree appear. */
function stateOf(folder: string, depth: number): string {
  return listFolder(folder)
    .map((name) => {
      const file = path.join(folder, name);
      const stat = fs.lstatSync(file, { throwIfNoEntry: false });
      if (!stat) return "";
      return `${name}:${stat.size}:${stat.mtimeMs}${stat.isDirectory() && depth > 0 ? stateOf(file, depth - 1) : ""}`;
    })
    .join("\n");
}

function lastLine(text: string): string | undefined {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.findLast((line) => line !== "")?.replace(/^(error|caused by):\s*/i, "");
}
