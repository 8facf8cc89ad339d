import {
  OPEN_ROUND,
  CLOSE_ROUND,
  COMMA,
  DOT,
  EQUALS,
  OPEN_SQUARE,
  CLOSE_SQUARE,
  OPEN_CURLY,
  CLOSE_CURLY,
} from "./characters.ts";
import type { PythonLexer } from "./lex.ts";
import { token } from "./token.ts";

/** As much of an expression as it takes to follow an app object; all else is `other`. */
export type Expression =
  | { kind: "name"; name: string }
  | { kind: "string"; value: string }
  | { kind: "list"; items: Expression[] }
  | CallExpression
  | { kind: "other" };

export interface CallExpression {
  kind: "call";
  /** Dotted name of what is called. */
  callee: string;
  args: Expression[];
  keywords: Record<string, Expression>;
}

/** Reads expressions out of the tokens of one logical line. */
export class ExpressionReader {
  readonly #line: PythonLexer;
  index: number;
  readonly #end: number;

  constructor(line: PythonLexer, start: number, end: number) {
    this.#line = line;
    this.index = start;
    this.#end = end;
  }

  /** An expression up to a comma, a closing bracket or the end. */
  read(depth = 0): Expression {
    if (depth > MAX_DEPTH) return this.#skipRest();
    const first = this.#primary(depth);
    return this.#atEnd() ? first : this.#skipRest();
  }

  /** `a`, `a.b`; the empty string when no name stands here. */
  dottedName(): string {
    if (this.#kind() !== token.name) return "";
    let name = this.#line.text(this.index++);
    while (this.#kind() === DOT && this.#kind(1) === token.name) {
      name += `.${this.#line.text(this.index + 1)}`;
      this.index += 2;
    }
    return name;
  }

  /** The class that an annotation names: `FastAPI` in `FastAPI`, `"FastAPI"`, `Optional[FastAPI]` and `FastAPI | None`. */
  annotation(): string | undefined {
    if (this.#kind() === token.string) {
      return /^\s*(?:Optional\[)?([\w.]+)/.exec(stringValue(this.#line.text(this.index)) ?? "")?.[1];
    }
    const name = this.dottedName();
    if (name === "") return undefined;
    if (this.#kind() !== OPEN_SQUARE) return name;
    if (!/(?:^|\.)(?:Optional|Annotated|Final|ClassVar)$/.test(name)) return undefined;
    this.index++;
    return this.annotation();
  }

  /** From `(` to its end: the arguments of a call. */
  arguments(callee: string, depth = 0): CallExpression {
    const call: CallExpression = { kind: "call", callee, args: [], keywords: {} };
    this.index++;
    while (this.index < this.#end && this.#kind() !== CLOSE_ROUND) {
      if (this.#kind() === token.name && this.#kind(1) === EQUALS) {
        const keyword = this.#line.text(this.index);
        this.index += 2;
        const value = this.read(depth + 1);
        if (keyword !== "__proto__") call.keywords[keyword] = value;
      } else call.args.push(this.read(depth + 1));
      if (this.#kind() !== COMMA) break;
      this.index++;
    }
    if (this.#kind() === CLOSE_ROUND) this.index++;
    return call;
  }

  #primary(depth: number): Expression {
    const kind = this.#kind();
    if (kind === token.name) return this.#nameOrCall(depth);
    if (kind === token.string) return this.#strings();
    if (kind === OPEN_SQUARE || kind === OPEN_ROUND) return this.#list(depth);
    return { kind: "other" };
  }

  #nameOrCall(depth: number): Expression {
    if (this.#line.text(this.index) === "await") this.index++;
    const name = this.dottedName();
    return this.#kind() === OPEN_ROUND ? this.arguments(name, depth) : { kind: "name", name };
  }

  #strings(): Expression {
    let value = "";
    while (this.#kind() === token.string) {
      const part = stringValue(this.#line.text(this.index++));
      if (part === undefined) return { kind: "other" };
      value += part;
    }
    return { kind: "string", value };
  }

  /** A list or tuple; parentheses around one expression give that expression. */
  #list(depth: number): Expression {
    const round = this.#kind() === OPEN_ROUND;
    const close = round ? CLOSE_ROUND : CLOSE_SQUARE;
    const items: Expression[] = [];
    let commas = 0;
    this.index++;
    while (this.index < this.#end && this.#kind() !== close) {
      items.push(this.read(depth + 1));
      if (this.#kind() !== COMMA) break;
      commas++;
      this.index++;
    }
    if (this.#kind() === close) this.index++;
    const [only] = items;
    return round && commas === 0 && only ? only : { kind: "list", items };
  }

  #skipRest(): Expression {
    let depth = 0;
    for (; this.index < this.#end; this.index++) {
      const kind = this.#kind();
      if (kind === OPEN_ROUND || kind === OPEN_SQUARE || kind === OPEN_CURLY) depth++;
      else if (kind === CLOSE_ROUND || kind === CLOSE_SQUARE || kind === CLOSE_CURLY) {
        if (depth === 0) break;
        depth--;
      } else if (kind === COMMA && depth === 0) break;
    }
    return { kind: "other" };
  }

  #atEnd(): boolean {
    const kind = this.#kind();
    return kind === 0 || kind === COMMA || kind === CLOSE_ROUND || kind === CLOSE_SQUARE || kind === CLOSE_CURLY;
  }

  /** Kind of the token here or further on, 0 after the end. */
  #kind(ahead = 0): number {
    const index = this.index + ahead;
    return index < this.#end ? (this.#line.kinds[index] as number) : 0;
  }
}

/** The text between the quotes of a literal; undefined for bytes. Escapes other than quotes and backslashes stay as written. */
export function stringValue(literal: string): string | undefined {
  const quote = literal.search(/["']/);
  const prefix = literal.slice(0, quote).toLowerCase();
  if (quote === -1 || prefix.includes("b")) return undefined;
  const triple = literal.startsWith('"""', quote) || literal.startsWith("'''", quote);
  const margin = triple && literal.length >= quote + 6 ? 3 : 1;
  const text = literal.slice(quote + margin, -margin);
  return prefix.includes("r") || !text.includes("\\") ? text : text.replaceAll(/\\(["'\\])/g, "$1");
}

const MAX_DEPTH = 24;
