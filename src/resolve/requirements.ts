import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Inputs } from "./inputs.ts";
import { parseRequirement, type Requirement } from "./pep508.ts";
import { sha256Of } from "./pins.ts";
import { didYouMean } from "../did-you-mean.ts";
import { normalizeName } from "../wheel/filename.ts";

/** One requirement with its place. Exactly one of `requirement` and `location` is set. */
export interface RequirementEntry {
  requirement?: Requirement;
  /** A path (from the project's root) or URL without a name in front: `./lib`, `wheels/a-1-py3-none-any.whl`. */
  location?: string;
  /** Extras behind a location: `./lib[extra]`. */
  locationExtras?: string[];
  editable: boolean;
  /** SHA-256 in hex. */
  hashes: string[];
  /** `requirements/api.txt:12`. */
  source: string;
  /** Who asks for it, as uv and pip-compile note behind it: `# via starlette`. */
  via: string[];
}

/** What requirements files say together, includes followed. */
export interface RequirementsSet {
  /** Folder of the project from its root. */
  directory: string;
  entries: RequirementEntry[];
  constraints: RequirementEntry[];
  /** The last one wins, as in pip. */
  indexUrl?: string;
  extraIndexUrls: string[];
  findLinks: string[];
  noIndex: boolean;
  /** Names, or `:all:`. */
  noBinary: Set<string>;
  onlyBinary: Set<string>;
}

/**
 * Reads requirements files as pip does: includes, constraints, hashes, continuation lines, comments, `${VARIABLES}`.
 * @param files paths from the project's root
 * @throws SheafError SHEAF_REQUIREMENTS with file and line
 */
export function readRequirements(files: string[], inputs: Inputs, directory = ""): RequirementsSet {
  const set: RequirementsSet = {
    directory,
    entries: [],
    constraints: [],
    extraIndexUrls: [],
    findLinks: [],
    noIndex: false,
    noBinary: new Set(),
    onlyBinary: new Set(),
  };
  const reader = new RequirementsReader(set, inputs);
  for (const file of files) reader.readFile({ file, into: set.entries });
  return set;
}

interface Include {
  file: string;
  into: RequirementEntry[];
  /** `requirements.txt:3`, where it is included. */
  includedAt?: string;
  via?: string[];
}

/** More includes than any repository has: only loops through changing names get there. */
const mostFiles = 1000;

class RequirementsReader {
  readonly #set: RequirementsSet;
  readonly #inputs: Inputs;
  readonly #seen = new Set<string>();

  constructor(set: RequirementsSet, inputs: Inputs) {
    this.#set = set;
    this.#inputs = inputs;
  }

  readFile(include: Include): void {
    const key = `${include.into === this.#set.constraints ? "c" : "r"} ${include.file}`;
    // A file that includes itself, or is included twice, adds nothing the second time.
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#seen.size > mostFiles)
      throw new SheafError("SHEAF_REQUIREMENTS", `more than ${mostFiles} requirements files`);
    const text = this.#inputs.read(include.file);
    if (text === undefined) throw missing(include, this.#inputs.root);
    for (const { line, number, comments } of logicalLines(text)) {
      const source = `${include.file}:${number}`;
      const expanded = this.#expand(line);
      try {
        this.#readLine(expanded, { ...include, includedAt: source, via: viaOf(comments) });
      } catch (error) {
        throw located(error, source, expanded);
      }
    }
  }

  /** `${NAME}` as pip expands it; an unset variable stays as it is. */
  #expand(line: string): string {
    return line.replace(/\$\{([A-Z0-9_]+)\}/g, (all, name: string) => this.#inputs.variable(name) ?? all);
  }

  #readLine(line: string, place: Include): void {
    const { head, options } = splitOptions(line);
    const relative = (target: string) => path.posix.join(path.posix.dirname(place.file), target);
    const hashes: string[] = [];
    let editable: string | undefined;
    for (const { name, value } of options) {
      switch (name) {
        case "-r":
        case "--requirement":
          this.readFile({ ...place, file: includePath(value, relative) });
          break;
        case "-c":
        case "--constraint":
          this.readFile({ ...place, file: includePath(value, relative), into: this.#set.constraints });
          break;
        case "-e":
        case "--editable":
          editable = value;
          break;
        case "--hash":
          hashes.push(...hashOf(value));
          break;
        case "-i":
        case "--index-url":
          this.#set.indexUrl = value;
          break;
        case "--extra-index-url":
          this.#set.extraIndexUrls.push(value);
          break;
        case "-f":
        case "--find-links":
          this.#set.findLinks.push(isUrl(value) ? value : relative(value));
          break;
        case "--no-index":
          this.#set.noIndex = true;
          break;
        case "--no-binary":
          addNames(this.#set.noBinary, value);
          break;
        case "--only-binary":
          addNames(this.#set.onlyBinary, value);
          break;
        default:
          if (!ignored.has(name)) throw new SheafError("SHEAF_REQUIREMENTS", `unknown option ${name}`);
      }
    }
    const written = editable ?? head;
    if (!written) return;
    const base = {
      editable: editable !== undefined,
      hashes,
      source: place.includedAt ?? place.file,
      via: place.via ?? [],
    };
    place.into.push({ ...readEntry(written, (target) => this.#locate(target, relative)), ...base });
  }

  /** uv sees a path from the file that it stands in, pip from the working directory: whichever is there is meant. */
  #locate(target: string, relative: (target: string) => string): string {
    const fromFile = relative(target);
    const fromDirectory = path.posix.join(this.#set.directory, target);
    return !this.#inputs.exists(fromFile) && this.#inputs.exists(fromDirectory) ? fromDirectory : fromFile;
  }
}

const ignored = new Set([
  "--pre",
  "--prefer-binary",
  "--require-hashes",
  "--trusted-host",
  "--use-feature",
  "--config-settings",
  "--config-setting",
  "--global-option",
  "--install-option",
  "--emit-index-url",
]);

const flags = new Set(["--pre", "--prefer-binary", "--require-hashes", "--no-index", "--emit-index-url"]);

function includePath(value: string, relative: (target: string) => string): string {
  if (isUrl(value)) {
    throw new SheafError(
      "SHEAF_REQUIREMENTS",
      `${hideCredentials(value)} is fetched anew each time, so it pins nothing`,
      {
        hint: "save it beside this file and include it by its path",
      },
    );
  }
  return path.posix.isAbsolute(value) ? value : relative(value);
}

function hashOf(value: string): string[] {
  const hex = sha256Of(value);
  if (hex) return [hex];
  // sha384 and sha512 are legal beside sha256; alone they can't name a blob.
  if (/^sha(?:384|512):[0-9a-f]+$/i.test(value)) return [];
  throw new SheafError("SHEAF_REQUIREMENTS", `${JSON.stringify(value)} is not a hash such as sha256:<64 hex digits>`);
}

function addNames(names: Set<string>, value: string): void {
  for (const name of value.split(",")) {
    if (name === ":none:") names.clear();
    else if (name) names.add(normalizeName(name));
  }
}

function readEntry(
  written: string,
  relative: (target: string) => string,
): Pick<RequirementEntry, "requirement" | "location" | "locationExtras"> {
  const isLocation =
    isUrl(written) || /^\.{0,2}\//.test(written) || /^\.{1,2}$/.test(written) || /\.(?:whl|tar\.gz|zip)$/.test(written);
  if (!isLocation || /^[\w.-]+\s*(?:\[[^\]]*\])?\s*@\s/.test(written))
    return { requirement: parseRequirement(written) };
  const [, place = written, extras] = /^(.*?)(?:\[([^\]]*)\])?$/.exec(written.replace(/\s*;.*$/, "")) ?? [];
  return {
    location: isUrl(place) || path.posix.isAbsolute(place) ? place : relative(place),
    ...(extras && { locationExtras: extras.split(",").map((extra) => extra.trim()) }),
  };
}

function isUrl(text: string): boolean {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/|file:|git\+|hg\+|svn\+|bzr\+)/i.test(text);
}

export interface LogicalLine {
  line: string;
  /** Of its first physical line, from 1. */
  number: number;
  /** The comments in it and behind it, up to the next line with content. */
  comments: string[];
}

/** Joins continued lines and takes comments out, as pip's req_file does. */
export function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = [];
  let joined = "";
  let start = 0;
  const physical = text.split(/\r\n|\r|\n/);
  for (const [index, line] of physical.entries()) {
    if (!joined) start = index + 1;
    const comment = /(?:^|\s)#(.*)$/.exec(line)?.[1];
    if (line.endsWith("\\") && comment === undefined && index < physical.length - 1) {
      joined += `${line.slice(0, -1)} `;
      continue;
    }
    // A comment ends a continued line.
    joined += line.endsWith("\\") ? line.slice(0, -1) : line;
    const content = joined.replace(/(^|\s+)#.*$/, "").trim();
    if (content) lines.push({ line: content, number: start, comments: [] });
    if (comment !== undefined) lines.at(-1)?.comments.push(comment.trim());
    joined = "";
  }
  return lines;
}

/** Names behind `via`; `-r api.in` and `demo (pyproject.toml)` stand for the project itself. */
export function viaOf(comments: string[]): string[] {
  const start = comments.findIndex((comment) => /^via\b/.test(comment));
  if (start < 0) return [];
  const names = [(comments[start] ?? "").replace(/^via\s*/, ""), ...comments.slice(start + 1)];
  return names.flatMap((name) => /^([A-Za-z0-9][\w.-]*)(?:\s*\(.*\))?$/.exec(name.trim())?.[1]?.toLowerCase() ?? []);
}

interface LineOption {
  name: string;
  value: string;
}

/** `a==1 --hash=x --hash y` → head and options. Options begin at the first word that starts with a dash. */
function splitOptions(line: string): { head: string; options: LineOption[] } {
  const words = line.split(/\s+/);
  const first = words.findIndex((word) => word.startsWith("-"));
  if (first < 0) return { head: line, options: [] };
  const options: LineOption[] = [];
  for (let index = first; index < words.length; index++) {
    const word = words[index] ?? "";
    const [, name = word, attached] = /^(--[a-z-]+)=(.*)$/.exec(word) ?? /^(-[a-z])(?!-)=?(.+)$/.exec(word) ?? [];
    if (!name.startsWith("-"))
      throw new SheafError("SHEAF_REQUIREMENTS", `${JSON.stringify(word)} stands where an option is expected`);
    if (attached !== undefined || flags.has(name)) {
      options.push({ name, value: unquote(attached ?? "") });
      continue;
    }
    index += 1;
    const value = words[index];
    if (value === undefined) throw new SheafError("SHEAF_REQUIREMENTS", `${name} needs a value`);
    options.push({ name, value: unquote(value) });
  }
  return { head: words.slice(0, first).join(" "), options };
}

function unquote(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, "$2");
}

/** The same error with its place, and the variable that would have filled a gap in the line. */
function located(error: unknown, source: string, line: string): unknown {
  if (!(error instanceof SheafError)) return error;
  if (error.details.some(([label]) => label === "in" || label === "included at")) return error;
  const unset = /\$\{([A-Z0-9_]+)\}/.exec(line)?.[1];
  return new SheafError(error.code as `SHEAF_${string}`, error.message, {
    details: [["in", source], ...error.details],
    hint: unset === undefined ? error.hints : [...error.hints, `${unset} is not set in the environment`],
    cause: error,
  });
}

function missing(include: Include, root: string): SheafError {
  const folder = path.posix.dirname(include.file);
  const names = listFolder(path.resolve(root, folder));
  const near = didYouMean(path.posix.basename(include.file), names);
  return new SheafError("SHEAF_REQUIREMENTS", `there is no ${include.file}`, {
    details: include.includedAt ? [["included at", include.includedAt]] : [],
    hint: near === undefined ? [] : `did you mean ${path.posix.join(folder, near)}?`,
  });
}

function listFolder(folder: string): string[] {
  try {
    return fs.readdirSync(folder).filter((name) => /\.(?:txt|in)$/.test(name));
  } catch {
    return [];
  }
}

/** A URL as it may be shown: without user and password. */
export function hideCredentials(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1");
}
