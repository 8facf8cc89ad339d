/** One instruction of a Dockerfile, with its lines joined. */
export interface Instruction {
  /** In upper case. */
  keyword: string;
  /** What follows the keyword and its flags, continuation lines joined, comments taken out. */
  text: string;
  /** `--from=builder` as `from: "builder"`. */
  flags: Record<string, string>;
  /** The exec form, when the text is a JSON array of strings. */
  json?: string[];
  /** Bodies of here-documents. */
  heredocs: { name: string; body: string }[];
  /** First line, from 1. */
  line: number;
}

/** A stage: from one FROM to the next. */
export interface Stage {
  index: number;
  name?: string;
  /** Image or earlier stage, with build arguments put in. */
  base: string;
  platform?: string;
  line: number;
  instructions: Instruction[];
}

export interface Dockerfile {
  /** The escape character, `\` unless a directive says otherwise. */
  escape: string;
  instructions: Instruction[];
  stages: Stage[];
  /** Defaults of the ARGs before the first FROM. */
  globals: Map<string, string>;
}

const MAX_LINES = 100_000;

/**
 * Parses a Dockerfile after Docker's reference: directives, continuation, comments inside it, here-documents, exec form.
 * Never throws; a line that is no instruction is kept with its first word as the keyword.
 *
 * @param buildArgs values that win over the defaults of ARG
 */
export function parseDockerfile(text: string, buildArgs: ReadonlyMap<string, string> = new Map()): Dockerfile {
  const lines = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .slice(0, MAX_LINES);
  const escape = escapeDirective(lines);
  const instructions = readInstructions(lines, escape);
  const globals = new Map<string, string>();
  const stages: Stage[] = [];
  for (const instruction of instructions) {
    const stage = stages.at(-1);
    if (instruction.keyword === "FROM") stages.push(openStage(instruction, { index: stages.length, globals, escape }));
    else if (stage) stage.instructions.push(instruction);
    else if (instruction.keyword === "ARG") {
      for (const [name, value] of argumentsOf(instruction, escape)) {
        const chosen =
          buildArgs.get(name) ??
          (value === undefined ? undefined : substitute(value, (key) => globals.get(key), escape));
        if (chosen !== undefined) globals.set(name, chosen);
      }
    }
  }
  return { escape, instructions, stages, globals };
}

/** Directives stand at the very top, one a line, before any comment or instruction. */
function escapeDirective(lines: string[]): string {
  for (const line of lines) {
    const directive = /^#\s*([A-Za-z]\w*)\s*=\s*(.+?)\s*$/.exec(line);
    if (!directive) return "\\";
    if (directive[1]?.toLowerCase() === "escape") return directive[2] === "`" ? "`" : "\\";
  }
  return "\\";
}

function readInstructions(lines: string[], escape: string): Instruction[] {
  const instructions: Instruction[] = [];
  const continued = escape === "`" ? /`[ \t]*$/ : /\\[ \t]*$/;
  for (let index = 0; index < lines.length; index++) {
    if (/^\s*(?:#|$)/.test(lines[index] as string)) continue;
    const start = index;
    let text = (lines[index] as string).trimStart();
    while (continued.test(text) && index + 1 < lines.length) {
      text = text.replace(continued, "");
      index++;
      // Comments and blank lines inside an instruction don't end it.
      while (index < lines.length && /^\s*(?:#|$)/.test(lines[index] as string)) index++;
      text += lines[index] ?? "";
    }
    text = text.replace(continued, "").trimEnd();
    const instruction = instructionOf(text, start + 1);
    for (const word of heredocWords(instruction)) {
      const body: string[] = [];
      for (index++; index < lines.length; index++) {
        const line = word.tabs ? (lines[index] as string).replace(/^\t+/, "") : (lines[index] as string);
        if (line === word.name) break;
        body.push(line);
      }
      instruction.heredocs.push({ name: word.name, body: body.join("\n") });
    }
    instructions.push(instruction);
  }
  return instructions;
}

function instructionOf(line: string, number: number): Instruction {
  const [, word = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  const keyword = word.toUpperCase();
  const flags: Record<string, string> = {};
  let text = rest;
  if (keyword !== "ENV" && keyword !== "LABEL") {
    for (let flag = flagOf(text); flag; flag = flagOf(text)) {
      flags[flag[1] as string] = flag[2] ?? "true";
      text = text.slice(flag[0].length);
    }
  }
  return {
    keyword,
    text,
    flags,
    json: jsonForm(keyword === "HEALTHCHECK" ? text.replace(/^CMD\s+/i, "") : text),
    heredocs: [],
    line: number,
  };
}

function flagOf(text: string): RegExpExecArray | null {
  return /^--([a-z][a-z-]*)(?:=("[^"]*"|\S*))?(?:\s+|$)/.exec(text);
}

function jsonForm(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

function heredocWords({ keyword, text, json }: Instruction): { name: string; tabs: boolean }[] {
  if (json || !/^(?:RUN|COPY|ADD)$/.test(keyword)) return [];
  return [...text.matchAll(/(?<![<\w"'])\d*<<(-?)(["']?)([A-Za-z_]\w*)\2(?=\s|$|[;&|>)])/g)].map(
    ([, dash, , name = ""]) => ({ name, tabs: dash === "-" }),
  );
}

function openStage(
  instruction: Instruction,
  { index, globals, escape }: { index: number; globals: Map<string, string>; escape: string },
): Stage {
  const [image = "", as, name] = instruction.text.split(/\s+/);
  const stage: Stage = {
    index,
    base: substitute(image, (key) => globals.get(key), escape),
    line: instruction.line,
    instructions: [],
  };
  if (as?.toUpperCase() === "AS" && name !== undefined) stage.name = name.toLowerCase();
  if (instruction.flags["platform"] !== undefined) stage.platform = instruction.flags["platform"];
  return stage;
}

/** The stage that another name or number stands for, among those before a stage. */
export function findStage(dockerfile: Dockerfile, name: string, before = dockerfile.stages.length): Stage | undefined {
  const earlier = dockerfile.stages.slice(0, before);
  const named = earlier.findLast((stage) => stage.name === name.toLowerCase());
  return named ?? (/^\d+$/.test(name) ? earlier[Number(name)] : undefined);
}

/** Names and values of an ENV or LABEL: `A=1 B="2 3"`, or the old `A 1`. */
export function pairsOf({ text }: Instruction, escape: string): [name: string, value: string][] {
  if (!/^[^\s=]+=/.test(text)) {
    const [, name = "", value = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
    return name === "" ? [] : [[name, value]];
  }
  return dockerWords(text, escape).flatMap((word) => {
    const at = word.indexOf("=");
    return at > 0 ? [[word.slice(0, at), word.slice(at + 1)] as [string, string]] : [];
  });
}

/** Names and defaults of an ARG. */
export function argumentsOf({ text }: Instruction, escape: string): [name: string, value: string | undefined][] {
  return dockerWords(text, escape).map((word) => {
    const at = word.indexOf("=");
    return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
  });
}

/** Words of an instruction's text, split at blanks outside quotes. Quotes stay, `unquote` takes them off. */
export function dockerWords(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let index = 0; index < text.length; index++) {
    const character = text[index] as string;
    if (character === escape && quote !== "'" && index + 1 < text.length) word += character + (text[++index] as string);
    else if (quote !== "") {
      word += character;
      if (character === quote) quote = "";
    } else if (character === '"' || character === "'") {
      word += character;
      quote = character;
    } else if (!/\s/.test(character)) word += character;
    else if (word !== "") {
      words.push(word);
      word = "";
    }
  }
  return word === "" ? words : [...words, word];
}

/**
 * Puts variables in and takes quotes and escapes off, as BuildKit does for ENV, COPY and their like: `$a`, `${a}`,
 * `${a:-default}`, `${a:+other}`, `${a/pattern/other}`, `${a#start}`, `${a%end}`. A name without a value gives nothing.
 */
export function substitute(text: string, lookup: (name: string) => string | undefined, escape: string): string {
  let result = "";
  let quote = "";
  let index = 0;
  while (index < text.length) {
    const character = text[index] as string;
    if (character === escape && quote !== "'" && index + 1 < text.length) {
      const next = text[index + 1] as string;
      // Inside double quotes an escape before an ordinary character stays.
      result += quote === '"' && !/["$\\`]/.test(next) ? character + next : next;
      index += 2;
    } else if (quote === "" && (character === '"' || character === "'")) {
      quote = character;
      index++;
    } else if (character === quote) {
      quote = "";
      index++;
    } else if (character === "$" && quote !== "'") {
      const variable = variableAt(text, index);
      result += variable ? expand(variable, lookup, escape) : "$";
      index += variable ? variable.length : 1;
    } else {
      result += character;
      index++;
    }
  }
  return result;
}

interface Variable {
  name: string;
  operator?: string;
  word: string;
  length: number;
}

function variableAt(text: string, start: number): Variable | undefined {
  const plain = /^\$([A-Za-z_]\w*|\d)/.exec(text.slice(start, start + 256));
  if (plain) return { name: plain[1] as string, word: "", length: plain[0].length };
  const braced = /^\$\{([A-Za-z_]\w*)(:?[-+?]|\/\/?|##?|%%?)?/.exec(text.slice(start, start + 256));
  if (!braced) return undefined;
  let depth = 1;
  let index = start + braced[0].length;
  for (; index < text.length; index++) {
    if (text.startsWith("${", index)) depth++;
    else if (text[index] === "}" && --depth === 0) break;
  }
  return {
    name: braced[1] as string,
    operator: braced[2],
    word: text.slice(start + braced[0].length, index),
    length: index + 1 - start,
  };
}

function expand(
  { name, operator, word }: Variable,
  lookup: (name: string) => string | undefined,
  escape: string,
): string {
  const value = lookup(name);
  const set = operator?.startsWith(":") ? value !== undefined && value !== "" : value !== undefined;
  if (operator?.endsWith("-")) return set ? (value as string) : substitute(word, lookup, escape);
  if (operator?.endsWith("+")) return set ? substitute(word, lookup, escape) : "";
  if (operator === undefined || operator.endsWith("?")) return value ?? "";
  return edit(value ?? "", operator, substitute(word, lookup, escape));
}

/** `${a/pattern/other}`, with two slashes everywhere; `${a#start}` and `${a%end}`, doubled for as much as fits. */
function edit(value: string, operator: string, word: string): string {
  if (value.length + word.length > longestEdited) return value;
  if (operator.startsWith("/")) {
    const slash = word.indexOf("/");
    const [pattern, other] = slash === -1 ? [word, ""] : [word.slice(0, slash), word.slice(slash + 1)];
    if (pattern === "") return value;
    return value.replace(new RegExp(globSource(pattern, true), operator === "//" ? "gs" : "s"), () => other);
  }
  const isLongest = operator.length === 2;
  if (operator.startsWith("#")) return value.replace(new RegExp(`^${globSource(word, isLongest)}`, "s"), "");
  const end = new RegExp(`^${globSource(word, true)}$`, "s");
  const starts = Array.from({ length: value.length + 1 }, (_, index) => (isLongest ? index : value.length - index));
  const start = starts.find((index) => end.test(value.slice(index)));
  return start === undefined ? value : value.slice(0, start);
}

/** Nobody's Dockerfile has more, and a pattern of hundreds of stars would take for ever. */
const longestEdited = 512;

/** A shell's pattern as a regular expression: `*` and `?`. */
function globSource(pattern: string, isGreedy: boolean): string {
  return pattern
    .replaceAll(/[\\^$.|+()[\]{}]/g, "\\$&")
    .replaceAll("?", ".")
    .replaceAll(/\*+/g, isGreedy ? ".*" : ".*?");
}
