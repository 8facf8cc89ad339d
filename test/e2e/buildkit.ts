import * as fs from "node:fs";
import * as path from "node:path";

import { dockerEngine, requireOrSkip } from "../lab/lab.ts";
import { output } from "../lab/lab.ts";
import { type BuildStep, readSteps } from "./buildkit-steps.ts";
import { startProgram } from "./sheaf.ts";

export interface BuildOptions {
  tag?: string;
  /** Relative to the context; Dockerfile unless given. */
  file?: string;
  args?: Record<string, string>;
  /** Each as `--secret` takes it, such as `id=netrc,src=/tmp/netrc`. */
  secrets?: readonly string[];
  target?: string;
  network?: string;
  noCache?: boolean;
  env?: Record<string, string | undefined>;
  timeoutMs?: number;
}

export interface BuildOutcome {
  code: number;
  /** All that the client wrote, in BuildKit's plain form. */
  log: string;
  steps: BuildStep[];
  seconds: number;
}

/** The image that `# syntax=docker/dockerfile:1` names. Without a registry it has to be in the engine already. */
export const frontend = "docker/dockerfile:1";

/** The engine's client when Dockerfiles with COPY --link can be built on this machine, offline or not. */
export async function buildKit(...images: readonly string[]): Promise<string | undefined> {
  const docker = dockerEngine();
  if (!requireOrSkip("Docker", docker)) return undefined;
  const client = docker?.command ?? "";
  const missing = await absentImages(client, [frontend, ...images]);
  // Another machine may pull them; continuous integration has made them (.ci/frontend-image.sh, .ci/base-image.sh).
  return requireOrSkip(`Docker with the local images ${missing.join(", ")}`, missing.length === 0) ? client : undefined;
}

async function absentImages(client: string, images: readonly string[]): Promise<string[]> {
  const there = await Promise.all(
    images.map((image) =>
      output(client, ["image", "inspect", image]).then(
        () => true,
        () => false,
      ),
    ),
  );
  return images.filter((_, index) => !there[index]);
}

/** `docker build` with BuildKit, whatever comes of it. */
export async function tryBuild(client: string, context: string, options: BuildOptions = {}): Promise<BuildOutcome> {
  const { args = {}, secrets = [] } = options;
  const words = [
    ...["build", "--progress=plain"],
    ...(options.tag ? ["-t", options.tag] : []),
    ...(options.file ? ["-f", path.join(context, options.file)] : []),
    ...(options.target ? ["--target", options.target] : []),
    ...(options.network ? ["--network", options.network] : []),
    ...(options.noCache ? ["--no-cache"] : []),
    ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...secrets.flatMap((secret) => ["--secret", secret]),
    context,
  ];
  const env = { DOCKER_BUILDKIT: "1", ...options.env };
  const { code, stdout, stderr, seconds } = await startProgram([client, ...words], {
    env,
    timeoutMs: options.timeoutMs ?? 600_000,
  }).ended;
  const log = stdout + stderr;
  return { code, log, steps: readSteps(log), seconds };
}

/** `docker build` with BuildKit. @throws Error with the end of the log when it fails */
export async function build(client: string, context: string, options: BuildOptions = {}): Promise<BuildOutcome> {
  const outcome = await tryBuild(client, context, options);
  if (outcome.code === 0) return outcome;
  throw new Error(`docker build ended with ${outcome.code}:\n${outcome.log.slice(-4000)}`);
}

/**
 * A Dockerfile whose cache mounts nobody has filled yet, so that a build without the layer cache is a clean one; and whose
 * steps are its own, so that nothing is taken from a build of the same file that another test makes meanwhile.
 */
export function withOwnCaches(dockerfile: string, unique: string): string {
  const own = dockerfile.replaceAll(/^FROM python:.*$/gm, (line) => `${line}\nENV SHEAF_TEST=${unique}`);
  return own.replaceAll(/--mount=type=cache,([^\s\\]*)/g, (_, rest: string) => {
    const target = /(?:^|,)(?:target|dst|destination)=([^,]+)/.exec(rest)?.[1] ?? "";
    const others = rest.split(",").filter((word) => !word.startsWith("id="));
    return `--mount=type=cache,id=${unique}${target.replaceAll("/", "-")},${others.join(",")}`;
  });
}

/** Changes one file of a context. */
export function editFile(context: string, name: string, change: (text: string) => string): void {
  const file = path.join(context, name);
  fs.writeFileSync(file, change(fs.readFileSync(file, "utf8")));
}
