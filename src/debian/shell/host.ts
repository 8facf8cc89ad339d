import type { FileTests } from "./test-expression.ts";
import type { Status, Value } from "./values.ts";

/** What running one command comes to. */
export interface Outcome {
  status: Status;
  /** What it prints, when somebody reads it; undefined when that is not known. */
  output: Value;
}

export interface CommandCall {
  /** Name without its folder, and arguments. */
  name: string;
  args: Value[];
  /** What it reads from a here-document. */
  input: Value;
  /** Its line in the script. */
  line: number;
}

/** The world around a script. Everything that a script may do is one of these. */
export interface ShellHost extends FileTests {
  /** @throws for commands that are not known, and known ones with arguments that are not */
  run(call: CommandCall, shell: ShellState): Outcome;
  /** A file is written: `>` or `>>`. `text` is undefined when it is not known. */
  write(target: { path: Value; append: boolean; text: Value; line: number }): void;
  /** Absolute paths that match, sorted. */
  list(pattern: RegExp): string[];
}

export interface ShellState {
  variables: Map<string, Value>;
}
