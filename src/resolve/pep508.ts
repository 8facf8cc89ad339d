import { SheafError } from "../errors.ts";
import { normalizeName } from "../wheel/filename.ts";
import type { Marker, Operand } from "./markers.ts";
import { parseSpecifiers, type Specifier } from "./specifiers.ts";

/** A requirement (PEP 508): `name[extra] >=1 ; marker`, or `name @ url ; marker`. */
export interface Requirement {
  /** Normalised. */
  name: string;
  extras: string[];
  /** As written; empty when there is none. */
  specifier: string;
  specifiers: Specifier[];
  url?: string;
  marker?: Marker;
  /** The marker as written. */
  markerText?: string;
}

const longestRequirement = 16_384;

/** @throws SheafError SHEAF_REQUIREMENT that shows the text and where reading stopped */
export function parseRequirement(text: string): Requirement {
  const reader = new Reader(text);
  const requirement = readRequirement(reader);
  reader.space();
  if (!reader.atEnd()) throw reader.error("expected the end");
  return requirement;
}

/** @throws SheafError SHEAF_REQUIREMENT */
export function parseMarker(text: string): Marker {
  const reader = new Reader(text);
  const marker = readOr(reader, 0);
  reader.space();
  if (!reader.atEnd()) throw reader.error('expected "and", "or" or the end of the marker');
  return marker;
}

function readRequirement(reader: Reader): Requirement {
  reader.space();
  const name = reader.match(/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/y);
  if (!name) throw reader.error("expected the name of a distribution");
  reader.space();
  const extras = readExtras(reader);
  reader.space();
  const base = { name: normalizeName(name), extras };
  if (reader.take("@")) {
    reader.space();
    const url = reader.match(/\S+/y);
    if (!url) throw reader.error("expected a URL after @");
    return withMarker(reader, { ...base, specifier: "", specifiers: [], url });
  }
  const parenthesised = reader.take("(");
  const written = reader.match(parenthesised ? /[^()]*/y : /[^;]*/y) ?? "";
  if (parenthesised && !reader.take(")")) throw reader.error("expected )");
  const specifier = written.trim();
  const specifiers = parseSpecifiers(specifier);
  if (!specifiers) throw reader.error(`${JSON.stringify(specifier)} is not a version specifier`);
  return withMarker(reader, { ...base, specifier, specifiers });
}

function withMarker(reader: Reader, requirement: Requirement): Requirement {
  reader.space();
  if (!reader.take(";")) return requirement;
  reader.space();
  const start = reader.position;
  const marker = readOr(reader, 0);
  return { ...requirement, marker, markerText: reader.text.slice(start, reader.position).trim() };
}

function readExtras(reader: Reader): string[] {
  if (!reader.take("[")) return [];
  const extras: string[] = [];
  for (;;) {
    reader.space();
    if (reader.take("]")) return extras;
    const extra = reader.match(/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/y);
    if (!extra) throw reader.error("expected the name of an extra");
    extras.push(normalizeName(extra));
    reader.space();
    if (!reader.take(",") && !reader.sees("]")) throw reader.error("expected , or ]");
  }
}

function readOr(reader: Reader, depth: number): Marker {
  let left = readAnd(reader, depth);
  while (reader.word("or")) left = { type: "or", left, right: readAnd(reader, depth) };
  return left;
}

function readAnd(reader: Reader, depth: number): Marker {
  let left = readAtom(reader, depth);
  while (reader.word("and")) left = { type: "and", left, right: readAtom(reader, depth) };
  return left;
}

/** Deeper nesting than anybody writes by hand or tool. */
const deepestMarker = 64;

function readAtom(reader: Reader, depth: number): Marker {
  if (depth > deepestMarker) throw reader.error("parentheses are nested too deeply");
  reader.space();
  if (reader.take("(")) {
    const inner = readOr(reader, depth + 1);
    reader.space();
    if (!reader.take(")")) throw reader.error("expected )");
    return inner;
  }
  const left = readOperand(reader);
  reader.space();
  const operator = reader.match(/===|==|~=|!=|<=|>=|<|>|in\b|not\s+in\b/y);
  if (!operator) throw reader.error("expected a comparison such as ==, < or in");
  const right = readOperand(reader);
  return { type: "compare", left, operator: operator.startsWith("not") ? "not in" : operator, right };
}

const variables = new Set([
  "extra",
  "extras",
  "dependency_groups",
  "implementation_name",
  "implementation_version",
  "os_name",
  "platform_machine",
  "platform_python_implementation",
  "platform_release",
  "platform_system",
  "platform_version",
  "python_full_version",
  "python_version",
  "sys_platform",
]);

/** Spellings from before PEP 508 that indexes still carry. */
const aliases: Record<string, string | undefined> = {
  "os.name": "os_name",
  "sys.platform": "sys_platform",
  "platform.version": "platform_version",
  "platform.machine": "platform_machine",
  "platform.python_implementation": "platform_python_implementation",
  python_implementation: "platform_python_implementation",
};

function readOperand(reader: Reader): Operand {
  reader.space();
  const quoted = reader.match(/"[^"]*"|'[^']*'/y);
  if (quoted) return { literal: quoted.slice(1, -1) };
  const start = reader.position;
  const name = reader.match(/[a-z_.]+/y);
  const variable = name && (aliases[name] ?? name);
  if (variable && variables.has(variable)) return { variable };
  reader.position = start;
  throw reader.error("expected a marker variable or a quoted text");
}

class Reader {
  readonly text: string;
  position = 0;

  constructor(text: string) {
    this.text = text;
    if (text.length > longestRequirement) throw this.error(`longer than ${longestRequirement} characters`);
  }

  atEnd(): boolean {
    return this.position >= this.text.length;
  }

  space(): void {
    this.match(/[ \t\r\n\f\v]+/y);
  }

  sees(text: string): boolean {
    return this.text.startsWith(text, this.position);
  }

  take(text: string): boolean {
    if (!this.sees(text)) return false;
    this.position += text.length;
    return true;
  }

  /** Takes a keyword that stands alone. */
  word(text: string): boolean {
    const start = this.position;
    this.space();
    if (this.match(/[a-z]+/y) === text) return true;
    this.position = start;
    return false;
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    this.position += found?.length ?? 0;
    return found;
  }

  error(problem: string): SheafError {
    const shown = this.text.length > 200 ? `${this.text.slice(0, 200)}…` : this.text;
    return new SheafError("SHEAF_REQUIREMENT", `${JSON.stringify(shown)} is not a requirement: ${problem}`, {
      details: [["at", `column ${this.position + 1}`]],
    });
  }
}
