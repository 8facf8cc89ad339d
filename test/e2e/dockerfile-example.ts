import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { afterAll } from "vitest";

import { output } from "../lab/lab.ts";
import { copyExample, example } from "./example.ts";

/** The base image of the example's Dockerfiles. */
export const base = "python:3.12-slim";

/** What one test file makes in the engine goes with it: images and containers have names of its own. */
export class EngineRoom {
  readonly client: string;
  readonly unique = `sheaf-dockerfile-${randomBytes(4).toString("hex")}`;
  readonly #containers = new Set<string>();
  readonly #volumes = new Set<string>();
  readonly #tags = new Set<string>();
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-dockerfile-"));

  constructor(client: string) {
    this.client = client;
    afterAll(() => this.#clear(), 120_000);
  }

  /** Standard output of a command of the engine's client, trimmed. */
  async ask(...words: string[]): Promise<string> {
    return (await output(this.client, words)).trim();
  }

  tag(name: string): string {
    const tag = `${this.unique}:${name}`;
    this.#tags.add(tag);
    return tag;
  }

  /** An empty folder. */
  folder(name: string): string {
    const folder = path.join(this.#folder, name);
    fs.mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** A copy of the example, its Dockerfiles included. */
  context(name: string): string {
    return copyExample(this.folder(name));
  }

  /** A volume, empty. */
  volume(name: string): string {
    const volume = `${this.unique}-${name}`;
    this.#volumes.add(volume);
    return volume;
  }

  /** Starts a container in the background. `words` stand after `docker run`: options, image, command. */
  async start(name: string, ...words: string[]): Promise<Container> {
    const full = `${this.unique}-${name}`;
    this.#containers.add(full);
    await this.ask("run", "-d", "--name", full, ...words);
    return new Container(this, full);
  }

  /** What a command prints in a new container. */
  async runOnce(...words: string[]): Promise<string> {
    return this.ask("run", "--rm", ...words);
  }

  async #clear(): Promise<void> {
    for (const container of this.#containers) await this.ask("rm", "-f", "-v", container).catch(() => undefined);
    for (const volume of this.#volumes) await this.ask("volume", "rm", "-f", volume).catch(() => undefined);
    for (const tag of this.#tags) await this.ask("rmi", "-f", tag).catch(() => undefined);
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

export class Container {
  readonly room: EngineRoom;
  readonly name: string;

  constructor(room: EngineRoom, name: string) {
    this.room = room;
    this.name = name;
  }

  async url(route: string): Promise<string> {
    const [address = ""] = (await this.room.ask("port", this.name, "8000")).split("\n");
    return `http://${address}${route}`;
  }

  exec(...words: string[]): Promise<string> {
    return this.room.ask("exec", this.name, ...words);
  }

  /** Standard output and error. */
  async logs(): Promise<string> {
    return output("sh", ["-c", '"$0" logs "$1" 2>&1', this.room.client, this.name]);
  }

  inspect(format: string): Promise<string> {
    return this.room.ask("inspect", "--format", format, this.name);
  }

  /** Seconds until it has ended after a signal, and its exit status. */
  async signal(signal: string): Promise<{ seconds: number; status: number }> {
    const started = performance.now();
    await this.room.ask("kill", "--signal", signal, this.name);
    const status = Number(await this.room.ask("wait", this.name));
    return { seconds: (performance.now() - started) / 1000, status };
  }
}

/** Stops every process of the server without ending it: it holds its port and answers nobody. */
export async function freeze(container: Container): Promise<void> {
  // A process can't stop itself as PID 1; from outside its namespace it can be stopped all the same.
  await container.room.ask("kill", "--signal", "STOP", container.name);
  const program = `
import os, signal
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if pid in (1, os.getpid()): continue
    os.kill(pid, signal.SIGSTOP)
`;
  await container.exec("python3", "-c", program).catch(() => undefined);
}

export const exampleDockerfile = path.join(example, "Dockerfile");
export const exampleGpuDockerfile = path.join(example, "Dockerfile.gpu");

/** What an image is configured with, as `docker image inspect` tells it. */
export interface ImageConfig {
  Size: number;
  Config: {
    User: string;
    Env: string[];
    Cmd: string[] | null;
    Entrypoint: string[] | null;
    WorkingDir: string;
    Labels: Record<string, string> | null;
    ExposedPorts?: Record<string, unknown>;
    StopSignal?: string;
    Healthcheck?: { Test: string[]; Interval: number; Timeout: number; StartPeriod: number; Retries: number };
  };
}

export async function inspectImage(room: EngineRoom, tag: string): Promise<ImageConfig> {
  const [image] = JSON.parse(await room.ask("image", "inspect", tag)) as ImageConfig[];
  if (!image) throw new Error(`the engine has no ${tag}`);
  return image;
}
