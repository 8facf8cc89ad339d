import {
  type AndOr,
  type Command,
  type List,
  type Pipeline,
  type Redirect,
  ShellSyntaxError,
  type SimpleCommand,
  type Word,
} from "./syntax.ts";
import type { Outcome, ShellHost, ShellState } from "./host.ts";
import { evaluateTest } from "./test-expression.ts";
import { append, escape, globSource, joined, type Status, trim, type Value } from "./values.ts";

class Leave extends Error {
  readonly kind: "exit" | "return" | "loop";

  readonly status: Status;

  constructor(kind: "exit" | "return" | "loop", status: Status) {
    super(kind);
    this.kind = kind;
    this.status = status;
  }
}

/** Calls of functions and turns of loops counted. */
const mostSteps = 20_000;
const mostDepth = 60;

/**
 * Follows a script without running anything: values that are known stay known, conditions that are not known are followed both
 * ways. Commands are told to `host`.
 */
export function evaluateShell(
  script: List,
  host: ShellHost,
  options: { args: string[]; variables: Record<string, string> },
): void {
  const evaluator = new Evaluator(host, new Map(Object.entries(options.variables)));
  evaluator.enter(script, options.args);
}

class Evaluator implements ShellState {
  readonly variables: Map<string, Value>;
  readonly #host: ShellHost;
  readonly #functions = new Map<string, Command>();
  #args: Value[] = [];
  #steps = 0;
  #depth = 0;
  /** How many commands have printed something. */
  #printed = 0;

  constructor(host: ShellHost, variables: Map<string, Value>) {
    this.#host = host;
    this.variables = variables;
  }

  enter(script: List, args: string[]): void {
    this.#args = args;
    this.#catching(["exit", "return", "loop"], () => this.#list(script));
  }

  #list(list: List): Outcome {
    let last: Outcome = { status: true, output: "" };
    const outputs: Value[] = [];
    for (const item of list) {
      last = this.#andOr(item);
      outputs.push(last.output);
    }
    return { status: last.status, output: joined(outputs) };
  }

  #andOr({ first, rest }: AndOr): Outcome {
    let outcome = this.#pipeline(first);
    const outputs = [outcome.output];
    let status = outcome.status;
    for (const { operator, pipeline } of rest) {
      const skips = operator === "&&" ? status === false : status === true;
      if (skips) continue;
      if (status === undefined) {
        let reached: Status;
        outcome = this.#maybe(() => {
          const inner = this.#pipeline(pipeline);
          reached = inner.status;
          return inner;
        });
        // `unknown || true` succeeds, `unknown && false` fails.
        if (reached === (operator === "||")) status = reached;
        outputs.push(outcome.output);
        continue;
      }
      outcome = this.#pipeline(pipeline);
      outputs.push(outcome.output);
      status = outcome.status;
    }
    return { status, output: joined(outputs) };
  }

  #pipeline({ negated, commands }: Pipeline): Outcome {
    let outcome: Outcome = { status: true, output: "" };
    let input: Value = "";
    for (const command of commands) {
      outcome = this.#command(command, commands.length > 1 ? { value: input } : undefined);
      input = outcome.output;
    }
    // `echo … | read x` and the like happen in another process; what a pipeline's end says is not followed.
    const status = outcome.status === undefined ? undefined : outcome.status !== negated;
    return { status, output: outcome.output };
  }

  #command(command: Command, piped?: { value: Value }): Outcome {
    if (++this.#steps > mostSteps) throw new ShellSyntaxError("it does not come to an end", command.line);
    if (command.type === "simple") return this.#simple(command, piped);
    const outcome = this.#compound(command);
    return this.#redirected(command.redirects, outcome, command.line);
  }

  #compound(command: Exclude<Command, SimpleCommand>): Outcome {
    switch (command.type) {
      case "if":
        return this.#ifCommand(command);
      case "case":
        return this.#caseCommand(command);
      case "for":
        return this.#forCommand(command);
      case "while":
        return this.#whileCommand(command);
      case "function":
        this.#functions.set(command.name, command.body);
        return { status: true, output: "" };
      case "group":
        return command.subshell ? this.#catching(["exit"], () => this.#list(command.body)) : this.#list(command.body);
    }
  }

  #ifCommand(command: Extract<Command, { type: "if" }>): Outcome {
    let uncertain = false;
    for (const { condition, body } of command.branches) {
      const { status } = uncertain ? this.#maybe(() => this.#list(condition)) : this.#list(condition);
      if (status === false) continue;
      if (status === true && !uncertain) return this.#list(body);
      uncertain = true;
      this.#maybe(() => this.#list(body));
      if (status === true) return unknown;
    }
    if (!command.otherwise) return uncertain ? unknown : { status: true, output: "" };
    return uncertain ? this.#maybe(() => this.#list(command.otherwise ?? [])) : this.#list(command.otherwise);
  }

  #caseCommand(command: Extract<Command, { type: "case" }>): Outcome {
    const subject = this.#string(command.subject);
    let uncertain = false;
    for (const { patterns, body } of command.arms) {
      const matches = patterns.map((pattern) => this.#matches(pattern, subject));
      if (matches.includes(true) && !uncertain) return this.#list(body);
      if (!matches.includes(true) && !matches.includes(undefined)) continue;
      uncertain = true;
      this.#maybe(() => this.#list(body));
    }
    return uncertain ? unknown : { status: true, output: "" };
  }

  #forCommand(command: Extract<Command, { type: "for" }>): Outcome {
    const values = command.words ? command.words.flatMap((word) => this.#fields(word)) : this.#args;
    const outputs: Value[] = [];
    for (const value of values) {
      this.variables.set(command.name, value);
      const turn = () => this.#catching(["loop"], () => this.#list(command.body));
      outputs.push((value === undefined ? this.#maybe(turn) : turn()).output);
    }
    return { status: values.includes(undefined) ? undefined : true, output: joined(outputs) };
  }

  /** A loop whose condition is not false at once is followed one turn, with all that it assigns unknown after it. */
  #whileCommand(command: Extract<Command, { type: "while" }>): Outcome {
    const { status } = this.#list(command.condition);
    if (status === command.until) return { status: true, output: "" };
    return this.#maybe(() => this.#catching(["loop"], () => this.#list(command.body)));
  }

  #simple(command: SimpleCommand, piped?: { value: Value }): Outcome {
    const words = command.words.flatMap((word) => this.#fields(word));
    const values = command.assignments.map(({ name, value }) => ({ name, value: this.#string(value) }));
    if (command.words.length === 0) {
      for (const { name, value } of values) this.variables.set(name, value);
      const status = command.assignments.some(({ value }) => value.some((part) => part.type === "substitution"))
        ? undefined
        : true;
      return this.#redirected(command.redirects, { status, output: "" }, command.line);
    }
    // `$(command)` that prints nothing, or an empty variable: what is left is nothing to run.
    if (words.length === 0) return this.#redirected(command.redirects, unknown, command.line);
    const [first, ...args] = words;
    const document = command.redirects.find((redirect) => redirect.operator === "<<");
    const read = command.redirects.some((redirect) => redirect.operator === "<");
    const input = document ? this.#string(document.target) : read ? undefined : piped ? piped.value : "";
    const outcome = this.#call(first, { args, input, line: command.line });
    const redirected = this.#redirected(command.redirects, outcome, command.line);
    if (redirected.output !== "") this.#printed++;
    return redirected;
  }

  #call(first: Value, { args, input, line }: { args: Value[]; input: Value; line: number }): Outcome {
    const name = first === undefined ? "" : first.slice(first.lastIndexOf("/") + 1);
    const body = first === undefined ? undefined : this.#functions.get(first);
    if (body) return this.#callFunction(body, args);
    switch (name) {
      case "exit":
        throw new Leave("exit", statusOf(args[0]));
      case "return":
        throw new Leave("return", args.length === 0 ? undefined : statusOf(args[0]));
      case "break":
      case "continue":
        throw new Leave("loop", true);
      case "[":
        return { status: evaluateTest(args.at(-1) === "]" ? args.slice(0, -1) : args, this.#host), output: "" };
      case "test":
        return { status: evaluateTest(args, this.#host), output: "" };
      case "shift":
        this.#args = this.#args.slice(Number(args[0] ?? 1));
        return { status: true, output: "" };
      case "set":
        if (args[0] === "--") this.#args = args.slice(1);
        return { status: true, output: "" };
      case "local":
      case "export":
      case "readonly":
        for (const arg of args) this.#declare(arg);
        return { status: true, output: "" };
      case "unset":
        for (const arg of args) if (arg !== undefined) this.variables.set(arg, "");
        return { status: true, output: "" };
      case "read":
        for (const arg of args) if (arg !== undefined && !arg.startsWith("-")) this.variables.set(arg, undefined);
        return { status: undefined, output: "" };
      case "exec":
        return args.length === 0
          ? { status: true, output: "" }
          : this.#call(args[0], { args: args.slice(1), input, line });
      default:
        return this.#host.run({ name: first ?? "", args, input, line }, this);
    }
  }

  #callFunction(body: Command, args: Value[]): Outcome {
    if (++this.#depth > mostDepth) throw new ShellSyntaxError("it calls itself without end", body.line);
    const outer = this.#args;
    this.#args = args;
    try {
      return this.#catching(["return"], () => this.#command(body));
    } finally {
      this.#args = outer;
      this.#depth--;
    }
  }

  #declare(arg: Value): void {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$/s.exec(arg ?? "");
    if (match?.[1] && match[2] !== undefined) this.variables.set(match[1], match[2]);
  }

  #redirected(redirects: Redirect[], outcome: Outcome, line: number): Outcome {
    let { output } = outcome;
    for (const { operator, descriptor = 1, target } of redirects) {
      if (!/^(>|>>|>\||<>)$/.test(operator)) {
        if (operator === ">&" && descriptor === 1) output = "";
        continue;
      }
      const text = descriptor === 1 ? output : "";
      if (descriptor === 1) output = "";
      this.#host.write({ path: this.#string(target), append: operator === ">>", text, line });
    }
    return { status: outcome.status, output };
  }

  /**
   * Runs what may not be reached: leaving it does not end the script, its status is not known, nor is any variable that it
   * changes known after it.
   */
  #maybe(action: () => Outcome): Outcome {
    const before = new Map(this.variables);
    this.#catching(["exit", "return", "loop"], action);
    for (const [name, value] of this.variables) {
      if ((before.has(name) ? before.get(name) : "") !== value) this.variables.set(name, undefined);
    }
    return unknown;
  }

  #catching(kinds: Leave["kind"][], action: () => Outcome): Outcome {
    const printed = this.#printed;
    try {
      return action();
    } catch (error) {
      if (error instanceof Leave && kinds.includes(error.kind)) {
        return { status: error.status, output: printed === this.#printed ? "" : undefined };
      }
      throw error;
    }
  }

  #matches(pattern: Word, subject: Value): Status {
    let source = "";
    for (const part of pattern) {
      if (part.type === "text") {
        // A set of characters; which ones is not followed.
        if (!part.quoted && part.text.includes("[")) return undefined;
        source += part.quoted ? escape(part.text) : globSource(part.text);
      } else {
        const value = this.#part(part);
        if (value === undefined) return undefined;
        source += part.quoted ? escape(value) : globSource(value);
      }
    }
    if (source === "[^]*") return true;
    return subject === undefined ? undefined : new RegExp(`^(?:${source})$`).test(subject);
  }

  /** A word as it stands in an assignment or a quoted place. */
  #string(word: Word): Value {
    return joined(word.map((part) => this.#part(part)));
  }

  /** A word as arguments: unquoted values are split, patterns of absolute file names are looked up. */
  #fields(word: Word): Value[] {
    const fields: Value[] = [];
    let current: { value: Value; isPattern: boolean } | undefined;
    const flush = () => {
      if (current) fields.push(...(current.isPattern ? this.#expand(current.value) : [current.value]));
      current = undefined;
    };
    for (const part of word) {
      if (part.type === "parameter" && (part.name === "@" || (part.name === "*" && !part.quoted)) && !part.operator) {
        fields.push(...this.#args);
        continue;
      }
      const value = this.#part(part);
      const isPattern = !part.quoted && /[*?]/.test(value ?? "");
      const pieces = !part.quoted && part.type !== "text" && value !== undefined ? this.#split(value) : [value];
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) flush();
        if (piece === "" && !part.quoted && part.type !== "text") continue;
        const before: { value: Value; isPattern: boolean } = current ?? { value: "", isPattern: false };
        current = { value: append(before.value, piece), isPattern: before.isPattern || isPattern };
      }
    }
    flush();
    return fields;
  }

  #split(value: string): string[] {
    const separators = this.variables.get("IFS") ?? " \t\n";
    return separators === "" ? [value] : value.split(new RegExp(`[${escape(separators).replaceAll("-", "\\-")}]+`));
  }

  /** A pattern that nothing matches stands for itself. */
  #expand(pattern: Value): Value[] {
    if (pattern === undefined || !pattern.startsWith("/") || pattern.includes("[")) return [undefined];
    const found = this.#host.list(new RegExp(`^${globSource(pattern).replaceAll("[^]", "[^/]")}$`));
    return found.length > 0 ? found : [pattern];
  }

  #part(part: Word[number]): Value {
    if (part.type === "text") return part.text;
    if (part.type === "unknown") return undefined;
    if (part.type === "substitution") return this.#substitute(part.body);
    const value = this.#parameter(part.name);
    if (!part.operator) return value;
    const argument = () => this.#string(part.argument ?? []);
    const isEmpty = value === "";
    if (part.operator.endsWith("-") || part.operator.endsWith("="))
      return value === undefined ? undefined : isEmpty ? argument() : value;
    if (part.operator.endsWith("+")) return value === undefined ? undefined : isEmpty ? "" : argument();
    if (part.operator.endsWith("?")) return value;
    return trim(value, part.operator, argument());
  }

  #parameter(name: string): Value {
    if (name === "@" || name === "*")
      return joined(this.#args.flatMap((arg, index) => (index === 0 ? [arg] : [" ", arg])));
    if (name === "#") return String(this.#args.length);
    if (name === "0") return this.variables.get("DPKG_MAINTSCRIPT_NAME");
    if (/^[1-9]\d*$/.test(name)) return Number(name) <= this.#args.length ? this.#args[Number(name) - 1] : "";
    if (/^[?$!-]$/.test(name)) return undefined;
    return this.variables.has(name) ? this.variables.get(name) : "";
  }

  #substitute(body: List): Value {
    const { output } = this.#catching(["exit"], () => this.#list(body));
    return output?.replace(/\n+$/, "");
  }
}

const unknown: Outcome = { status: undefined, output: undefined };

function statusOf(code: Value): Status {
  return code === undefined || !/^\d+$/.test(code) ? undefined : Number(code) === 0;
}
