import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { onTestFinished } from "vitest";

import type { SheafEvent } from "../../src/events.ts";
import { createFetcher } from "../../src/fetch/create-fetcher.ts";
import type { DependencyFile, Project } from "../../src/project/project.ts";
import type { Resolution, Target } from "../../src/resolve/resolution.ts";
import type { ResolveRequest, ResolveServices } from "../../src/resolve/request.ts";
import { resolveDistributions } from "../../src/resolve/resolve.ts";
import { openStore } from "../../src/store/store.ts";

export const target: Target = { platform: { os: "linux", architecture: "amd64" }, python: "3.12.1", glibc: [2, 36] };

/** A folder that the test owns. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-resolve-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const kinds: [RegExp, DependencyFile["kind"]][] = [
  [/^(?:uv\.lock|pylock\.toml|poetry\.lock|pdm\.lock|Pipfile\.lock|Pipfile|setup\.py|setup\.cfg)$/, "requirements"],
  [/^pyproject\.toml$/, "pyproject"],
  [/requirements.*\.txt$|^requirements\/.*\.txt$/, "requirements"],
  [/^environment\.yml$/, "conda"],
];

/** A repository of the given files, as project/ would describe it. */
export function makeProject(files: Record<string, string | Uint8Array>, more: Partial<Project> = {}): Project {
  const root = temporaryFolder();
  for (const [file, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), content);
  }
  const dependencyFiles = Object.keys(files).flatMap((file): DependencyFile[] => {
    const found = kinds.find(([pattern]) => pattern.test(file));
    if (!found) return [];
    const kind =
      file.includes(".lock") || /^(?:pylock|Pipfile|setup)/.test(file) ? (file as DependencyFile["kind"]) : found[1];
    return [{ kind, file }];
  });
  return {
    root,
    directory: "",
    name: { value: "demo", source: "pyproject.toml" },
    dependencyFiles,
    extras: [],
    groups: [],
    apps: [],
    nearMisses: [],
    dockerfiles: [],
    services: [],
    files: [],
    withheld: [],
    config: {},
    scripts: {},
    ...more,
  };
}

export interface Bench {
  services: ResolveServices;
  events: SheafEvent[];
  resolve(project: Project, more?: Partial<ResolveRequest>): Promise<Resolution>;
}

/** A store and a fetcher of their own. */
export function makeBench(options: { offline?: boolean; storeRoot?: string } = {}): Bench {
  const store = openStore(options.storeRoot ?? temporaryFolder());
  const events: SheafEvent[] = [];
  const fetcher = createFetcher({ store, offline: options.offline });
  onTestFinished(() => fetcher.close());
  const services = { store, fetcher, emit: (event: SheafEvent) => void events.push(event) };
  return {
    services,
    events,
    resolve: (project, more = {}) =>
      resolveDistributions({ project, target, extras: [], groups: [], ...more }, services),
  };
}

export interface ServedFile {
  filename: string;
  bytes?: string;
  yanked?: string | boolean;
  requiresPython?: string;
  /** The index tells no hash of it. */
  hashless?: boolean;
}

export interface LocalIndex {
  /** URL of the simple index, without credentials. */
  url: string;
  /** Paths that were asked for, in order. */
  requests: string[];
  host: string;
}

/** What the bytes of a served file are unless a test gives them. */
export function hashOf(filename: string, bytes = filename): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A simple index on 127.0.0.1: project → files. */
export async function serveIndex(
  projects: Record<string, (string | ServedFile)[]>,
  options: { format?: "json" | "html"; user?: string } = {},
): Promise<LocalIndex> {
  const requests: string[] = [];
  const served = new Map<string, ServedFile[]>();
  for (const [name, files] of Object.entries(projects)) {
    served.set(
      name,
      files.map((file) => (typeof file === "string" ? { filename: file } : file)),
    );
  }
  const server = http.createServer((request, response) => {
    const url = request.url ?? "";
    requests.push(url);
    const expected = options.user && `Basic ${Buffer.from(options.user).toString("base64")}`;
    if (expected && request.headers.authorization !== expected) return void response.writeHead(401).end("no");
    const file = /^\/files\/(.+)$/.exec(url)?.[1];
    const known =
      file && [...served.values()].flat().find((candidate) => candidate.filename === decodeURIComponent(file));
    if (known) return void response.end(known.bytes ?? known.filename);
    const files = served.get(/^\/simple\/([^/]+)\/$/.exec(url)?.[1] ?? "");
    if (!files) return void response.writeHead(404).end("none");
    if (options.format === "html") return void response.setHeader("content-type", "text/html").end(htmlPage(files));
    response.setHeader("content-type", "application/vnd.pypi.simple.v1+json");
    response.end(JSON.stringify({ meta: { "api-version": "1.1" }, files: files.map(jsonFile) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/simple`, requests, host: `127.0.0.1:${port}` };
}

function jsonFile(file: ServedFile): object {
  return {
    filename: file.filename,
    url: `../../files/${encodeURIComponent(file.filename)}`,
    hashes: file.hashless ? {} : { sha256: hashOf(file.filename, file.bytes) },
    ...(file.requiresPython && { "requires-python": file.requiresPython }),
    ...(file.yanked !== undefined && { yanked: file.yanked }),
    size: (file.bytes ?? file.filename).length,
  };
}

function htmlPage(files: ServedFile[]): string {
  const anchors = files.map((file) => {
    const hash = file.hashless ? "" : `#sha256=${hashOf(file.filename, file.bytes)}`;
    const python = file.requiresPython
      ? ` data-requires-python="${file.requiresPython.replace(">", "&gt;").replace("<", "&lt;")}"`
      : "";
    const yanked = file.yanked === undefined ? "" : ` data-yanked="${String(file.yanked)}"`;
    return `<a href="../../files/${encodeURIComponent(file.filename)}${hash}"${python}${yanked}>${file.filename}</a><br>`;
  });
  return `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>\n${anchors.join("\n")}\n</body></html>`;
}

/** A requirements line with the hashes of the named files. */
export function pinned(requirement: string, ...filenames: string[]): string {
  return [requirement, ...filenames.map((filename) => `    --hash=sha256:${hashOf(filename)}`)].join(" \\\n") + "\n";
}

/** What a promise rejects with; fails when it doesn't. */
export async function failure(
  promise: Promise<unknown>,
): Promise<Error & { code: string; details: [string, string][]; hints: string[] }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code: string; details: [string, string][]; hints: string[] };
  }
  throw new Error("nothing was thrown");
}

/** All that an error shows. */
export function shown(error: { message: string; details?: [string, string][]; hints?: string[] }): string {
  return [error.message, ...(error.details ?? []).map((pair) => pair.join(": ")), ...(error.hints ?? [])].join("\n");
}
