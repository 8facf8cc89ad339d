import type { Style } from "../report/text.ts";
import type { Context } from "./context.ts";

/** One word of the command line as data: the parser, the help and the completion scripts are made from it. */
export interface Command {
  name: string;
  summary: string;
  /** Shown under the help: what a person would type. */
  examples?: string[];
  arguments?: ArgumentDefinition[];
  options: OptionDefinition[];
  run(input: CommandInput, context: Context): Promise<CommandResult>;
}

export interface ArgumentDefinition {
  name: string;
  summary: string;
  required?: boolean;
  variadic?: boolean;
}

export interface OptionDefinition {
  /** As commander writes it: `-t, --tag <name:tag>`. */
  flags: string;
  summary: string;
  /** Can be given several times; the values come as a list. */
  repeat?: boolean;
  choices?: readonly string[];
}

export interface CommandInput {
  arguments: string[];
  /** Words after `--`, or everything a variadic argument took. */
  rest: string[];
  options: Record<string, unknown>;
}

/** What a command found; the caller prints it. */
export interface CommandResult {
  /** For stdout, when it is not asked for JSON. */
  text?: (style: Style, width: number) => string;
  /** The same facts for `--json`. */
  json?: unknown;
  /** 0 unless a verdict says otherwise. */
  exitCode?: number;
}

export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

export function listOption(input: CommandInput, name: string): string[] {
  const value = input.options[name];
  return Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];
}

export function flagOption(input: CommandInput, name: string): boolean {
  return input.options[name] === true;
}
