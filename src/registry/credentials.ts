import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import { isObject } from "../oci/documents.ts";

/** What a registry is told to prove who asks. */
export type Credentials =
  | { kind: "basic"; username: string; password: string }
  /** Exchanged for an access token (OAuth 2 refresh token). */
  | { kind: "identity"; token: string }
  /** Sent as it is. */
  | { kind: "bearer"; token: string };

/**
 * The credentials that `docker login` or `podman login` left for a registry, undefined when there are none. Files in the order of
 * those tools: REGISTRY_AUTH_FILE, Docker's config.json (DOCKER_CONFIG), Podman's auth.json. Within a file a helper of the host
 * comes before the helper for all, that before what stands in the file.
 * @param repository of which auth.json may have credentials of its own
 * @throws SheafError SHEAF_REGISTRY_AUTH when a helper fails or a file can't be read
 */
export async function registryCredentials(
  host: string,
  repository: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Credentials | undefined> {
  for (const file of authFiles(environment)) {
    const config = readConfig(file);
    const found = config && (await credentialsIn(config, { host, repository, file, environment }));
    if (found) return found;
  }
  return undefined;
}

interface AuthConfig {
  auths?: Record<string, unknown>;
  credHelpers?: Record<string, unknown>;
  credsStore?: unknown;
}

interface Lookup {
  host: string;
  repository: string;
  file: string;
  environment: NodeJS.ProcessEnv;
}

function authFiles(environment: NodeJS.ProcessEnv): string[] {
  const home = environment["HOME"] || os.homedir();
  const runtime = environment["XDG_RUNTIME_DIR"];
  const config = environment["XDG_CONFIG_HOME"] || path.join(home, ".config");
  return [
    ...(environment["REGISTRY_AUTH_FILE"] ? [environment["REGISTRY_AUTH_FILE"]] : []),
    path.join(environment["DOCKER_CONFIG"] || path.join(home, ".docker"), "config.json"),
    ...(runtime ? [path.join(runtime, "containers", "auth.json")] : []),
    path.join(config, "containers", "auth.json"),
  ];
}

function readConfig(file: string): AuthConfig | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? (value as AuthConfig) : undefined;
  } catch (cause) {
    throw new SheafError("SHEAF_REGISTRY_AUTH", `${file} is not JSON: ${(cause as Error).message}`, {
      hint: "docker login writes it anew",
      cause,
    });
  }
}

async function credentialsIn(config: AuthConfig, lookup: Lookup): Promise<Credentials | undefined> {
  const keys = keysOf(lookup.host);
  const ownHelper = keys.map((key) => config.credHelpers?.[key]).find((each) => each !== undefined);
  const helper = ownHelper ?? (config.credsStore || undefined);
  if (typeof helper === "string" && helper !== "") {
    // Each question starts a program: only names under which something is kept are worth one, and the first.
    for (const key of keys.filter((each, index) => index === 0 || config.auths?.[each] !== undefined)) {
      const found = await askHelper(helper, key, lookup);
      if (found) return found;
    }
  }
  for (const key of [...namespaces(lookup), ...keys]) {
    const found = fromEntry(config.auths?.[key]);
    if (found) return found;
  }
  return undefined;
}

/** Names under which tools keep the credentials of a host; Docker Hub's is that of its first API. */
function keysOf(host: string): string[] {
  if (/^(?:index\.|registry-1\.)?docker\.io$/.test(host))
    return ["https://index.docker.io/v1/", "docker.io", "index.docker.io"];
  return [host, `https://${host}`, `http://${host}`, `https://${host}/v1/`, `https://${host}/v2/`];
}

/** `host/team/app`, `host/team`: the longest wins (containers-auth.json(5)). */
function namespaces({ host, repository }: Lookup): string[] {
  const segments = repository.split("/");
  return segments.map((_, index) => [host, ...segments.slice(0, segments.length - index)].join("/"));
}

function fromEntry(entry: unknown): Credentials | undefined {
  if (!isObject(entry)) return undefined;
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (isText(registrytoken)) return { kind: "bearer", token: registrytoken };
  if (isText(identitytoken)) return { kind: "identity", token: identitytoken };
  if (isText(auth)) {
    const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
    const colon = text.indexOf(":");
    if (colon > 0) return { kind: "basic", username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  return isText(username) && typeof password === "string" ? { kind: "basic", username, password } : undefined;
}

/** How long a helper may take: some ask their user to unlock a keyring. */
const helperMs = 60_000;
const largestAnswer = 256 * 1024;

/** The protocol of Docker's credential helpers: `docker-credential-NAME get`, the server on its standard input. */
async function askHelper(
  name: string,
  server: string,
  { file, environment }: Lookup,
): Promise<Credentials | undefined> {
  const program = /^[\w.-]+$/.test(name) ? `docker-credential-${name}` : undefined;
  const found = program && findProgram(program, environment["PATH"]);
  if (!found) {
    throw new SheafError(
      "SHEAF_REGISTRY_AUTH",
      `there is no program docker-credential-${name}, which has the credentials`,
      {
        details: [["named in", file]],
        hint: ["install it", "or take it out of the file and log in again"],
      },
    );
  }
  const { code, stdout, stderr } = await runHelper(found, server, environment);
  if (code !== 0) {
    // The helpers of docker/docker-credential-helpers say so on standard output.
    if (/credentials not found|no credentials|not found in/i.test(stdout + stderr)) return undefined;
    throw helperFailed(found, firstLine(stderr) || firstLine(stdout) || `exit code ${code}`);
  }
  if (stdout.trim() === "") return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    throw helperFailed(found, "its answer is not JSON");
  }
  if (!isObject(answer) || !isText(answer["Secret"])) return undefined;
  const { Username: username, Secret: secret } = answer;
  if (username === "<token>") return { kind: "identity", token: secret };
  return isText(username) ? { kind: "basic", username, password: secret } : undefined;
}

async function runHelper(
  program: string,
  server: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(program, ["get"], { env: environment, stdio: ["pipe", "pipe", "pipe"], detached: true });
  const output = { stdout: "", stderr: "" };
  const end = () => {
    killGroup(child.pid);
    child.stdout.destroy();
    child.stderr.destroy();
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      if (output[name].length > largestAnswer) end();
    });
  }
  // A helper may answer without having read its input.
  child.stdin.on("error", () => undefined).end(server);
  const timer = setTimeout(end, helperMs);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { code, ...output };
  } catch (error) {
    throw helperFailed(program, (error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}

/** The helper and what it has started. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

function helperFailed(program: string, reason: string): SheafError {
  return new SheafError("SHEAF_REGISTRY_AUTH", `${program} did not give the credentials: ${reason}`, {
    hint: "try it by hand: echo HOST | docker-credential-NAME get",
  });
}

function firstLine(text: string): string {
  return (text.trim().split("\n")[0] ?? "").slice(0, 300);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
