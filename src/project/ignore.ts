/** One pattern of an ignore file. */
interface Rule {
  /** As `.gitignore:3`, for the report. */
  source: string;
  negated: boolean;
  directoryOnly: boolean;
  /** Whether the path from the ignore file's folder matches, or its last segment when `basename` is set. */
  matches: (subject: string) => boolean;
  basename: boolean;
}

/** What a set of patterns says of a path; undefined when no pattern speaks of it. */
export interface IgnoreVerdict {
  ignored: boolean;
  /** File and line of the pattern that decided. */
  source: string;
}

/** One .gitignore file. Paths are taken from its folder; parents have to be asked first, as git does. */
export class GitIgnore {
  readonly #rules: Rule[];

  /** @param name how the file is called in reports: `app/.gitignore` */
  constructor(text: string, name: string) {
    this.#rules = rulesOf(text, name, gitRule);
  }

  /** The last pattern that matches decides. `path` is relative to the folder of the file. */
  match(path: string, directory: boolean): IgnoreVerdict | undefined {
    const whole = asBytes(path);
    let name: string | undefined;
    for (let index = this.#rules.length - 1; index >= 0; index--) {
      const rule = this.#rules[index] as Rule;
      if (rule.directoryOnly && !directory) continue;
      const subject = rule.basename ? (name ??= whole.slice(whole.lastIndexOf("/") + 1)) : whole;
      if (rule.matches(subject)) return { ignored: !rule.negated, source: rule.source };
    }
    return undefined;
  }
}

/** All the .gitignore files of a repository. */
export class GitIgnores {
  /** By the folder that they stand in. */
  readonly #files = new Map<string, GitIgnore>();

  add(folder: string, text: string): void {
    this.#files.set(folder, new GitIgnore(text, folder === "" ? ".gitignore" : `${folder}/.gitignore`));
  }

  /** The innermost file that speaks of the path decides. The folders above have to be asked first. */
  match(path: string, directory: boolean): IgnoreVerdict | undefined {
    for (let at = path.lastIndexOf("/"); ; at = path.lastIndexOf("/", at - 1)) {
      const folder = at === -1 ? "" : path.slice(0, at);
      const verdict = this.#files.get(folder)?.match(path.slice(at + 1), directory);
      if (verdict || at === -1) return verdict;
    }
  }
}

/** A .dockerignore file: rooted patterns in the syntax of Go's filepath.Match, with `**`, in which `!` re-includes anything. */
export class DockerIgnore {
  readonly #rules: Rule[];
  readonly #prefix: string;
  /** Whether some pattern re-includes, so that an excluded folder has to be looked into. */
  readonly reincludes: boolean;

  /** @param folder the context, from the project's root, when it isn't the root; paths outside it match nothing */
  constructor(text: string, name: string, folder = "") {
    this.#prefix = folder === "" ? "" : `${folder}/`;
    this.#rules = rulesOf(text, name, dockerRule);
    this.reincludes = this.#rules.some((rule) => rule.negated);
  }

  /**
   * The last pattern that matches the path or a folder above it decides.
   *
   * @param judged the folders above were asked before, and none is ignored: they needn't be tried when nothing re-includes
   */
  match(path: string, judged = false): IgnoreVerdict | undefined {
    if (!path.startsWith(this.#prefix)) return undefined;
    const inside = path.slice(this.#prefix.length);
    for (let index = this.#rules.length - 1; index >= 0; index--) {
      const rule = this.#rules[index] as Rule;
      if (judged && !this.reincludes ? rule.matches(inside) : matchesOrParent(rule, inside))
        return { ignored: !rule.negated, source: rule.source };
    }
    return undefined;
  }
}

function matchesOrParent(rule: Rule, path: string): boolean {
  if (rule.matches(path)) return true;
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    if (rule.matches(path.slice(0, at))) return true;
  }
  return false;
}

type RuleReader = (line: string, source: string) => Rule | undefined;

function rulesOf(text: string, name: string, read: RuleReader): Rule[] {
  const rules: Rule[] = [];
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  for (const [index, line] of lines.entries()) {
    const rule = read(line.endsWith("\r") ? line.slice(0, -1) : line, `${name}:${index + 1}`);
    if (rule) rules.push(rule);
  }
  return rules;
}

/** Stands for a star in an expression that is being built; no file name holds it. */
const STAR = "\0";

/**
 * Puts the stars in. One with another after it in the same segment takes the shortest text that what is between them fits,
 * and never tries again (a lookahead with a back reference is atomic): so `*a*a*a*a*b` takes no time on `aaaa…`.
 */
function withStars(body: string): string {
  const segments = body.split(STAR);
  let groups = 0;
  return segments.reduce((done, fixed, index) => {
    const last = index === segments.length - 1 || fixed.includes("\\/") || fixed.includes(".*");
    if (last) return `${done}[^/]*${fixed}`;
    groups++;
    return `${done}(?=([^/]*?${fixed}))\\${groups}`;
  });
}

/** gitignore(5), PATTERN FORMAT. */
function gitRule(line: string, source: string): Rule | undefined {
  if (line.startsWith("#")) return undefined;
  let pattern = withoutTrailingSpaces(asBytes(line));
  const negated = pattern.startsWith("!");
  if (negated) pattern = pattern.slice(1);
  const directoryOnly = pattern.endsWith("/");
  if (directoryOnly) pattern = pattern.slice(0, -1);
  if (pattern === "") return undefined;
  const basename = !pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  const matches = matcher(pattern, gitExpression, basename);
  return matches && { source, negated, directoryOnly, basename, matches };
}

/** Most patterns are plain names or `*.suffix`, which need no regular expression. */
function matcher(
  pattern: string,
  expressionOf: (pattern: string) => string | undefined,
  basename: boolean,
): Rule["matches"] | undefined {
  if (!/[*?[\\]/.test(pattern)) return (subject) => subject === pattern;
  const suffix = basename ? /^\*([^*?[\\/]+)$/.exec(pattern)?.[1] : undefined;
  if (suffix !== undefined) return (subject) => subject.endsWith(suffix);
  const body = expressionOf(pattern);
  if (body === undefined) return undefined;
  const expression = new RegExp(`^${withStars(body)}$`, "su");
  return (subject) => expression.test(subject);
}

/** git compares bytes: `?` and a set in brackets stand for one byte, not for one character. */
function asBytes(text: string): string {
  // eslint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

function withoutTrailingSpaces(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === " ") {
    let backslashes = 0;
    while (line[end - 2 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 1) break;
    end--;
  }
  return line.slice(0, end);
}

/** git's wildmatch as a regular expression; undefined for a pattern that can match nothing. */
function gitExpression(pattern: string): string | undefined {
  let body = "";
  let index = 0;
  while (index < pattern.length) {
    const character = pattern[index] as string;
    if (character === "*") {
      let end = index;
      while (pattern[end] === "*") end++;
      const atStart = index === 0 || pattern[index - 1] === "/";
      const next = pattern[end];
      if (end - index >= 2 && atStart && next === "/") {
        body += "(?:.*/)?";
        end++;
      } else if (end - index >= 2 && atStart && next === undefined) body += ".*";
      else body += STAR;
      index = end;
    } else if (character === "?") {
      body += "[^/]";
      index++;
    } else if (character === "[") {
      const set = bracketSet(pattern, index, true);
      if (!set) return undefined;
      body += set.expression;
      index = set.end;
    } else if (character === "\\") {
      const next = pattern.codePointAt(index + 1);
      if (next === undefined) return undefined;
      body += quoted(String.fromCodePoint(next));
      index += 1 + String.fromCodePoint(next).length;
    } else {
      const code = String.fromCodePoint(pattern.codePointAt(index) as number);
      body += quoted(code);
      index += code.length;
    }
  }
  return body;
}

/**
 * A set in brackets as a regular expression that doesn't match a slash; undefined when it isn't closed.
 *
 * @param git git's sets: `!` negates too, a leading `]` is a member, `[:alpha:]` is a class
 */
function bracketSet(pattern: string, start: number, git: boolean): { expression: string; end: number } | undefined {
  let index = start + 1;
  const negated = pattern[index] === "^" || (git && pattern[index] === "!");
  if (negated) index++;
  let members = "";
  const first = index;
  for (;;) {
    if (index >= pattern.length) return undefined;
    if (pattern[index] === "]" && !(git && index === first)) break;
    const named = git ? /^\[:([a-z]+):\]/.exec(pattern.slice(index)) : null;
    if (named) {
      const posix = posixClasses[named[1] as string];
      if (posix === undefined) return undefined;
      members += posix;
      index += named[0].length;
      continue;
    }
    const low = member(pattern, index);
    if (!low) return undefined;
    index = low.end;
    if (pattern[index] === "-" && pattern[index + 1] !== undefined && pattern[index + 1] !== "]") {
      const high = member(pattern, index + 1);
      if (!high) return undefined;
      if (low.character <= high.character) members += `${inSet(low.character)}-${inSet(high.character)}`;
      index = high.end;
    } else members += inSet(low.character);
  }
  if (members === "") return { expression: negated ? "[^/]" : "(?!)", end: index + 1 };
  return { expression: `(?!/)[${negated ? "^" : ""}${members}]`, end: index + 1 };
}

function member(pattern: string, index: number): { character: string; end: number } | undefined {
  const at = pattern[index] === "\\" ? index + 1 : index;
  const code = pattern.codePointAt(at);
  if (code === undefined) return undefined;
  const character = String.fromCodePoint(code);
  return { character, end: at + character.length };
}

const posixClasses: Record<string, string | undefined> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  blank: " \\t",
  cntrl: "\\0-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`\\{-~",
  space: " \\t-\\r",
  upper: "A-Z",
  xdigit: "0-9A-Fa-f",
};

function quoted(character: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}

function inSet(character: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(character) ? `\\${character}` : character;
}

/** The rules of Docker's build: https://docs.docker.com/build/concepts/context/#dockerignore-files */
function dockerRule(line: string, source: string): Rule | undefined {
  if (line.startsWith("#")) return undefined;
  let pattern = line.trim();
  const negated = pattern.startsWith("!");
  if (negated) pattern = pattern.slice(1).trim();
  if (pattern === "") return undefined;
  pattern = cleaned(pattern);
  if (pattern.length > 1 && pattern.startsWith("/")) pattern = pattern.slice(1);
  const matches = matcher(pattern, dockerExpression, false);
  return matches && { source, negated, directoryOnly: false, basename: false, matches };
}

/** Go's filepath.Clean. */
function cleaned(pattern: string): string {
  const rooted = pattern.startsWith("/");
  const parts: string[] = [];
  for (const part of pattern.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!rooted) parts.push("..");
  }
  return (rooted ? "/" : "") + parts.join("/") || ".";
}

function dockerExpression(pattern: string): string | undefined {
  let body = "";
  let index = 0;
  while (index < pattern.length) {
    const character = pattern[index] as string;
    if (character === "*" && pattern[index + 1] === "*") {
      index += 2;
      if (pattern[index] === "/") index++;
      body += index >= pattern.length ? ".*" : "(?:.*/)?";
    } else if (character === "*") {
      body += STAR;
      index++;
    } else if (character === "?") {
      body += "[^/]";
      index++;
    } else if (character === "[") {
      const set = bracketSet(pattern, index, false);
      if (!set) return undefined;
      body += set.expression;
      index = set.end;
    } else {
      if (character === "\\") index++;
      const code = pattern.codePointAt(index);
      if (code === undefined) return undefined;
      body += quoted(String.fromCodePoint(code));
      index += String.fromCodePoint(code).length;
    }
  }
  return body;
}
