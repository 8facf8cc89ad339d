import { NEWLINE, RETURN, COLON } from "./characters.ts";
import { token } from "./token.ts";

const OTHER = 0;
export const BLANK = 1;
export const LINE_END = 2;
export const IDENTIFIER = 3;
export const DIGIT = 4;
export const QUOTE = 5;
export const OPERATOR = 6;

/** What an ASCII character can begin. */
export const classes = new Uint8Array(128).fill(OTHER);
/** 1 for ASCII characters that go on a name. */
export const identifierPart = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  const character = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(character)) classes[code] = IDENTIFIER;
  else if (/[0-9]/.test(character)) classes[code] = DIGIT;
  else if (/["']/.test(character)) classes[code] = QUOTE;
  else if (/[ \t\f]/.test(character)) classes[code] = BLANK;
  else if (/[\n\r]/.test(character)) classes[code] = LINE_END;
  else if (/[!%&()*+,\-./:;<=>@[\]^`{|}~$?]/.test(character)) classes[code] = OPERATOR;
  if (/[A-Za-z0-9_]/.test(character)) identifierPart[code] = 1;
}

/** The kind that a character makes of an `=` after it, 0 for none. */
export const beforeEquals = new Uint8Array(128);
for (const character of "=!<>") beforeEquals[character.charCodeAt(0)] = token.comparison;
for (const character of "+-*/%&|^@") beforeEquals[character.charCodeAt(0)] = token.augmented;
beforeEquals[COLON] = token.walrus;

export function isIdentifierPart(code: number): boolean {
  return code < 128 ? identifierPart[code] === 1 : code >= 128;
}

/** What the letters before a quote make of the literal; undefined when they are a name. */
export function stringPrefix(source: string, start: number, end: number): "plain" | "format" | undefined {
  if (end === start) return "plain";
  const first = source.charCodeAt(start) | 32;
  if (end - start === 1) {
    if (first === LOWER_F || first === LOWER_T) return "format";
    return first === LOWER_R || first === LOWER_B || first === LOWER_U ? "plain" : undefined;
  }
  const second = source.charCodeAt(start + 1) | 32;
  const other = first === LOWER_R ? second : second === LOWER_R ? first : 0;
  if (other === LOWER_F || other === LOWER_T) return "format";
  return other === LOWER_B ? "plain" : undefined;
}

const LOWER_B = 98;
const LOWER_F = 102;
const LOWER_R = 114;
const LOWER_T = 116;
const LOWER_U = 117;

/** Offset of the line end, or of the end of the source. */
export function endOfLine(source: string, start: number): number {
  let position = start;
  for (;;) {
    const code = source.charCodeAt(position);
    if (code === NEWLINE || code === RETURN || Number.isNaN(code)) return position;
    position++;
  }
}

const numbers =
  /0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|(?:\d(?:_?\d)*)?\.?(?:\d(?:_?\d)*)?(?:[eE][+-]?\d(?:_?\d)*)?[jJ]?/y;

/** Offset after a number literal. */
export function endOfNumber(source: string, start: number): number {
  numbers.lastIndex = start;
  numbers.test(source);
  return Math.max(numbers.lastIndex, start + 1);
}
