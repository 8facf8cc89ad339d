import { parse } from "smol-toml";

import { SheafError } from "../errors.ts";
import type { Inputs } from "./inputs.ts";

export type TomlTable = Record<string, unknown>;

/** @throws SheafError SHEAF_TOML with file and line */
export function parseToml(text: string, file: string): TomlTable {
  try {
    return parse(text);
  } catch (error) {
    const line = error instanceof Error && "line" in error ? `:${String(error.line)}` : "";
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw new SheafError("SHEAF_TOML", `${file}${line} is not valid TOML: ${reason}`, { cause: error });
  }
}

/** Undefined when there is no such file. */
export function readToml(inputs: Inputs, file: string): TomlTable | undefined {
  const text = inputs.read(file);
  return text === undefined ? undefined : parseToml(text, file);
}

/** The value when it is a table, else an empty one: a lock that is not as expected reads as one that says nothing. */
export function table(value: unknown): TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
    ? (value as TomlTable)
    : {};
}

export function tables(value: unknown): TomlTable[] {
  return Array.isArray(value) ? value.map(table) : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
