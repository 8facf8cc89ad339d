import * as fs from "node:fs";
import * as path from "node:path";

import { inflateExactly } from "../archive/inflate.ts";
import { SheafError } from "../errors.ts";
import type { Entry, FileEntry } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { Store } from "../store/store.ts";
import { parseWheelFilename } from "../wheel/filename.ts";
import { installWheel } from "../wheel/install.ts";
import { buildFolders, buildProgram, needsMore } from "./build-program.ts";
import { buildSystemOf, readSdist, type BuildSystem, type Sdist } from "./sdist.ts";

export interface BuildWheelRequest {
  sdist: Uint8Array;
  filename: string;
  /** Normalised name (PEP 503) and version that the wheel has to have. */
  name: string;
  version: string;
  layout: PythonLayout;
  /** Seconds since 1970, for backends that put times into the wheel. */
  sourceDateEpoch: number;
  timeoutMs?: number;
}

export interface BuildCommand {
  command: string[];
  binds: { source: string; target: string; readOnly?: boolean }[];
  workdir: string;
  env: Record<string, string>;
  timeoutMs: number;
}

export interface BuildWheelServices {
  store: Store;
  /** Wheels of requirements (PEP 508) and of all that they require, for the interpreter of the sandbox. */
  wheelsFor: (requirements: string[]) => Promise<{ filename: string; bytes: Uint8Array }[]>;
  /** Runs a command in a root file system that has the interpreter, without network, as nobody in particular. */
  run: (command: BuildCommand) => Promise<{ code: number; stdout: string; stderr: string }>;
}

const largestWheel = 2 ** 31;

/**
 * Builds the wheel of an sdist that has none (PEP 517). The one place where code of a package is executed, and only inside
 * `run`: it sees its own source and its build requirements, and nothing of it outlives but the wheel.
 *
 * @throws SheafError SHEAF_SDIST when it isn't an sdist; SHEAF_BUILD when the build fails, with its last lines
 */
export async function buildWheel(
  request: BuildWheelRequest,
  services: BuildWheelServices,
): Promise<{ filename: string; bytes: Uint8Array }> {
  const sdist = await readSdist(request.sdist, request.filename);
  const system = await buildSystemOf(sdist, request.filename);
  const folder = services.store.makeTemporary("build");
  try {
    const source = path.join(folder, "source");
    writeSource(sdist, source);
    const build = { request, services, system, source, folder };
    const more = await runBuild(build, system.requires);
    if (more) {
      const evenMore = await runBuild(build, [...system.requires, ...more]);
      if (evenMore) throw failed(request, `it asks for ${evenMore.join(", ")}, which its requirements don't bring`);
    }
    return await readResult(path.join(folder, "out"), request);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

interface Build {
  request: BuildWheelRequest;
  services: BuildWheelServices;
  system: BuildSystem;
  source: string;
  folder: string;
}

/** Undefined when a wheel was built, or the requirements that are missing. */
async function runBuild(
  { request, services, system, source, folder }: Build,
  requirements: string[],
): Promise<string[] | undefined> {
  const environment = path.join(folder, "env");
  const out = path.join(folder, "out");
  for (const fresh of [environment, out]) {
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.mkdirSync(fresh);
  }
  // The sandbox's user is somebody else.
  fs.chmodSync(out, 0o777);
  const wheels = requirements.length === 0 ? [] : await services.wheelsFor(requirements);
  for (const { filename, bytes } of wheels) {
    writeEntries(installWheel(bytes, { filename, layout: request.layout, strip: false }).entries, environment);
  }
  const { code, stdout, stderr } = await services.run({
    command: buildCommand(system, request.layout),
    binds: [
      { source, target: buildFolders.source, readOnly: true },
      { source: environment, target: buildFolders.environment, readOnly: true },
      { source: out, target: buildFolders.out },
    ],
    workdir: "/tmp",
    env: buildEnvironment(request),
    timeoutMs: request.timeoutMs ?? 600_000,
  });
  if (code === 0) return undefined;
  const missing = code === needsMore ? readRequirements(out) : undefined;
  if (missing) return missing;
  throw failed(request, code === 124 ? "it took too long" : lastLines(`${stdout}\n${stderr}`));
}

function buildCommand({ backend, backendPath }: BuildSystem, layout: PythonLayout): string[] {
  const { source, out } = buildFolders;
  return [layout.executable, "-c", buildProgram, backend, JSON.stringify(backendPath), source, out];
}

function buildEnvironment({ layout, sourceDateEpoch }: BuildWheelRequest): Record<string, string> {
  const inEnvironment = (folder: string) => `${buildFolders.environment}/${folder}`;
  return {
    PATH: `${inEnvironment(layout.scripts)}:/usr/local/bin:/usr/bin:/bin`,
    PYTHONPATH: inEnvironment(layout.purelib),
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONHASHSEED: "0",
    PYTHONSAFEPATH: "1",
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    HOME: "/tmp",
    TMPDIR: "/tmp",
    LC_ALL: "C.UTF-8",
  };
}

function writeSource({ files }: Sdist, folder: string): void {
  for (const [name, { bytes, executable }] of files) {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, bytes, { mode: executable ? 0o755 : 0o644 });
  }
}

function writeEntries(entries: Entry[], root: string): void {
  for (const entry of entries) {
    if (entry.type !== "file") continue;
    const file = path.join(root, entry.path);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, bytesOf(entry), { mode: entry.mode });
  }
}

function bytesOf({ path: name, content }: FileEntry): Uint8Array {
  if (content.kind === "bytes") return content.bytes;
  if (content.kind === "deflated") return inflateExactly({ name, ...content });
  if (content.kind === "disk") return fs.readFileSync(content.file);
  throw new Error(`${name} is in a wheel that was installed from memory`);
}

/** What the backend wrote is as little to be trusted as the backend. */
function readRequirements(out: string): string[] | undefined {
  const file = path.join(out, "requires.json");
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile() || stat.size > 65_536) return undefined;
  try {
    const value: unknown = JSON.parse(fs.readFileSync(file, "utf8"));
    return Array.isArray(value) ? value.filter((one) => typeof one === "string") : undefined;
  } catch {
    return undefined;
  }
}

async function readResult(out: string, request: BuildWheelRequest): Promise<{ filename: string; bytes: Uint8Array }> {
  const wheels = fs.readdirSync(out).filter((name) => name.endsWith(".whl"));
  const [filename] = wheels;
  if (filename === undefined || wheels.length > 1) throw failed(request, `it left ${wheels.length} wheels`);
  const stat = fs.lstatSync(path.join(out, filename));
  if (!stat.isFile() || stat.size > largestWheel) throw failed(request, `${filename} isn't a wheel`);
  const { name, version } = parseWheelFilename(filename);
  const { eq } = await import("@renovatebot/pep440");
  if (name !== request.name || !eq(version, request.version)) {
    throw failed(request, `it made ${filename}, another distribution`);
  }
  return { filename, bytes: fs.readFileSync(path.join(out, filename)) };
}

function lastLines(output: string): string {
  const lines = output.split("\n").map((line) => line.trimEnd());
  return lines
    .filter((line) => line !== "")
    .slice(-12)
    .join("\n");
}

function failed({ name, version, filename }: BuildWheelRequest, output: string): SheafError {
  const needsCompiler =
    /command '?(?:gcc|cc|g\+\+|clang|x86_64-linux-gnu-gcc)'? failed|No such file or directory: '(?:gcc|cc|c\+\+)'/.test(
      output,
    );
  return new SheafError(
    "SHEAF_BUILD",
    `${name} ${version} has no wheel for this image, and building ${filename} failed`,
    {
      details: [["output", output]],
      hint: [
        needsCompiler ? "it needs a C compiler, which the sandbox doesn't have" : "the build runs without network",
        `pin a version of ${name} that has a wheel, or build one elsewhere and put it into a folder that pip's find-links names`,
      ],
    },
  );
}
