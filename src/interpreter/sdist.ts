import { decompress } from "../archive/decompress.ts";
import { readTar } from "../archive/tar-read.ts";
import { inflateEntry, isSafeRelativePath, readZip } from "../archive/zip.ts";
import { SheafError } from "../errors.ts";

/** A source distribution (PEP 625), in memory. */
export interface Sdist {
  /** Files under the archive's one top folder, by path below it. */
  files: Map<string, { bytes: Uint8Array; executable: boolean }>;
}

/** What builds it (PEP 518 and PEP 517). */
export interface BuildSystem {
  /** Requirements (PEP 508) of the build itself. */
  requires: string[];
  /** `module` or `module:object` */
  backend: string;
  /** Folders in the source that the backend is imported from. */
  backendPath: string[];
}

const mostFiles = 50_000;
const mostBytes = 1 << 30;

/**
 * Reads an sdist. Paths that leave its folder, links and special files are refused rather than skipped: a build that
 * lacks a file fails in ways that nobody understands.
 *
 * @param filename says the format: `.tar.gz` and its like, or `.zip`
 * @throws SheafError SHEAF_SDIST, SHEAF_TAR, SHEAF_ZIP, SHEAF_COMPRESSION
 */
export async function readSdist(bytes: Uint8Array, filename: string): Promise<Sdist> {
  const members = filename.endsWith(".zip") ? zipMembers(bytes) : await tarMembers(bytes);
  const files: Sdist["files"] = new Map();
  let top: string | undefined;
  for (const { path, bytes, executable } of members) {
    const [folder = "", ...rest] = path.split("/");
    if (!isSafeRelativePath(path) || rest.length === 0) throw broken(filename, `holds ${JSON.stringify(path)}`);
    top ??= folder;
    if (folder !== top) throw broken(filename, `has two top folders, ${top} and ${folder}`);
    files.set(rest.join("/"), { bytes, executable });
  }
  if (!files.has("pyproject.toml") && !files.has("setup.py")) {
    throw broken(filename, "has neither pyproject.toml nor setup.py");
  }
  return { files };
}

/**
 * The build system of an sdist. Without a [build-system] table it is setuptools' legacy backend, as PEP 517 says.
 * @throws SheafError SHEAF_SDIST when the table isn't one
 */
export async function buildSystemOf({ files }: Sdist, filename: string): Promise<BuildSystem> {
  const legacy = { requires: ["setuptools>=40.8.0"], backend: "setuptools.build_meta:__legacy__", backendPath: [] };
  const pyproject = files.get("pyproject.toml");
  if (!pyproject) return legacy;
  const table = await buildSystemTable(pyproject.bytes, filename);
  if (table === undefined) return legacy;
  const backend = table["build-backend"] ?? legacy.backend;
  if (typeof backend !== "string" || !/^[\w.]+(:[\w.]+)?$/.test(backend)) {
    throw broken(filename, "has a build-backend that isn't a Python object");
  }
  const requires = strings(table["requires"]);
  if (!requires) throw broken(filename, "has no requires in [build-system]");
  const backendPath = strings(table["backend-path"] ?? []);
  if (!backendPath?.every((folder) => folder === "." || isSafeRelativePath(folder.replace(/\/$/, "")))) {
    throw broken(filename, "has a backend-path outside its folder");
  }
  return { requires, backend, backendPath };
}

interface Member {
  path: string;
  bytes: Uint8Array;
  executable: boolean;
}

async function tarMembers(bytes: Uint8Array): Promise<Member[]> {
  const entries = readTar(await decompress(bytes, mostBytes), { entries: mostFiles });
  const contents = new Map<string, Uint8Array>();
  const members: Member[] = [];
  for (const { path, type, mode, data, target } of entries) {
    if (type === "directory") continue;
    // A hard link names a file before it; symbolic ones don't occur in what `build` makes.
    const content = type === "file" ? data : type === "hardlink" ? contents.get(target ?? "") : undefined;
    if (!content)
      throw new SheafError("SHEAF_SDIST", `the source archive holds ${path}, a ${type} that can't be unpacked`);
    contents.set(path, content);
    members.push({ path: path.replace(/^(\.\/)+/, ""), bytes: content, executable: (mode & 0o111) !== 0 });
  }
  return members;
}

function zipMembers(bytes: Uint8Array): Member[] {
  return readZip(bytes, { entries: mostFiles, totalSize: mostBytes }).flatMap((entry) => {
    if (entry.type === "directory") return [];
    if (entry.type === "symlink") throw new SheafError("SHEAF_SDIST", `the source archive holds a link, ${entry.path}`);
    return [{ path: entry.path, bytes: inflateEntry(entry), executable: (entry.mode & 0o111) !== 0 }];
  });
}

async function buildSystemTable(bytes: Uint8Array, filename: string): Promise<Record<string, unknown> | undefined> {
  const { parse } = await import("smol-toml");
  try {
    const table = parse(Buffer.from(bytes).toString("utf8"))["build-system"];
    if (table === undefined) return undefined;
    if (typeof table === "object" && !Array.isArray(table)) return table as Record<string, unknown>;
  } catch (error) {
    throw broken(filename, "has a pyproject.toml that isn't TOML", error);
  }
  throw broken(filename, "has a [build-system] that isn't a table");
}

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
}

function broken(filename: string, what: string, cause?: unknown): SheafError {
  return new SheafError("SHEAF_SDIST", `${filename} can't be built: it ${what}`, {
    hint: "pin a version that has a wheel",
    cause,
  });
}
