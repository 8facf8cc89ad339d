/** One simple command of a shell line. */
export interface ShellCommand {
  words: string[];
  /** Assignments before it; alone, with no words, they set variables. */
  assignments: Record<string, string>;
  /** What joins it to the next one: `&&`, `||`, `;`, `|`, `&`, or nothing at the end. */
  operator: string;
  /** Line within the text, from 1. */
  line: number;
  /** Holds a variable without a known value or a command substitution, so its words are not what will run. */
  dynamic: boolean;
}

/** Value of a variable, undefined when it isn't known. */
export type Lookup = (name: string) => string | undefined;

/**
 * Takes a POSIX shell text apart into simple commands, without running anything: quotes, escapes, continuation, comments,
 * operators, `$name` and `${name:-default}`. Control flow is flattened: the commands in all branches are given.
 */
export function parseShell(text: string, lookup: Lookup = () => undefined): ShellCommand[] {
  return new ShellReader(text, lookup).read();
}

class ShellReader {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #variables = new Map<string, string>();
  readonly #commands: ShellCommand[] = [];
  #position = 0;
  #line = 1;
  #word: string | undefined;
  #quoted = false;
  #current: ShellCommand = emptyCommand(1);

  constructor(text: string, lookup: Lookup) {
    this.#text = text;
    this.#lookup = lookup;
  }

  read(): ShellCommand[] {
    const text = this.#text;
    while (this.#position < text.length) {
      const character = text[this.#position] as string;
      if (character === "\\") this.#escape();
      else if (character === "'") this.#single();
      else if (character === '"') this.#double();
      else if (character === "$" || character === "`") this.#expand(false);
      else if (character === "#" && this.#word === undefined) this.#comment();
      else if (character === "\n") {
        this.#endCommand(";");
        this.#position++;
        this.#line++;
        this.#current.line = this.#line;
      } else if (/\s/.test(character)) {
        this.#endWord();
        this.#position++;
      } else if (character === "<" || character === ">") this.#redirection();
      else if (/[;&|()]/.test(character)) this.#operator();
      else this.#append(character);
    }
    this.#endCommand("");
    return this.#commands;
  }

  #append(character: string): void {
    this.#word = (this.#word ?? "") + character;
    this.#position++;
  }

  #escape(): void {
    const next = this.#text[this.#position + 1];
    this.#position += 2;
    if (next === "\n") this.#line++;
    else if (next === "\r" && this.#text[this.#position] === "\n") {
      this.#position++;
      this.#line++;
    } else this.#word = (this.#word ?? "") + (next ?? "");
  }

  #single(): void {
    const end = this.#text.indexOf("'", this.#position + 1);
    const value = this.#text.slice(this.#position + 1, end === -1 ? undefined : end);
    this.#line += value.split("\n").length - 1;
    this.#word = (this.#word ?? "") + value;
    this.#quoted = true;
    this.#position = end === -1 ? this.#text.length : end + 1;
  }

  #double(): void {
    this.#word ??= "";
    this.#quoted = true;
    this.#position++;
    while (this.#position < this.#text.length && this.#text[this.#position] !== '"') {
      const character = this.#text[this.#position] as string;
      if (character === "$" || character === "`") this.#expand(true);
      else if (character === "\\" && /["\\$`\n]/.test(this.#text[this.#position + 1] ?? "")) this.#escape();
      else {
        if (character === "\n") this.#line++;
        this.#append(character);
      }
    }
    this.#position++;
  }

  #expand(quoted: boolean): void {
    const rest = this.#text.slice(this.#position, this.#position + 4096);
    const variable = /^\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+?=])((?:[^{}\\]|\\.|\$\{[^{}]*\})*))?\})/.exec(
      rest,
    );
    if (!variable) return this.#substitution(rest);
    const [whole, plain, braced, operator, alternative = ""] = variable;
    const name = (plain ?? braced) as string;
    this.#position += whole.length;
    const known = this.#variables.get(name) ?? this.#lookup(name);
    const value = this.#choose({ known, operator, alternative });
    if (value === undefined) {
      this.#current.dynamic = true;
      this.#word = (this.#word ?? "") + whole;
      return;
    }
    // An unquoted variable with several words gives several words.
    const [first = "", ...others] = quoted ? [value] : value.split(/\s+/).filter((part) => part !== "");
    if (first !== "" || quoted) this.#word = (this.#word ?? "") + first;
    for (const other of others) {
      this.#endWord();
      this.#word = other;
    }
  }

  #choose({
    known,
    operator,
    alternative,
  }: {
    known?: string;
    operator?: string;
    alternative: string;
  }): string | undefined {
    const set = operator?.startsWith(":") ? known !== undefined && known !== "" : known !== undefined;
    if (operator?.endsWith("+")) return set ? unquoted(alternative) : "";
    if (set) return known;
    if (operator?.endsWith("-") || operator?.endsWith("=")) return this.#alternative(alternative);
    return known;
  }

  /** What stands for a variable that is not set; undefined when it needs one that isn't known. */
  #alternative(text: string): string | undefined {
    let known = true;
    const value = unquoted(text).replaceAll(
      /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^{}]*))?\})/g,
      (_whole, ...[plain, braced, fallback]: (string | undefined)[]) => {
        const name = plain ?? braced ?? "";
        const found = this.#variables.get(name) ?? this.#lookup(name) ?? fallback;
        known &&= found !== undefined;
        return found ?? "";
      },
    );
    return known ? value : undefined;
  }

  /** `$(…)`, backquotes, `$@`, `$1`: nothing is run, the text stays as it is. */
  #substitution(rest: string): void {
    let length = 1;
    if (rest.startsWith("$(")) {
      let depth = 0;
      for (length = 1; length < rest.length; length++) {
        if (rest[length] === "(") depth++;
        else if (rest[length] === ")" && --depth === 0) break;
      }
      length++;
    } else if (rest.startsWith("`")) {
      const end = rest.indexOf("`", 1);
      length = end === -1 ? rest.length : end + 1;
    } else if (/^\$[@*#?$!0-9-]/.test(rest)) length = 2;
    const text = rest.slice(0, length);
    if (text !== "$") this.#current.dynamic = true;
    this.#line += text.split("\n").length - 1;
    this.#word = (this.#word ?? "") + text;
    this.#position += Math.max(1, text.length);
  }

  #comment(): void {
    const end = this.#text.indexOf("\n", this.#position);
    this.#position = end === -1 ? this.#text.length : end;
  }

  /** `2>&1`, `> file`, `<<EOF` with its body: dropped. */
  #redirection(): void {
    if (this.#word !== undefined && /^\d+$/.test(this.#word)) this.#word = undefined;
    this.#endWord();
    const rest = this.#text.slice(this.#position);
    const heredoc = /^<<(-?)\s*(["']?)([A-Za-z_]\w*)\2([^\n]*)\n/.exec(rest);
    if (heredoc) {
      const [whole, dash, , word = ""] = heredoc;
      const end = new RegExp(`^${dash ? "\\t*" : ""}${word}[ \\t]*$`, "m").exec(rest.slice(whole.length));
      const length = end ? whole.length + end.index + end[0].length : rest.length;
      this.#line += rest.slice(0, length).split("\n").length - 1;
      this.#position += length;
      return;
    }
    const match = /^(?:<<<|>>|<>|[<>]&?|>\|)[ \t]*(?:"[^"]*"|'[^']*'|[^\s;&|()<>]*)/.exec(rest);
    this.#position += Math.max(1, match?.[0].length ?? 1);
  }

  #operator(): void {
    const two = this.#text.slice(this.#position, this.#position + 2);
    const operator = two === "&&" || two === "||" || two === ";;" ? two : (two[0] as string);
    // `&>file` is a redirection.
    if (operator === "&" && two === "&>") {
      this.#position++;
      return this.#redirection();
    }
    this.#position += operator.length;
    this.#endCommand(operator === "(" || operator === ")" || operator === ";;" ? ";" : operator);
  }

  #endWord(): void {
    const word = this.#word;
    const quoted = this.#quoted;
    this.#word = undefined;
    this.#quoted = false;
    if (word === undefined) return;
    const { words, assignments } = this.#current;
    if (words.length === 0) {
      const assignment = /^([A-Za-z_]\w*)=(.*)$/s.exec(word);
      if (assignment) {
        assignments[assignment[1] as string] = assignment[2] as string;
        return;
      }
      if (!quoted && keywords.has(word)) return;
    }
    words.push(word);
  }

  #endCommand(operator: string): void {
    this.#endWord();
    const command = this.#current;
    const { words, assignments } = command;
    this.#current = emptyCommand(this.#line);
    const exported = words[0] === "export" || words[0] === "readonly" || words[0] === "local";
    if (exported) {
      for (const word of words.slice(1)) {
        const at = word.indexOf("=");
        if (at > 0) assignments[word.slice(0, at)] = word.slice(at + 1);
      }
    }
    if ((words.length === 0 || exported) && !command.dynamic) {
      for (const [name, value] of Object.entries(assignments)) this.#variables.set(name, value);
    }
    if (words.length === 0 && Object.keys(assignments).length === 0) {
      const last = this.#commands.at(-1);
      if (last && operator !== "" && operator !== ";") last.operator = operator;
      return;
    }
    this.#commands.push({ ...command, operator });
  }
}

/** Words that begin a command without being one. */
const keywords = new Set(["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "{", "}", "!", "time"]);

function emptyCommand(line: number): ShellCommand {
  return { words: [], assignments: {}, operator: "", line, dynamic: false };
}

function unquoted(text: string): string {
  return text.replaceAll(/^(["'])(.*)\1$/gs, "$2");
}

/** Words as a shell line that gives the same words. */
export function shellQuote(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
