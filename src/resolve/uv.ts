import { execFile } from "node:child_process";
import * as path from "node:path";
import { promisify } from "node:util";

import { SheafError } from "../errors.ts";
import { machineOf } from "../platform.ts";
import { sha256 } from "../store/store.ts";
import { normalizeName } from "../wheel/filename.ts";
import { splitCredentials } from "./credentials.ts";
import { findUv, type Uv } from "./find-uv.ts";
import type { IndexSettings } from "./index-config.ts";
import { readPylockPackages } from "./locks/pylock.ts";
import type { LockReading } from "./pins.ts";
import { logicalLines, viaOf } from "./requirements.ts";
import type { Target } from "./resolution.ts";
import type { ReadContext, ResolveRequest } from "./request.ts";

const run = promisify(execFile);

interface UvJob {
  /** pyproject.toml or requirements files, from the project's root. */
  inputs: string[];
  request: ResolveRequest;
}

interface Compiled {
  pylock: string;
  /** The same as requirements, for the notes of who asks for what. */
  annotated: string;
  version: string;
  warnings: string[];
}

/**
 * Resolves with `uv pip compile` for the target. What uv answers is kept: the same inputs keep their versions until the
 * request says refresh.
 * @throws SheafError SHEAF_UV with uv's own explanation, SHEAF_NO_UV, SHEAF_OFFLINE
 */
export async function resolveWithUv(job: UvJob, context: ReadContext): Promise<LockReading> {
  const { request } = job;
  const { store, fetcher, emit } = context.services;
  const key = jobKey(job, context);
  let compiled = request.refresh ? undefined : store.readRecord<Compiled>("uv-compile", key);
  if (!compiled) {
    if (fetcher.offline) throw offlineError(job);
    emit({ type: "stage", stage: "resolve", message: `resolving ${job.inputs.join(", ")} with uv` });
    compiled = await compile(job, context);
    store.writeRecord("uv-compile", key, compiled);
  }
  const source = `resolved by uv ${compiled.version}`;
  const reading = readPylockPackages(compiled.pylock, {
    file: "pylock.toml",
    inputs: context.inputs,
    project: request.project,
    target: request.target,
    extras: [],
    groups: [],
  });
  const askedBy = annotations(compiled.annotated);
  return {
    ...reading,
    source,
    locked: false,
    pins: reading.pins.map((pin) => ({ ...pin, source, requiredBy: askedBy.get(pin.name) ?? [] })),
    warnings: [
      ...compiled.warnings,
      `${job.inputs.join(", ")} ${job.inputs.length > 1 ? "pin" : "pins"} no exact versions: sheaf lock writes down what uv chose`,
    ],
  };
}

function offlineError(job: UvJob): SheafError {
  return new SheafError(
    "SHEAF_OFFLINE",
    `${job.inputs.join(", ")} must be resolved, and nothing of it is in the store`,
    {
      hint: "run once without --offline, or commit a lock with hashes",
    },
  );
}

/** Bytes of every input, what is asked of them, and where to look: not which uv answers. */
function jobKey(job: UvJob, context: ReadContext): string {
  const { target, extras, groups, noBuild } = job.request;
  const { default: main = "", extra, findLinks } = context.settings;
  const shown = [main, ...extra, ...findLinks].map((url) => splitCredentials(url).url);
  const content = job.inputs.map((file) => [file, sha256(context.inputs.readBytes(file) ?? "")]);
  // Includes and constraints have been read by now, so they are among the inputs.
  const read = Object.entries(context.inputs.digests().files).filter(([file]) => !path.isAbsolute(file));
  return JSON.stringify([1, content, read, target, extras, groups, noBuild ?? false, shown]);
}

/**
 * The whole project as requirements with markers and the hashes of every file, for every Python from `python` on and every
 * platform.
 * @throws SheafError SHEAF_UV, SHEAF_NO_UV, SHEAF_OFFLINE
 */
export async function compileUniversally(job: UvJob & { python: string }, context: ReadContext): Promise<string> {
  if (context.services.fetcher.offline) throw offlineError(job);
  const uv = await findUv(context.inputs.root, context.services);
  const shape = ["--universal", "--python-version", job.python, "--generate-hashes", "--format", "requirements.txt"];
  const { output } = await compileWithFallback(job, (flags) =>
    execUv(uv, { context, parameters: [...parameters(job), ...flags, ...shape] }),
  );
  return output;
}

async function compile(job: UvJob, context: ReadContext): Promise<Compiled> {
  const uv = await findUv(context.inputs.root, context.services);
  const { target } = job.request;
  const shape = ["--python-version", target.python, "--python-platform", uvPlatform(target)];
  const execute = (more: string[]) => execUv(uv, { context, parameters: [...parameters(job), ...shape, ...more] });
  const { output, flags } = await compileWithFallback(job, (flags) => execute([...flags, "--format", "pylock.toml"]));
  const annotated = await execute([...flags, "--format", "requirements.txt", "--offline"]).catch(() => "");
  const built =
    "wheels alone don't satisfy what is asked for: uv may have run the build of an sdist to read its metadata";
  return { pylock: output, annotated, version: uv.version, warnings: flags.length > 0 ? [] : [built] };
}

/** With wheels alone nothing of a package is run; only where they don't suffice may uv build an sdist for its metadata. */
async function compileWithFallback(
  job: UvJob,
  execute: (flags: string[]) => Promise<string>,
): Promise<{ output: string; flags: string[] }> {
  const flags = ["--only-binary", ":all:"];
  try {
    return { output: await execute(flags), flags };
  } catch (error) {
    if (job.request.noBuild || !(error instanceof UvFailure)) throw translate(error, job);
  }
  try {
    return { output: await execute([]), flags: [] };
  } catch (error) {
    throw translate(error, job);
  }
}

function parameters(job: UvJob): string[] {
  const { request } = job;
  return [
    ...["pip", "compile", ...job.inputs, "--quiet", "--no-header", "--no-progress", "--color", "never"],
    ...request.extras.flatMap((extra) => ["--extra", extra]),
    ...request.groups.flatMap((group) => ["--group", group]),
    ...(request.refresh ? ["--refresh"] : []),
  ];
}

/** The newest manylinux that uv knows and the target's glibc has. */
export function uvPlatform(target: Target): string {
  const [, minor] = target.glibc;
  const known = [40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17];
  const best = known.find((candidate) => candidate <= minor) ?? 17;
  return `${machineOf(target.platform)}-manylinux_2_${best}`;
}

class UvFailure extends Error {}

async function execUv(uv: Uv, call: UvCall): Promise<string> {
  try {
    // Any Python at hand will do, because the target is told: fetching just the right one would take longer than resolving.
    const parameters = [...call.parameters, "--python", "python3"];
    return await execUvWith(uv, { ...call, parameters }, { UV_PYTHON_DOWNLOADS: "never" });
  } catch (error) {
    if (error instanceof UvFailure && /no interpreter found/i.test(error.message)) return execUvWith(uv, call, {});
    throw error;
  }
}

interface UvCall {
  context: ReadContext;
  parameters: string[];
}

async function execUvWith(uv: Uv, call: UvCall, environment: NodeJS.ProcessEnv): Promise<string> {
  try {
    const { stdout } = await run(uv.command, call.parameters, {
      cwd: call.context.inputs.root,
      env: { ...process.env, ...uvEnvironment(call.context.settings), ...environment },
      timeout: 300_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    if (error instanceof Error && "stderr" in error)
      throw new UvFailure(hideAll(String(error.stderr) || error.message));
    throw error;
  }
}

/** Indexes travel in the environment, where no process list shows their credentials. */
export function uvEnvironment(
  settings: IndexSettings,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const certificates = environment["SSL_CERT_FILE"] ?? environment["PIP_CERT"] ?? environment["REQUESTS_CA_BUNDLE"];
  return {
    NO_COLOR: "1",
    ...(settings.default && { UV_DEFAULT_INDEX: settings.default }),
    ...(settings.extra.length > 0 && { UV_INDEX: settings.extra.join(" ") }),
    ...(settings.findLinks.length > 0 && { UV_FIND_LINKS: settings.findLinks.join(",") }),
    ...(settings.noIndex && { UV_NO_INDEX: "1" }),
    ...(certificates && { SSL_CERT_FILE: certificates }),
  };
}

function hideAll(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'`]+@/gi, "$1");
}

/** uv explains well: its words are shown, the first line as the message. */
function translate(error: unknown, job: UvJob): unknown {
  if (!(error instanceof UvFailure)) return error;
  const lines = error.message
    .split("\n")
    .map((line) => line.replace(/^\s*(?:error:|×|╰─▶|├─▶|│)?\s*(?:cause:)?\s*/u, "").trim())
    .filter((line) => line !== "" && !line.startsWith("warning:"));
  return new SheafError(
    "SHEAF_UV",
    `uv can't resolve ${job.inputs.join(", ")} for Python ${job.request.target.python}`,
    {
      details: lines.slice(0, 12).map((line): [string, string] => ["uv says", line]),
      hint: /no interpreter found/i.test(error.message)
        ? "uv needs some Python 3 on this machine, of any version: install one"
        : "mend the requirement that uv names",
      cause: error,
    },
  );
}

/** Who asks for each distribution, from the notes of a compiled requirements file. */
function annotations(annotated: string): Map<string, string[]> {
  return new Map(
    logicalLines(annotated).map(({ line, comments }) => [
      normalizeName(/^[\w.-]+/.exec(line)?.[0] ?? ""),
      viaOf(comments).map(normalizeName),
    ]),
  );
}
