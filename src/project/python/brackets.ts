import {
  OPEN_ROUND,
  CLOSE_ROUND,
  COMMA,
  COLON,
  EQUALS,
  OPEN_SQUARE,
  CLOSE_SQUARE,
  OPEN_CURLY,
  CLOSE_CURLY,
} from "./characters.ts";
import type { PythonLexer } from "./lex.ts";
import { token } from "./token.ts";

/** Index of the next token of a kind outside brackets, or the number of tokens. */
export function nextOf(line: PythonLexer, start: number, wanted: number): number {
  let depth = 0;
  for (let index = start; index < line.count; index++) {
    const kind = line.kinds[index] as number;
    if (kind === wanted && depth === 0) return index;
    if (kind === OPEN_ROUND || kind === OPEN_SQUARE || kind === OPEN_CURLY) depth++;
    else if (kind === CLOSE_ROUND || kind === CLOSE_SQUARE || kind === CLOSE_CURLY) depth--;
  }
  return line.count;
}

/** Index of the bracket that closes the one at `open`. */
export function closing(line: PythonLexer, open: number): number {
  let depth = 0;
  for (let index = open; index < line.count; index++) {
    const kind = line.kinds[index];
    if (kind === OPEN_ROUND || kind === OPEN_SQUARE || kind === OPEN_CURLY) depth++;
    else if ((kind === CLOSE_ROUND || kind === CLOSE_SQUARE || kind === CLOSE_CURLY) && --depth === 0) return index;
  }
  return line.count;
}

/** Parameters without a default, between the brackets of a def. */
export function requiredParameters(line: PythonLexer, open: number, close: number): number {
  let required = 0;
  for (let index = open + 1; index < close;) {
    const end = Math.min(nextOf(line, index, COMMA), close);
    const optional = nextOf(line, index, EQUALS) < end;
    if (line.kinds[index] === token.name && !optional) required++;
    index = end + 1;
  }
  return required;
}

/** Index after the colon that ends the header of a compound statement. */
export function headerEnd(line: PythonLexer): number {
  let depth = 0;
  let lambdas = 0;
  for (let index = 0; index < line.count; index++) {
    const kind = line.kinds[index];
    if (kind === OPEN_ROUND || kind === OPEN_SQUARE || kind === OPEN_CURLY) depth++;
    else if (kind === CLOSE_ROUND || kind === CLOSE_SQUARE || kind === CLOSE_CURLY) depth--;
    else if (depth === 0 && kind === token.name && line.text(index) === "lambda") lambdas++;
    else if (depth === 0 && kind === COLON && lambdas-- === 0) return index + 1;
  }
  return line.count;
}
