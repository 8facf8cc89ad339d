import * as fs from "node:fs";

import { newestOf, openStoredImage } from "../../assemble/stored-images.ts";
import { exitCodes, SheafError } from "../../errors.ts";
import { type Command, flagOption, listOption, textOption, type CommandInput } from "../command.ts";
import type { Running } from "../../engine/engine.ts";
import { forwardSignals } from "../../engine/forward-signals.ts";
import type { Context } from "../context.ts";

export const run: Command = {
  name: "run",
  summary: "run an image, with or without a container engine",
  arguments: [
    { name: "image", summary: "tag of an image in the store; the newest of this folder unless given" },
    { name: "command", summary: "command instead of the image's own", variadic: true },
  ],
  options: [
    {
      flags: "-p, --publish <host:container>",
      summary: "port on this machine; the image's own unless given",
      repeat: true,
    },
    {
      flags: "-e, --env <NAME=value>",
      summary: "environment variable; NAME alone takes this shell's value",
      repeat: true,
    },
    { flags: "--env-file <file>", summary: "file of NAME=value lines", repeat: true },
    {
      flags: "--engine <engine>",
      summary: "docker, podman, or none (namespaces of this user)",
      choices: ["docker", "podman", "none"],
    },
    { flags: "--read-only", summary: "let the image write to /tmp and /run only" },
    { flags: "--user <user>", summary: "user or uid:gid instead of the image's own" },
    { flags: "--wait", summary: "exit 0 as soon as the image is healthy, 1 when it does not become so" },
  ],
  examples: [
    "sheaf run",
    "sheaf run demeterai-api:latest -p 9000:8000 -e DATABASE_URL",
    "sheaf run demeterai-api -- python3 --version",
  ],
  async run(input, context) {
    const [name, ...command] = input.arguments;
    const reference = name ?? newestOf(context.store, context.directory);
    const opened = openStoredImage(context.store, reference);
    const request: RunRequest = {
      reference: opened.reference,
      image: opened.image,
      env: readEnvironment(input),
      ports: listOption(input, "publish").map(parsePort),
      command: command.length > 0 ? command : undefined,
      user: textOption(input, "user"),
      readOnly: flagOption(input, "readOnly"),
      wait: flagOption(input, "wait"),
    };
    if (request.ports.length === 0)
      request.ports = opened.plan.config.ports.map(({ value }) => ({ host: value, container: value }));
    const engine = textOption(input, "engine") ?? "none";
    const exitCode = engine === "none" ? await runHere(request, context) : await runInEngine(engine, request, context);
    return { exitCode };
  },
};

interface RunRequest {
  reference: string;
  image: ReturnType<typeof openStoredImage>["image"];
  env: Record<string, string>;
  ports: { host: number; container: number }[];
  command: string[] | undefined;
  user: string | undefined;
  readOnly: boolean;
  wait: boolean;
}

/** Runs until the image ends or is told to; its exit code is ours. */
async function runHere(request: RunRequest, context: Context): Promise<number> {
  const { runDaemonless } = await import("../../engine/daemonless.ts");
  let settle: (healthy: boolean) => void = () => {};
  const healthy = new Promise<boolean>((resolve) => (settle = resolve));
  const { image, env, ports, command, user, readOnly } = request;
  context.emit({ type: "stage", stage: "unpack", message: request.reference });
  const running = await runDaemonless(image, {
    store: context.store,
    env,
    ports,
    command,
    user,
    readOnly,
    emit: context.emit,
    onOutput: (chunk, stream) => (stream === "stdout" ? process.stdout : process.stderr).write(chunk),
    onHealth: (status, evidence) => {
      context.emit({ type: "stage", stage: "health", message: evidence ? `${status}: ${evidence}` : status });
      if (status === "healthy") settle(true);
      if (status === "unhealthy") settle(false);
    },
  });
  announce(context, request, { where: "without an engine", seconds: running.startMs / 1000 });
  takeSignals(running);
  if (!request.wait) return running.exited;
  const result = await Promise.race([healthy, running.exited.then(() => false)]);
  await running.stop();
  return result ? exitCodes.ok : exitCodes.findings;
}

async function runInEngine(kind: string, request: RunRequest, context: Context): Promise<number> {
  const { findEngines } = await import("../../engine/find.ts");
  const engine = (await findEngines()).find((each) => each.kind === kind);
  if (!engine) {
    throw new SheafError("SHEAF_NO_ENGINE", `${kind} does not answer on this machine`, {
      hint: ["start it, or name it in DOCKER_HOST", "--engine none runs the image in namespaces of this user"],
    });
  }
  await engine.load(request.image, request.reference, context.emit);
  const container = await engine.run({
    ...request,
    image: request.reference,
    onOutput: (chunk, stream) => void (stream === "stdout" ? process.stdout : process.stderr).write(chunk),
  });
  announce(context, request, { where: `in ${engine.describe()}` });
  takeSignals(container);
  return container.exited;
}

function announce(
  context: Context,
  { reference, ports }: RunRequest,
  { where, seconds }: { where: string; seconds?: number },
): void {
  const addresses = ports.map((port) => `http://127.0.0.1:${port.host}`).join(" ");
  const message = `${reference} ${where}${addresses ? `, ${addresses}` : ""}`;
  context.emit({ type: "stage", stage: "running", message, seconds });
  context.stopProgress();
}

/** From here on signals are for the image: the first asks it to stop, the second kills it. */
function takeSignals(running: Running): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(signal);
  forwardSignals(running);
}

function readEnvironment(input: CommandInput): Record<string, string> {
  const env: Record<string, string> = {};
  for (const file of listOption(input, "envFile")) {
    if (!fs.existsSync(file)) throw new SheafError("SHEAF_ENV_FILE", `the environment file ${file} is not there`);
    for (const line of fs.readFileSync(file, "utf8").split("\n")) {
      const text = line.trim();
      if (text !== "" && !text.startsWith("#")) assign(env, text.replace(/^export\s+/, ""));
    }
  }
  for (const text of listOption(input, "env")) assign(env, text);
  return env;
}

function assign(env: Record<string, string>, text: string): void {
  const [name = ""] = text.split("=");
  const value = text.includes("=") ? text.slice(name.length + 1) : process.env[name];
  if (value !== undefined) env[name] = value;
}

/** `8000`, `9000:8000`, `127.0.0.1:9000:8000`. */
function parsePort(text: string): { host: number; container: number } {
  const match = text.match(/^(?:\d+\.\d+\.\d+\.\d+:)?(?:(\d+):)?(\d+)(?:\/tcp)?$/);
  const container = Number(match?.[2]);
  const host = Number(match?.[1] ?? container);
  if (match && host > 0 && host < 65_536 && container > 0 && container < 65_536) return { host, container };
  throw new SheafError("SHEAF_OPTION", `-p ${text} is not a port mapping`, {
    hint: "-p HOST:CONTAINER, for example -p 9000:8000",
  });
}
