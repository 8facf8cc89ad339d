import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";

import { isExecutable } from "../../host/programs.ts";
import type { DockerClient } from "./docker-builder.ts";

const run = promisify(execFile);

/**
 * The first client on PATH whose engine answers, one with BuildKit before all others: several may be installed, and a newer one
 * without its buildx can't use it.
 * @param engine only this kind
 */
export async function findDockerClient(
  engine?: "docker" | "podman",
  environment: NodeJS.ProcessEnv = process.env,
): Promise<DockerClient | undefined> {
  const answering: DockerClient[] = [];
  for (const program of programs("docker", environment)) {
    if (engine === "podman") break;
    const server = await answerOf(program, ["version", "--format", "{{.Client.Version}}"], environment);
    if (server === undefined || (await answerOf(program, ["info"], environment)) === undefined) continue;
    // From 23 on the client leaves BuildKit to its plugin.
    const isBuildKit =
      Number(server.split(".")[0]) < 23 || (await answerOf(program, ["buildx", "version"], environment)) !== undefined;
    const client: DockerClient = { program, kind: "docker", isBuildKit };
    if (isBuildKit) return client;
    answering.push(client);
  }
  if (answering[0] || engine === "docker") return answering[0];
  const podman = programs("podman", environment)[0];
  if (podman === undefined || (await answerOf(podman, ["info"], environment)) === undefined) return undefined;
  return { program: podman, kind: "podman", isBuildKit: false };
}

function programs(name: string, { PATH = "" }: NodeJS.ProcessEnv): string[] {
  const files = PATH.split(":")
    .filter((folder) => path.isAbsolute(folder))
    .map((folder) => path.join(folder, name));
  return [...new Set(files)].filter(isExecutable);
}

async function answerOf(program: string, words: string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    return (await run(program, words, { env, timeout: 15_000, maxBuffer: 4 * 1024 * 1024 })).stdout.trim();
  } catch {
    return undefined;
  }
}
