import { SheafError } from "../errors.ts";

export type TomlTable = Record<string, unknown>;

/**
 * Parses TOML.
 *
 * @param file its name from the project's root, for the message
 * @throws SheafError SHEAF_TOML with line, column and the line itself
 */
export async function parseToml(text: string, file: string): Promise<TomlTable> {
  const { parse, TomlError } = await import("smol-toml");
  try {
    return parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    const line = text.split(/\r?\n/)[error.line - 1] ?? "";
    throw new SheafError("SHEAF_TOML", `${file}:${error.line}:${error.column} is not TOML: ${what}`, {
      details: [
        [`line ${error.line}`, line],
        ["", `${" ".repeat(Math.max(0, error.column - 1))}^`],
      ],
      hint: `mend line ${error.line} of ${file}`,
      cause: error,
    });
  }
}

/** The table at a path of keys; empty when there is none. */
export function tableAt(value: unknown, ...path: string[]): TomlTable {
  let at = value;
  for (const key of path) at = isTable(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  return isTable(at) ? at : {};
}

export function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

export function stringAt(table: TomlTable, key: string): string | undefined {
  const value = Object.hasOwn(table, key) ? table[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

/**
 * The line, from 1, on which a key stands: found by its table header and its name. Falls back to the nearest table above
 * it, so it is a place to look at and not a parser's position.
 */
export function lineOfKey(text: string, path: readonly string[]): number {
  let table: string[] = [];
  let best = { line: 1, depth: 0 };
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(line);
    const key = header
      ? undefined
      : /^\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=/.exec(line);
    if (header) table = keyParts(header[1] as string);
    if (!header && !key) continue;
    const full = key ? [...table, ...keyParts(key[1] as string)] : table;
    if (full.length > best.depth && full.length <= path.length && full.every((part, at) => part === path[at])) {
      best = { line: index + 1, depth: full.length };
    }
  }
  return best.line;
}

function keyParts(dotted: string): string[] {
  return [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}
