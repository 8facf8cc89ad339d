import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/** Where a Docker daemon listens. */
export type Endpoint =
  | { kind: "socket"; path: string }
  | { kind: "tcp"; host: string; port: number; tls?: { ca?: string; cert?: string; key?: string; verify: boolean } };

/**
 * Where to look for Docker, in the order of its own client: DOCKER_HOST, the context of DOCKER_CONTEXT or of `docker context use`, then the
 * usual sockets. An explicit choice is the only one. `ssh://` and named pipes are not spoken.
 */
export function dockerEndpoints(environment: NodeJS.ProcessEnv, readFile = readIfThere): Endpoint[] {
  const chosen = environment["DOCKER_HOST"] || contextHost(environment, readFile);
  if (chosen) {
    const endpoint = parseHost(chosen, environment, readFile);
    return endpoint ? [endpoint] : [];
  }
  const home = environment["HOME"] || os.homedir();
  const runtime = environment["XDG_RUNTIME_DIR"];
  return [
    "/var/run/docker.sock",
    ...(runtime ? [path.join(runtime, "docker.sock")] : []),
    path.join(home, ".docker", "run", "docker.sock"),
    path.join(home, ".docker", "desktop", "docker.sock"),
  ].map((socket) => ({ kind: "socket", path: socket }));
}

export function describeEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === "socket" ? endpoint.path : `${endpoint.host}:${endpoint.port}`;
}

/** Whether the daemon can be expected on this machine, so that it reaches our loopback. */
export function isLocal(endpoint: Endpoint): boolean {
  return endpoint.kind === "socket" || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(endpoint.host);
}

function contextHost(environment: NodeJS.ProcessEnv, readFile: typeof readIfThere): string | undefined {
  const folder = environment["DOCKER_CONFIG"] || path.join(environment["HOME"] || os.homedir(), ".docker");
  const config = parseObject(readFile(path.join(folder, "config.json")));
  const name = environment["DOCKER_CONTEXT"] || config["currentContext"];
  if (typeof name !== "string" || name === "" || name === "default") return undefined;
  const id = createHash("sha256").update(name).digest("hex");
  const meta = parseObject(readFile(path.join(folder, "contexts", "meta", id, "meta.json")));
  const host = asObject(asObject(meta["Endpoints"])["docker"])["Host"];
  return typeof host === "string" ? host : undefined;
}

function parseHost(text: string, environment: NodeJS.ProcessEnv, readFile: typeof readIfThere): Endpoint | undefined {
  const socket = /^unix:\/\/(.+)$/.exec(text)?.[1];
  if (socket) return { kind: "socket", path: socket };
  if (!/^(tcp|http|https):\/\//.test(text)) return undefined;
  const url = URL.parse(text.replace(/^tcp:/, "http:"));
  if (!url) return undefined;
  const secure = text.startsWith("https:") || Boolean(environment["DOCKER_TLS_VERIFY"]);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (secure ? 2376 : 2375);
  if (!secure) return { kind: "tcp", host, port };
  const certificates = environment["DOCKER_CERT_PATH"] || path.join(environment["HOME"] || os.homedir(), ".docker");
  const read = (name: string) => readFile(path.join(certificates, name));
  return {
    kind: "tcp",
    host,
    port,
    tls: { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem"), verify: true },
  };
}

function readIfThere(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function parseObject(text: string | undefined): Record<string, unknown> {
  try {
    return asObject(JSON.parse(text ?? "{}"));
  } catch {
    return {};
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
