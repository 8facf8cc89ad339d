/** The part of the shell's grammar (POSIX.1-2024, XCU 2) that maintainer scripts are written in, as a tree. */

export type List = AndOr[];

/** Pipelines joined by `&&` and `||`. */
export interface AndOr {
  first: Pipeline;
  rest: { operator: "&&" | "||"; pipeline: Pipeline }[];
}

export interface Pipeline {
  negated: boolean;
  commands: Command[];
}

export type Command =
  | SimpleCommand
  | { type: "if"; branches: { condition: List; body: List }[]; otherwise?: List; redirects: Redirect[]; line: number }
  | { type: "case"; subject: Word; arms: { patterns: Word[]; body: List }[]; redirects: Redirect[]; line: number }
  | { type: "for"; name: string; words?: Word[]; body: List; redirects: Redirect[]; line: number }
  | { type: "while"; until: boolean; condition: List; body: List; redirects: Redirect[]; line: number }
  | { type: "function"; name: string; body: Command; redirects: Redirect[]; line: number }
  | { type: "group"; body: List; subshell: boolean; redirects: Redirect[]; line: number };

export interface SimpleCommand {
  type: "simple";
  assignments: { name: string; value: Word }[];
  words: Word[];
  redirects: Redirect[];
  /** Line in the script, from 1. */
  line: number;
}

export interface Redirect {
  operator: "<" | ">" | ">>" | "<<" | ">&" | "<&" | "<>" | ">|";
  descriptor?: number;
  /** The file, the descriptor, or a here-document's text. */
  target: Word;
}

export type Word = WordPart[];

export type WordPart =
  | { type: "text"; text: string; quoted: boolean }
  | { type: "parameter"; name: string; operator?: string; argument?: Word; quoted: boolean }
  | { type: "substitution"; body: List; quoted: boolean }
  /** What is not evaluated: arithmetic. */
  | { type: "unknown"; quoted: boolean };

/** Thrown for scripts that are not in this grammar, or have no end, with the line at which reading stopped. */
export class ShellSyntaxError extends Error {
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}
