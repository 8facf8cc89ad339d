import { readSync, openSync, closeSync, readlinkSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import type { SheafConfig } from "./config/schema.ts";
import { leftOutByDefault } from "./default-files.ts";
import { DockerIgnore, GitIgnore, type IgnoreVerdict } from "./ignore.ts";
import type { EvidenceNote, ShippedFile, WithheldFile } from "./project.ts";
import type { ForeignFolder, Repository, RepositoryEntry } from "./repository.ts";
import { isPublicPem, mayHoldSecret, SECRET_HEAD, secretByContent, secretByName } from "./secrets.ts";

export interface FilesInput {
  repository: Repository;
  /** Folder of the Python project: what is outside it and the import roots doesn't ship. */
  directory: string;
  importRoots: string[];
  config: Pick<SheafConfig, "include" | "exclude">;
  /** Name of the file that `config` came from. */
  configFile?: string;
  /** Dockerfiles, for their own `X.dockerignore`. */
  dockerfiles: string[];
}

export interface ProjectFiles {
  files: ShippedFile[];
  withheld: WithheldFile[];
  notes: EvidenceNote[];
}

/** Bytes above which a file is marked. */
const LARGE = 100_000_000;

/** Says which files go into the image, and why the others don't. Secrets never do, whatever the configuration says. */
export function chooseFiles(input: FilesInput): ProjectFiles {
  return new Chooser(input).choose();
}

class Chooser {
  readonly #input: FilesInput;
  readonly #files: ShippedFile[] = [];
  readonly #withheld: WithheldFile[] = [];
  readonly #gitIgnores = new Map<string, GitIgnore>();
  readonly #gitFolders = new Map<string, IgnoreVerdict | undefined>();
  readonly #dockerIgnore: DockerIgnore | undefined;
  readonly #include: GitIgnore | undefined;
  readonly #exclude: GitIgnore | undefined;
  readonly #realRoot: string;
  readonly #byLowerCase = new Map<string, string>();
  readonly #notes: EvidenceNote[] = [];
  /** Folders that are reported as a whole. */
  readonly #reported = new Set<string>();

  constructor(input: FilesInput) {
    this.#input = input;
    const { repository, config, configFile = "configuration" } = input;
    this.#realRoot = realpathSync(repository.root);
    for (const { path } of repository.entries) {
      if (path !== ".gitignore" && !path.endsWith("/.gitignore")) continue;
      const text = repository.text(path);
      if (text !== undefined)
        this.#gitIgnores.set(path === ".gitignore" ? "" : path.slice(0, -11), new GitIgnore(text, path));
    }
    this.#dockerIgnore = findDockerIgnore(input);
    if (config.include) this.#include = new GitIgnore(config.include.join("\n"), `${configFile} include`);
    if (config.exclude) this.#exclude = new GitIgnore(config.exclude.join("\n"), `${configFile} exclude`);
  }

  choose(): ProjectFiles {
    for (const { path, reason } of this.#input.repository.foreign) {
      this.#withheld.push({ path: `${path}/`, reason, rule: foreignRules[reason] });
    }
    for (const entry of this.#input.repository.entries) this.#decide(entry);
    this.#withheld.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { files: this.#files, withheld: this.#withheld, notes: this.#notes };
  }

  #decide(entry: RepositoryEntry): void {
    const { path, stats } = entry;
    if (!stats.isFile() && !stats.isSymbolicLink()) {
      this.#withheld.push({ path, reason: "special", rule: "is a socket, a pipe or a device" });
      return;
    }
    const secret = this.#secret(entry);
    if (secret !== undefined) {
      this.#withheld.push({ path, reason: "secret", rule: secret });
      return;
    }
    if (/\.py[co]$/.test(path)) {
      this.#withheld.push({ path, reason: "cache", rule: "bytecode is compiled for the image" });
      return;
    }
    const rule = this.#ignoredBy(path);
    if (rule !== undefined) {
      this.#leaveOut(path, rule);
      return;
    }
    this.#ship(entry);
  }

  /** The rule that keeps a file out, or undefined. */
  #ignoredBy(path: string): { source: string; folder?: string } | undefined {
    if (this.#include && gitVerdict(this.#include, path)?.ignored) return undefined;
    const excluded = this.#exclude && gitVerdict(this.#exclude, path);
    if (excluded?.ignored) return { source: excluded.source };
    const docker = this.#dockerIgnore?.match(path);
    if (docker?.ignored) return { source: docker.source };
    const git = this.#gitIgnored(path);
    if (git) return git;
    return leftOutByDefault(path, this.#input);
  }

  /** The pattern of the innermost .gitignore that speaks of the file, or of a folder above it, as git decides. */
  #gitIgnored(path: string): { source: string; folder?: string } | undefined {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const above = this.#folderIgnored(folder);
    if (above?.ignored) return { source: above.source };
    const verdict = this.#gitVerdict(path, false);
    return verdict?.ignored ? { source: verdict.source } : undefined;
  }

  #folderIgnored(folder: string): IgnoreVerdict | undefined {
    if (folder === "") return undefined;
    if (this.#gitFolders.has(folder)) return this.#gitFolders.get(folder);
    const above = this.#folderIgnored(folder.slice(0, Math.max(0, folder.lastIndexOf("/"))));
    const verdict = above?.ignored ? above : this.#gitVerdict(folder, true);
    this.#gitFolders.set(folder, verdict);
    return verdict;
  }

  #gitVerdict(path: string, directory: boolean): IgnoreVerdict | undefined {
    for (let at = path.lastIndexOf("/"); ; at = path.lastIndexOf("/", at - 1)) {
      const folder = at <= 0 ? "" : path.slice(0, at);
      const verdict = this.#gitIgnores.get(folder)?.match(folder === "" ? path : path.slice(at + 1), directory);
      if (verdict) return verdict;
      if (at <= 0) return undefined;
    }
  }

  #leaveOut(path: string, { source, folder }: { source: string; folder?: string }): void {
    if (folder === undefined) {
      this.#withheld.push({ path, reason: "ignored", rule: source });
      return;
    }
    if (this.#reported.has(folder)) return;
    this.#reported.add(folder);
    this.#withheld.push({ path: `${folder}/`, reason: "ignored", rule: source });
  }

  #secret({ path, stats }: RepositoryEntry): string | undefined {
    const named = secretByName(path);
    if (!stats.isFile() || stats.size === 0) return named;
    if (named !== undefined) return /\.pem$/i.test(path) && isPublicPem(this.#head(path)) ? undefined : named;
    return mayHoldSecret(path) ? secretByContent(path, this.#head(path)) : undefined;
  }

  #head(path: string): string {
    const buffer = Buffer.allocUnsafe(SECRET_HEAD);
    let file: number | undefined;
    try {
      file = openSync(join(this.#input.repository.root, path), "r");
      return buffer.toString("latin1", 0, readSync(file, buffer, 0, SECRET_HEAD, 0));
    } catch {
      return "";
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #ship({ path, stats }: RepositoryEntry): void {
    const lower = path.toLowerCase();
    const twin = this.#byLowerCase.get(lower);
    if (twin !== undefined)
      this.#notes.push({ what: `differs from ${twin} in upper and lower case alone`, source: path });
    this.#byLowerCase.set(lower, path);
    const file: ShippedFile = {
      path,
      size: stats.size,
      mode: (stats.mode & 0o111) === 0 ? 0o644 : 0o755,
      mtimeMs: stats.mtimeMs,
    };
    if (stats.isSymbolicLink()) {
      const link = this.#link(path);
      if (link.outside) {
        this.#withheld.push({ path, reason: "outside", rule: `links to ${link.target}, outside the project` });
        return;
      }
      file.symlink = link.target;
      file.size = 0;
      file.mode = 0o777;
    }
    if (file.size > LARGE) file.large = true;
    this.#files.push(file);
  }

  #link(path: string): { target: string; outside: boolean } {
    const target = readlinkSync(join(this.#input.repository.root, path));
    if (posix.isAbsolute(target)) return { target, outside: true };
    const lexical = posix.normalize(posix.join(posix.dirname(path), target));
    if (lexical === ".." || lexical.startsWith("../")) return { target, outside: true };
    try {
      const real = realpathSync(join(this.#input.repository.root, path));
      return { target, outside: real !== this.#realRoot && !real.startsWith(`${this.#realRoot}/`) };
    } catch {
      return { target, outside: false };
    }
  }
}

const foreignRules: Record<ForeignFolder["reason"], string> = {
  vcs: "version control",
  virtualenv: "virtual environment",
  cache: "cache",
  special: "can't be read: permission denied",
};

/** The verdict of patterns on a path or a folder above it. */
function gitVerdict(patterns: GitIgnore, path: string): IgnoreVerdict | undefined {
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    const verdict = patterns.match(path.slice(0, at), true);
    if (verdict?.ignored) return verdict;
  }
  return patterns.match(path, false);
}

/** Docker prefers `X.dockerignore` beside the Dockerfile X to .dockerignore at the context's root. */
function findDockerIgnore({ repository, dockerfiles, directory }: FilesInput): DockerIgnore | undefined {
  const own = dockerfiles.map((file) => `${file}.dockerignore`);
  for (const path of [...own, ".dockerignore"]) {
    const text = repository.text(path);
    if (text !== undefined) return new DockerIgnore(text, path);
  }
  const path = `${directory}/.dockerignore`;
  const text = directory === "" ? undefined : repository.text(path);
  return text === undefined
    ? undefined
    : new DockerIgnore(text.replaceAll(/^(!?)(?=[^\s#!])/gm, `$1${directory}/`), path);
}
