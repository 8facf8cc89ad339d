import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Project, ShippedFile } from "../project/project.ts";
import type { Store } from "../store/store.ts";
import type { ImageIntent } from "./choose-images.ts";
import type { PlannedFile } from "./image-plan.ts";
import { byPath } from "../order.ts";

/** Where the project's files go. */
export interface AppFiles {
  files: PlannedFile[];
  /** Folders of the image that have to be on sys.path, without a leading slash, most specific first. */
  importRoots: string[];
}

/**
 * Places the project's files in the image: as the final stage of the repository's own Dockerfile copies them, where it has
 * one, else under the working directory as they lie in the project.
 *
 * @throws SheafError SHEAF_NAME_CLASH when two files land on one path
 */
export function placeFiles({ project, intent, workdir, store }: PlaceRequest): AppFiles {
  const place = placement(project, intent, workdir);
  const hashes = new FileHashes(project.root, store);
  const files = new Map<string, PlannedFile>();
  for (const file of project.files) {
    const target = place(file.path);
    if (target === undefined) continue;
    const standing = files.get(target);
    if (standing) throw nameClash(target, standing.from ?? "", file.path);
    files.set(target, plannedFile(file, { target, sha256: file.symlink === undefined ? hashes.of(file) : "" }));
  }
  hashes.save();
  const importRoots = [appRoot(intent, place), place(project.directory, true)].filter((root) => root !== undefined);
  return { files: [...files.values()].toSorted(byPath), importRoots: [...new Set(importRoots)] };
}

/** The folder that the app's module is imported from, told by where its file lands. */
function appRoot({ app }: ImageIntent, place: Place): string | undefined {
  if (!app) return undefined;
  const inside = app.importRoot === "" ? app.file : app.file.slice(app.importRoot.length + 1);
  const target = place(app.file);
  if (target?.endsWith(`/${inside}`)) return target.slice(0, -inside.length - 1);
  return target === inside ? "" : place(app.importRoot, true);
}

export interface PlaceRequest {
  project: Project;
  intent: ImageIntent;
  /** Absolute. */
  workdir: string;
  store: Store;
}

type Place = (file: string, isFolder?: boolean) => string | undefined;

function placement(project: Project, intent: ImageIntent, workdir: string): Place {
  const base = workdir.replace(/^\//, "");
  const { directory } = project;
  const plain: Place = (file) => {
    if (directory === "") return join(base, file);
    if (file === directory) return base;
    return file.startsWith(`${directory}/`) ? join(base, file.slice(directory.length + 1)) : join(base, file);
  };
  const copies = copiesOf(intent, workdir);
  const app = intent.app?.file;
  if (copies.length === 0 || (app !== undefined && !copies.some((copy) => copy(app, false) !== undefined)))
    return plain;
  return (file, isFolder = false) => {
    for (const copy of copies.toReversed()) {
      const target = copy(file, isFolder);
      if (target !== undefined) return target;
    }
    return plain(file);
  };
}

/** The COPY instructions of the final stage whose sources are folders or files of the repository. */
function copiesOf({ dockerfile }: ImageIntent, workdir: string): Place[] {
  if (!dockerfile) return [];
  return dockerfile.copies
    .filter((copy) => !/[*?[\]]/.test(copy.from))
    .map((copy): Place => {
      const from = path.posix.normalize(copy.from).replace(/^\.\//, "").replace(/\/$/, "");
      const to = path.posix.resolve(workdir, copy.to).slice(1);
      const toFolder = copy.to.endsWith("/") || copy.to === ".";
      return (file, isFolder) => {
        if (from === "." || from === "") return join(to, file);
        if (file === from) return isFolder || !toFolder ? to : join(to, path.posix.basename(from));
        return file.startsWith(`${from}/`) ? join(to, file.slice(from.length + 1)) : undefined;
      };
    });
}

function join(folder: string, file: string): string {
  const joined = file === "" || file === "." ? folder : `${folder}/${file}`;
  return joined.replace(/^\/+/, "");
}

function plannedFile(file: ShippedFile, { target, sha256 }: { target: string; sha256: string }): PlannedFile {
  const mode = file.mode & 0o111 ? 0o755 : 0o644;
  const common = { from: file.path, path: target, mode, size: file.symlink === undefined ? file.size : 0, sha256 };
  return file.symlink === undefined ? common : { ...common, symlink: file.symlink };
}

function nameClash(target: string, first: string, second: string): SheafError {
  return new SheafError("SHEAF_NAME_CLASH", `two files of the project land on /${target}`, {
    details: [
      ["first", first],
      ["second", second],
    ],
    hint: "the repository's Dockerfile copies both there; leave one out with [tool.sheaf] exclude",
  });
}

/** SHA-256 of project files. Large ones are read again only when their size or time has changed. */
class FileHashes {
  readonly #root: string;
  readonly #store: Store;
  readonly #known: Record<string, [size: number, mtimeMs: number, sha256: string]>;
  #grown = false;

  constructor(root: string, store: Store) {
    this.#root = root;
    this.#store = store;
    this.#known = store.readRecord("file-hashes", root) ?? {};
  }

  of(file: ShippedFile): string {
    const known = this.#known[file.path];
    if (file.size >= smallFile && known && known[0] === file.size && known[1] === file.mtimeMs) return known[2];
    const sha256 = hashFile(path.join(this.#root, file.path));
    if (file.size < smallFile) return sha256;
    this.#known[file.path] = [file.size, file.mtimeMs, sha256];
    this.#grown = true;
    return sha256;
  }

  save(): void {
    if (this.#grown) this.#store.writeRecord("file-hashes", this.#root, this.#known);
  }
}

/** Below this size, reading is as quick as knowing. */
const smallFile = 256 * 1024;

function hashFile(file: string): string {
  const hash = createHash("sha256");
  const descriptor = fs.openSync(file, "r");
  try {
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    for (let read = fs.readSync(descriptor, buffer); read > 0; read = fs.readSync(descriptor, buffer)) {
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    fs.closeSync(descriptor);
  }
  return hash.digest("hex");
}
