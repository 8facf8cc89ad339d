import type { CallExpression, Expression } from "./expression.ts";

/** When an import runs: a missing module stops a `top` import alone; the others are caught, later, or never run. */
export type ImportPlace = "top" | "function" | "try" | "type-checking" | "conditional";

export interface ImportFact {
  /** As written, with the leading dots of a relative import. */
  module: string;
  /** Names after `from … import`, `*` among them; none for `import …`. */
  names: string[];
  line: number;
  where: ImportPlace;
  /** Runs when the module is the program that is started, and not when it is imported. */
  asProgram?: true;
  /** Comes from `importlib.import_module("…")` or `__import__("…")`. */
  dynamic?: true;
}

export interface BindingFact {
  /** Name that is bound, dotted for an attribute. */
  name: string;
  line: number;
}

export interface AssignmentFact extends BindingFact {
  annotation?: string;
  value: Expression;
  /** Dotted name of the enclosing function or class, `""` for the module. */
  scope: string;
}

export interface FunctionFact extends BindingFact {
  scope: string;
  /** Class that the return annotation names. */
  returns?: string;
  /** What its `return` statements give, where that is a name or a call. */
  returned: Expression[];
  /** Parameters without a default. */
  required: number;
  async: boolean;
}

export interface ClassFact extends BindingFact {
  scope: string;
  bases: string[];
}

export interface CallFact {
  call: CallExpression;
  scope: string;
  line: number;
}

/** What can be said of a module without running it. */
export interface PythonFacts {
  imports: ImportFact[];
  /** `import a.b as c`, `from a import b as c`: name in the module → dotted target with leading dots. */
  aliases: Map<string, string>;
  assignments: AssignmentFact[];
  functions: FunctionFact[];
  classes: ClassFact[];
  /** Calls that are statements of their own: `app.mount(…)`. */
  calls: CallFact[];
  /** Literals that look like `a.b.c` or `a.b:name`, and the lines that they stand on. */
  strings: { value: string; line: number }[];
}
