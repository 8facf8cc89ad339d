import { DOT, COLON } from "./characters.ts";
import type { PythonLexer } from "./lex.ts";
import { token } from "./token.ts";

export const MAX_MODULE_STRING = 200;
export const moduleString = /^[A-Za-z_]\w*(?:(?:\.[A-Za-z_]\w*)+(?::[A-Za-z_]\w*)?|:[A-Za-z_]\w*)$/;
export const dottedModule = /^\.*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/;

/** Whether the token is the name of a function that imports by name. */
export function isImporter(line: PythonLexer, index: number): boolean {
  if (line.kinds[index] !== token.name) return false;
  const name = line.text(index);
  return name === "import_module" || name === "__import__";
}

/** A quick look before a string is cut out: letters, digits, dots and at most one colon between the quotes. */
export function mayBeModule(source: string, start: number, end: number): boolean {
  let separators = 0;
  for (let index = start + 1; index < end - 1; index++) {
    const code = source.charCodeAt(index);
    if (code === DOT || code === COLON) separators++;
    else if (!((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95))
      return false;
  }
  return separators > 0;
}
