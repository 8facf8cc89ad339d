import { byCodeUnit } from "../order.ts";
import { COLON, EQUALS, OPEN_ROUND, OPEN_SQUARE } from "./python/characters.ts";
import { closing, nextOf } from "./python/brackets.ts";
import { type CallExpression, type Expression, ExpressionReader, stringValue } from "./python/expression.ts";
import { PythonLexer } from "./python/lex.ts";
import { token } from "./python/token.ts";

/** A variable of the environment that the code reads. */
export interface EnvironmentSetting {
  /** `DATABASE_URL` */
  name: string;
  /** Nothing in the code stands in for it. */
  required: boolean;
  /** What the code takes when it is not set, where that is a literal; as it would stand in the environment. */
  default?: string;
  /** Its type or its name says that its value is nobody's business. */
  secret: boolean;
  /** `app/settings.py:19` */
  source: string;
}

/** Files without these words read no settings: most are never lexed. */
const worthReading = /BaseSettings|environ|getenv/;

/** Variables that the platform sets, or that mean something to a shell. */
const platforms = /^(?:PATH|HOME|USER|PWD|LANG|LC_\w+|TZ|TERM|SHELL|HOSTNAME|TMPDIR|PYTHON\w*|VIRTUAL_ENV|CI|PORT)$/;

const secretName =
  /(?:^|_)(?:SECRETS?|PASSWORD|PASSWD|PASS|PASSPHRASE|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ENCRYPTION_?KEY|SIGNING_?KEY|AUTH_?KEY|CREDENTIALS?|SALT|PEPPER|DSN)(?:$|_(?:KEY|TOKEN|HEX|B64|BASE64|VALUE)$)|(?:SECRET|PRIVATE)_?(?:ACCESS_?)?KEY/;

/**
 * The variables that a project's code reads: fields of pydantic's `BaseSettings` classes, and `os.environ["NAME"]`,
 * `os.environ.get("NAME")`, `os.getenv("NAME")`. Nothing is run; names that are computed are not found. Sorted by name; a
 * field says more than a bare reading of the same variable.
 *
 * @param sources path from the project's root → source of the modules that ship
 */
export function settingsFields(sources: ReadonlyMap<string, string>): EnvironmentSetting[] {
  const found = new Map<string, EnvironmentSetting & { rank: number }>();
  const classes = settingsClasses(sources);
  for (const [file, source] of [...sources].toSorted(([a], [b]) => byCodeUnit(a, b))) {
    if (!worthReading.test(source) && ![...classes].some((name) => source.includes(name))) continue;
    for (const setting of fieldsOf(file, source, classes)) {
      const known = found.get(setting.name);
      if (!known || setting.rank > known.rank) found.set(setting.name, setting);
    }
  }
  return [...found.values()]
    .filter(({ name }) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !platforms.test(name))
    .map(({ rank: _rank, ...setting }) => setting)
    .toSorted((a, b) => byCodeUnit(a.name, b.name));
}

/** Names of classes that are `BaseSettings`, also through classes of the project between. */
function settingsClasses(sources: ReadonlyMap<string, string>): Set<string> {
  const bases = new Map<string, string[]>();
  for (const source of sources.values()) {
    for (const [, name = "", list = ""] of source.matchAll(/^class[ \t]+(\w+)[ \t]*\(([^()]{1,400})\)[ \t]*:/gm)) {
      bases.set(
        name,
        list.split(",").map((each) => each.trim().split(".").at(-1) ?? ""),
      );
    }
  }
  const classes = new Set(["BaseSettings"]);
  for (let grown = true; grown;) {
    grown = false;
    for (const [name, names] of bases) {
      if (classes.has(name) || !names.some((each) => classes.has(each))) continue;
      classes.add(name);
      grown = true;
    }
  }
  return classes;
}

type Found = EnvironmentSetting & { rank: number };

function fieldsOf(file: string, source: string, classes: ReadonlySet<string>): Found[] {
  const line = new PythonLexer(source);
  const found: Found[] = [];
  let block: { indent: number; body?: number; fields: Field[]; prefix: string } | undefined;
  const close = (): void => {
    if (block) found.push(...block.fields.map((field) => settingOf(field, block?.prefix ?? "", file)));
    block = undefined;
  };
  while (line.next()) {
    if (block && line.indent <= block.indent) close();
    if (opensSettings(line, classes)) block = { indent: line.indent, fields: [], prefix: "" };
    else if (block) {
      block.body ??= line.indent;
      block.prefix = prefixIn(line) ?? block.prefix;
      const field = line.indent === block.body ? readField(line) : undefined;
      if (field) block.fields.push(field);
    }
    found.push(...readings(line, file));
  }
  close();
  return found;
}

function opensSettings(line: PythonLexer, classes: ReadonlySet<string>): boolean {
  if (line.kinds[0] !== token.name || line.text(0) !== "class" || line.kinds[2] !== OPEN_ROUND) return false;
  const end = closing(line, 2);
  for (let index = 3; index < end; index += 1) {
    if (line.kinds[index] === token.name && classes.has(line.text(index))) return true;
  }
  return false;
}

/** `env_prefix="APP_"`, in model_config or in a class Config. */
function prefixIn(line: PythonLexer): string | undefined {
  for (let index = 0; index + 2 < line.count; index += 1) {
    if (line.kinds[index] !== token.name || line.kinds[index + 1] !== EQUALS) continue;
    if (line.text(index) === "env_prefix" && line.kinds[index + 2] === token.string)
      return stringValue(line.text(index + 2));
  }
  return undefined;
}

interface Field {
  name: string;
  annotation: string;
  value: Expression | undefined;
  /** The value's text, for numbers and the like. */
  text: string;
  line: number;
}

/** `name: annotation = value` */
function readField(line: PythonLexer): Field | undefined {
  if (line.kinds[0] !== token.name || line.kinds[1] !== COLON) return undefined;
  const name = line.text(0);
  const assigned = nextOf(line, 2, EQUALS);
  const annotation = line.source.slice(line.starts[2], line.ends[Math.min(assigned, line.count) - 1]);
  if (/^model_config$|^_/.test(name) || /ClassVar/.test(annotation) || !/^[A-Za-z]\w*$/.test(name)) return undefined;
  const value = assigned < line.count ? new ExpressionReader(line, assigned + 1, line.count).read() : undefined;
  const text = assigned < line.count ? line.source.slice(line.starts[assigned + 1], line.ends[line.count - 1]) : "";
  return { name, annotation, value, text, line: line.lines[0] ?? 1 };
}

function settingOf({ name, annotation, value, text, line }: Field, prefix: string, file: string): Found {
  const call = value?.kind === "call" && /(?:^|\.)Field$/.test(value.callee) ? value : undefined;
  const alias = call && aliasOf(call);
  const variable = alias ?? `${prefix}${name}`.toUpperCase();
  const given = call ? (call.keywords["default"] ?? call.args[0]) : value;
  const isEllipsis = given !== undefined && given.kind === "other" && /^(?:\w+\()?\s*\.\.\./.test(text);
  const hasFactory = call?.keywords["default_factory"] !== undefined;
  const standsIn = call ? literalOf(given, "") : literalOf(given, text);
  return {
    name: variable,
    required: !hasFactory && (given === undefined || isEllipsis),
    ...(standsIn === undefined ? {} : { default: standsIn }),
    secret: /\bSecret(?:Str|Bytes)?\b/.test(annotation) || secretName.test(variable),
    source: `${file}:${line}`,
    rank: 2,
  };
}

function aliasOf({ keywords }: CallExpression): string | undefined {
  for (const key of ["validation_alias", "alias", "env"]) {
    const alias = keywords[key];
    const first = alias?.kind === "call" ? alias.args[0] : alias;
    if (first?.kind === "string") return first.value;
  }
  return undefined;
}

/** A literal as the environment would hold it; undefined for what is computed, and for None. */
function literalOf(value: Expression | undefined, text: string): string | undefined {
  if (value?.kind === "string") return /[\n$\0]/.test(value.value) ? undefined : value.value;
  if (value?.kind === "name") return value.name === "True" ? "true" : value.name === "False" ? "false" : undefined;
  return /^-?\d[\d_]*(?:\.\d+)?$/.test(text) ? text.replaceAll("_", "") : undefined;
}

/** `os.environ["NAME"]`, `os.environ.get("NAME", "default")`, `os.getenv("NAME")` in a logical line. */
function readings(line: PythonLexer, file: string): Found[] {
  const found: Found[] = [];
  for (let index = 0; index + 2 < line.count; index += 1) {
    if (line.kinds[index] !== token.name) continue;
    const word = line.text(index);
    if (word !== "environ" && word !== "getenv") continue;
    const reader = new ExpressionReader(line, index, line.count);
    const callee = reader.dottedName();
    const open = line.kinds[reader.index];
    const name = line.kinds[reader.index + 1] === token.string ? stringValue(line.text(reader.index + 1)) : undefined;
    if (name === undefined || !/^[A-Z][A-Z0-9_]*$/.test(name)) continue;
    // `os.environ["X"] = …` sets it.
    if (callee === "environ" && open === OPEN_SQUARE) {
      if (line.kinds[closing(line, reader.index) + 1] === EQUALS) continue;
      found.push(reading(name, undefined, { file, line: line.lines[index] ?? 1, required: true }));
    } else if ((callee === "environ.get" || callee === "getenv") && open === OPEN_ROUND) {
      const [, given] = reader.arguments(callee).args;
      found.push(reading(name, literalOf(given, ""), { file, line: line.lines[index] ?? 1, required: false }));
    }
  }
  return found;
}

function reading(
  name: string,
  standsIn: string | undefined,
  { file, line, required }: { file: string; line: number; required: boolean },
): Found {
  return {
    name,
    required,
    ...(standsIn === undefined ? {} : { default: standsIn }),
    secret: secretName.test(name),
    source: `${file}:${line}`,
    rank: required ? 1 : 0,
  };
}
