import { closeSync, openSync, readlinkSync, readSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import type { SheafConfig } from "./config/schema.ts";
import { fileLeftOut, folderLeftOut, type DefaultsInput } from "./default-files.ts";
import { DockerIgnore, GitIgnore, GitIgnores } from "./ignore.ts";
import type { EvidenceNote, ShippedFile, WithheldFile } from "./project.ts";
import type { ForeignFolder, Repository, RepositoryEntry } from "./repository.ts";
import { isPublicPem, mayHoldSecret, SECRET_HEAD, secretByContent, secretByName } from "./secrets.ts";
import { byPath } from "../order.ts";

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

/**
 * Says which files go into the image, and why the others don't: `include` of the configuration wins over its `exclude`, the
 * ignore files and the defaults, in this order. Secrets never ship, whatever the configuration says. A folder that is left
 * out whole is reported as one.
 */
export function chooseFiles(input: FilesInput): ProjectFiles {
  return new Chooser(input).choose();
}

class Chooser {
  readonly #input: FilesInput;
  readonly #defaults: DefaultsInput;
  readonly #files: ShippedFile[] = [];
  readonly #withheld: WithheldFile[] = [];
  readonly #notes: EvidenceNote[] = [];
  readonly #gitIgnores = new GitIgnores();
  readonly #dockerIgnore: DockerIgnore | undefined;
  readonly #include: GitIgnore | undefined;
  readonly #exclude: GitIgnore | undefined;
  readonly #realRoot: string;
  readonly #byLowerCase = new Map<string, string>();
  /** Folders already judged: the rule that leaves all of one out, or undefined. */
  readonly #folders = new Map<string, FolderRule | undefined>([["", undefined]]);
  readonly #reported = new Set<string>();

  constructor(input: FilesInput) {
    this.#input = input;
    const { repository, config, configFile = "configuration" } = input;
    this.#defaults = input;
    this.#realRoot = realpathSync(repository.root);
    for (const { path } of repository.entries) {
      if (path !== ".gitignore" && !path.endsWith("/.gitignore")) continue;
      const text = repository.text(path);
      if (text !== undefined) this.#gitIgnores.add(folderOf(path), text);
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
    this.#withheld.sort(byPath);
    return { files: this.#files, withheld: this.#withheld, notes: this.#notes };
  }

  #decide(entry: RepositoryEntry): void {
    const { path } = entry;
    const folder = this.#folderRule(folderOf(path));
    const included = this.#include !== undefined && patternsIgnore(this.#include, path) !== undefined;
    if (folder && !included) return this.#reportFolder(folder);
    if (entry.type === "special") return this.#withhold(path, "special", "is a socket, a pipe or a device");
    const named = secretByName(path);
    if (named !== undefined && !this.#isPublic(path)) return this.#withhold(path, "secret", named);
    if (/\.py[co]$/.test(path)) return this.#withhold(path, "cache", "bytecode is compiled for the image");
    const rule = included ? undefined : this.#fileRule(path);
    if (rule !== undefined) return this.#withhold(path, "ignored", rule);
    this.#ship(entry);
  }

  #withhold(path: string, reason: WithheldFile["reason"], rule: string): void {
    this.#withheld.push({ path, reason, rule });
  }

  #reportFolder({ folder, rule }: FolderRule): void {
    if (this.#reported.has(folder)) return;
    this.#reported.add(folder);
    this.#withhold(`${folder}/`, "ignored", rule);
  }

  /** The rule that leaves a folder, or one above it, out whole. */
  #folderRule(folder: string): FolderRule | undefined {
    if (this.#folders.has(folder)) return this.#folders.get(folder);
    const rule = this.#folderRule(folderOf(folder)) ?? this.#ownFolderRule(folder);
    this.#folders.set(folder, rule);
    return rule;
  }

  #ownFolderRule(folder: string): FolderRule | undefined {
    const excluded = this.#exclude?.match(folder, true);
    if (excluded?.ignored) return { folder, rule: excluded.source };
    const docker = this.#dockerIgnore?.reincludes ? undefined : this.#dockerIgnore?.match(folder, true);
    if (docker?.ignored) return { folder, rule: docker.source };
    const git = this.#gitIgnores.match(folder, true);
    if (git?.ignored) return { folder, rule: git.source };
    const left = folderLeftOut(folder, this.#defaults);
    return left === undefined ? undefined : { folder, rule: left };
  }

  #fileRule(path: string): string | undefined {
    const excluded = this.#exclude?.match(path, false);
    if (excluded?.ignored) return excluded.source;
    const docker = this.#dockerIgnore?.match(path, true);
    if (docker?.ignored) return docker.source;
    const git = this.#gitIgnores.match(path, false);
    return git?.ignored ? git.source : fileLeftOut(path, this.#defaults);
  }

  /** Names that often hold secrets, by contents that show that this one doesn't. */
  #isPublic(path: string): boolean {
    if (/\.pem$/i.test(path)) return isPublicPem(this.#head(path));
    return path.endsWith(".npmrc") && !/_auth|_password|token/i.test(this.#head(path));
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

  #ship({ path, type }: RepositoryEntry): void {
    const stats = this.#input.repository.stats(path);
    if (!stats) return;
    if (type === "file" && mayHoldSecret(path, stats.size)) {
      const secret = secretByContent(path, this.#head(path));
      if (secret !== undefined) return this.#withhold(path, "secret", secret);
    }
    const file: ShippedFile = {
      path,
      size: stats.size,
      mode: (stats.mode & 0o111) === 0 ? 0o644 : 0o755,
      mtimeMs: stats.mtimeMs,
    };
    if (type === "symlink") {
      const link = this.#link(path);
      if (link.outside) return this.#withhold(path, "outside", `links to ${link.target}, outside the project`);
      Object.assign(file, { symlink: link.target, size: 0, mode: 0o777 });
    }
    if (file.size > LARGE) file.large = true;
    this.#files.push(file);
    this.#compareCase(path);
  }

  #compareCase(path: string): void {
    const lower = path.toLowerCase();
    const twin = this.#byLowerCase.get(lower);
    if (twin !== undefined)
      this.#notes.push({ what: `differs from ${twin} in upper and lower case alone`, source: path });
    this.#byLowerCase.set(lower, path);
  }

  /** A link stays when neither its text nor what it comes to leads out of the project. */
  #link(path: string): { target: string; outside: boolean } {
    const file = join(this.#input.repository.root, path);
    const target = readlinkSync(file);
    const lexical = posix.normalize(posix.join(posix.dirname(path), target));
    if (posix.isAbsolute(target) || lexical === ".." || lexical.startsWith("../")) return { target, outside: true };
    try {
      const real = realpathSync(file);
      return { target, outside: real !== this.#realRoot && !real.startsWith(`${this.#realRoot}/`) };
    } catch {
      return { target, outside: false };
    }
  }
}

interface FolderRule {
  /** The highest folder that the rule leaves out. */
  folder: string;
  rule: string;
}

const foreignRules: Record<ForeignFolder["reason"], string> = {
  vcs: "version control",
  virtualenv: "virtual environment",
  cache: "cache",
  special: "can't be read: permission denied",
};

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** The pattern that names a path or a folder above it. */
function patternsIgnore(patterns: GitIgnore, path: string): string | undefined {
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    const verdict = patterns.match(path.slice(0, at), true);
    if (verdict?.ignored) return verdict.source;
  }
  const verdict = patterns.match(path, false);
  return verdict?.ignored ? verdict.source : undefined;
}

/** Docker prefers `X.dockerignore` beside the Dockerfile X to .dockerignore at the context's root. */
function findDockerIgnore({ repository, dockerfiles, directory }: FilesInput): DockerIgnore | undefined {
  for (const path of [...dockerfiles.map((file) => `${file}.dockerignore`), ".dockerignore"]) {
    const text = repository.text(path);
    if (text !== undefined) return new DockerIgnore(text, path);
  }
  if (directory === "") return undefined;
  const path = `${directory}/.dockerignore`;
  const text = repository.text(path);
  return text === undefined ? undefined : new DockerIgnore(text, path, directory);
}
