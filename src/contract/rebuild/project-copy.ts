import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../../errors.ts";
import { DockerIgnore, GitIgnores } from "../../project/ignore.ts";
import { isErrno } from "../../store/store.ts";
import { Repository } from "../../project/repository.ts";

/** More is no source code: a copy of it would say more of the disk than of the build. */
const mostBytes = 4e9;

/** A project to build and to change, so that nobody's files are. */
export interface ProjectCopy {
  /** Absolute; named as the original, of which images may have their names. */
  folder: string;
  /** Paths of its files, from its root. */
  files: readonly string[];
  /** Text of a file, undefined when there is none. */
  text(file: string): string | undefined;
  write(file: string, text: string): void;
}

export interface CopyOptions {
  /** The project, absolute. */
  from: string;
  /** An empty folder. */
  into: string;
  /** Text of the ignore file of a Dockerfile's build: what it leaves in is copied although git ignores it. */
  dockerIgnore?: string;
}

/**
 * Copies a project without what is not its own (environments, caches, history) and without what git ignores.
 * @throws SheafError SHEAF_NO_PROJECT; SHEAF_REBUILD when it is too large to be copied
 */
export function copyProject({ from, into, dockerIgnore }: CopyOptions): ProjectCopy {
  const repository = new Repository(from);
  const isIgnored = ignoredBy(repository, dockerIgnore);
  const folder = path.join(into, path.basename(from) || "project");
  fs.mkdirSync(folder);
  const files: string[] = [];
  let bytes = 0;
  for (const { path: file, type } of repository.entries) {
    if (type === "special" || isIgnored(file)) continue;
    const target = path.join(folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    if (type === "symlink") {
      fs.symlinkSync(fs.readlinkSync(path.join(from, file)), target);
      continue;
    }
    bytes += repository.stats(file)?.size ?? 0;
    if (bytes > mostBytes) throw tooLarge(from);
    if (copyFile(path.join(from, file), target)) files.push(file);
  }
  return {
    folder,
    files,
    text: (file) => (files.includes(file) ? fs.readFileSync(path.join(folder, file), "utf8") : undefined),
    write: (file, text) => fs.writeFileSync(path.join(folder, file), text),
  };
}

/** @returns false for what may not be read, which no build can read either, and for what has gone */
function copyFile(from: string, to: string): boolean {
  try {
    // Shared blocks where the file system can.
    fs.copyFileSync(from, to, fs.constants.COPYFILE_FICLONE);
    return true;
  } catch (error) {
    if (isErrno(error, "EACCES") || isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function ignoredBy(repository: Repository, dockerIgnore: string | undefined): (file: string) => boolean {
  const git = new GitIgnores();
  for (const { path: file } of repository.entries) {
    if (path.posix.basename(file) === ".gitignore") git.add(folderOf(file), repository.text(file) ?? "");
  }
  const folders = new Map<string, boolean>([["", false]]);
  const isIgnoredFolder = (folder: string): boolean => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const ignored = isIgnoredFolder(folderOf(folder)) || git.match(folder, true)?.ignored === true;
    folders.set(folder, ignored);
    return ignored;
  };
  const docker = dockerIgnore === undefined ? undefined : new DockerIgnore(dockerIgnore, ".dockerignore");
  return (file) => {
    const byGit = isIgnoredFolder(folderOf(file)) || git.match(file, false)?.ignored === true;
    return byGit && (docker === undefined || docker.match(file)?.ignored === true);
  };
}

function folderOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.lastIndexOf("/")) : "";
}

function tooLarge(folder: string): SheafError {
  return new SheafError("SHEAF_REBUILD", `${folder} has more than 4 GB that git does not ignore`, {
    hint: "name the project's folder, or ignore what is no source",
  });
}
