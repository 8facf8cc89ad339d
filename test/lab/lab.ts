/**
 * Engines and oracles that tests compare with, where the machine has them. Everything is looked up once per process.
 *
 * On a machine that lacks one, tests are skipped by name: `it.skipIf(!requireOrSkip("Docker", dockerEngine()))`. With
 * SHEAF_REQUIRE_ENGINES=1 (continuous integration) what is missing is a failure.
 */
import { execFile, execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const PROBE_MS = 20_000;
const repository = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);

/** A command line client whose engine answers. */
export interface Engine {
  /** Absolute path of the client. */
  command: string;
}

/**
 * A Docker whose engine answers. A client alone is not enough: SHEAF_TEST_DOCKER, then every `docker` on PATH and in
 * /usr/bin is asked for its server's version.
 */
export function dockerEngine(): Engine | undefined {
  return once("docker", () => {
    const named = process.env["SHEAF_TEST_DOCKER"];
    const candidates = named ? [named] : ["/usr/bin/docker", ...onPath("docker")];
    return engineAmong(candidates, ["version", "--format", "{{.Server.Version}}"]);
  });
}

/** A Podman that can read its storage, as the user that runs the tests. */
export function podman(): Engine | undefined {
  return once("podman", () => {
    const named = process.env["SHEAF_TEST_PODMAN"];
    return engineAmong(named ? [named] : onPath("podman"), ["info", "--format", "{{.Store.GraphDriverName}}"]);
  });
}

/** Absolute path of a program: on PATH, or where administrators', Go's and the repository's own tools are put. */
export function tool(name: string): string | undefined {
  return once(`tool ${name}`, () => {
    const elsewhere = ["/usr/sbin", "/sbin", join(homedir(), "go", "bin"), join(repository, ".tools", "bin")];
    return onPath(name)[0] ?? elsewhere.map((folder) => join(folder, name)).find(isProgram);
  });
}

/** A Python 3 that can import all of `modules`: python3 on PATH, then others by version. */
export function pythonWith(...modules: string[]): string | undefined {
  return once(`python ${modules.join(" ")}`, () => {
    const program = ["import sys", ...modules.map((name) => `import ${name}`)].join("; ");
    return pythons().find((python) => answers(python, ["-I", "-c", program]));
  });
}

/** A Python of exactly this version, as in `3.12`. */
export function pythonOf(version: string): string | undefined {
  return once(`python ${version}`, () => {
    const program = `import sys; sys.exit("%d.%d" % sys.version_info[:2] != ${JSON.stringify(version)})`;
    return pythons().find((python) => answers(python, ["-I", "-c", program]));
  });
}

/**
 * Whether `available` is there, for `it.skipIf(!…)`.
 * @throws Error when it is not and SHEAF_REQUIRE_ENGINES is 1.
 */
export function requireOrSkip(name: string, available: unknown): boolean {
  if (available) return true;
  if (process.env["SHEAF_REQUIRE_ENGINES"] !== "1") return false;
  throw new Error(`${name} is required here (SHEAF_REQUIRE_ENGINES=1) and was not found or does not work`);
}

/** Standard output of a program; one that fails throws with what it wrote to standard error. */
export async function output(command: string, args: readonly string[], timeoutMs = 120_000): Promise<string> {
  const { stdout } = await run(command, [...args], { timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

function engineAmong(candidates: readonly string[], question: readonly string[]): Engine | undefined {
  const command = candidates.find((candidate) => isProgram(candidate) && answers(candidate, question));
  return command ? { command } : undefined;
}

function answers(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, [...args], { stdio: "ignore", timeout: PROBE_MS });
    return true;
  } catch {
    return false;
  }
}

function pythons(): string[] {
  const pyenv = join(homedir(), ".pyenv", "versions");
  const versions = existsSync(pyenv) ? readdirSync(pyenv).toSorted().toReversed() : [];
  const installed = versions.map((version) => join(pyenv, version, "bin", "python3"));
  const own = join(repository, ".tools", "python", "bin", "python3");
  const named = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"].flatMap((name) => onPath(name));
  return [...named, own, ...installed].filter(isProgram);
}

function onPath(name: string): string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return folders.map((folder) => join(folder, name)).filter(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const found = new Map<string, unknown>();

function once<T>(key: string, look: () => T): T {
  if (!found.has(key)) found.set(key, look());
  return found.get(key) as T;
}
