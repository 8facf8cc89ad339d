import { joinLines } from "./join-lines.ts";
import { readBraceParameter, type WordReader } from "./parse-word.ts";
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

/**
 * Parses a shell script. Job control, arrays and bash's other additions are not in the grammar.
 * @throws ShellSyntaxError
 */
export function parseShell(text: string): List {
  const parser = new Parser(joinLines(text));
  const list = parser.list([]);
  parser.expectEnd();
  return list;
}

const reserved = new Set(["then", "else", "elif", "fi", "do", "done", "esac", "}", ";;", ")"]);
const mostDepth = 200;

class Parser implements WordReader {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #depth = 0;
  #hereDocuments: { delimiter: string; redirect: Redirect; strip: boolean; quoted: boolean }[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Commands up to one of the words `end`, which is left unread. */
  list(end: string[]): List {
    if (++this.#depth > mostDepth) throw this.fail("it is nested too deep");
    const list: List = [];
    for (;;) {
      this.#skipSeparators();
      if (this.#at >= this.#text.length || end.some((word) => this.#peekWord(word))) break;
      list.push(this.#andOr());
    }
    this.#depth--;
    return list;
  }

  expectEnd(): void {
    if (this.#at < this.#text.length) throw this.fail(`${JSON.stringify(this.#text[this.#at])} is not expected here`);
  }

  fail(message: string): ShellSyntaxError {
    return new ShellSyntaxError(message, this.#line);
  }

  peek(ahead = 0): string {
    return this.#text[this.#at + ahead] ?? "";
  }

  next(): string {
    const char = this.#text[this.#at++] ?? "";
    if (char === "\n" || char === "\uE000") this.#line++;
    return char;
  }

  #andOr(): AndOr {
    const first = this.#pipeline();
    const rest: AndOr["rest"] = [];
    for (;;) {
      this.#skipBlanks();
      const operator = this.#text.slice(this.#at, this.#at + 2);
      if (operator !== "&&" && operator !== "||") break;
      this.#at += 2;
      this.#skipSeparators();
      rest.push({ operator, pipeline: this.#pipeline() });
    }
    return { first, rest };
  }

  #pipeline(): Pipeline {
    let negated = false;
    this.#skipBlanks();
    while (this.#takeWord("!")) {
      negated = !negated;
      this.#skipBlanks();
    }
    const commands = [this.#command()];
    for (;;) {
      this.#skipBlanks();
      if (this.peek() !== "|" || this.peek(1) === "|") break;
      this.next();
      this.#skipSeparators();
      commands.push(this.#command());
    }
    return { negated, commands };
  }

  #command(): Command {
    this.#skipBlanks();
    const line = this.#line;
    const compound = this.#compound(line);
    if (!compound) return this.#simple(line);
    for (let redirect = this.#redirect(); redirect; redirect = this.#redirect()) compound.redirects.push(redirect);
    return compound;
  }

  #compound(line: number): Command | undefined {
    const redirects: Redirect[] = [];
    if (this.#takeWord("if")) return this.#ifCommand(line);
    if (this.#takeWord("case")) return this.#caseCommand(line);
    if (this.#takeWord("for")) return this.#forCommand(line);
    if (this.#peekWord("while") || this.#peekWord("until")) {
      const until = this.#takeWord("until");
      if (!until) this.#takeWord("while");
      const condition = this.list(["do"]);
      return { type: "while", until, condition, body: this.#doGroup(), redirects, line };
    }
    if (this.#takeWord("{")) {
      const body = this.list(["}"]);
      this.#expectWord("}");
      return { type: "group", body, subshell: false, redirects, line };
    }
    if (this.peek() === "(") {
      this.next();
      const body = this.list([")"]);
      this.#expect(")");
      return { type: "group", body, subshell: true, redirects, line };
    }
    const name = /^(?:function[ \t]+)?([A-Za-z_][A-Za-z0-9_-]*)[ \t]*\([ \t]*\)/.exec(
      this.#text.slice(this.#at, this.#at + 200),
    );
    if (!name?.[1]) return undefined;
    this.#at += name[0].length;
    this.#skipSeparators();
    return { type: "function", name: name[1], body: this.#command(), redirects, line };
  }

  #ifCommand(line: number): Command {
    const branches: { condition: List; body: List }[] = [];
    let otherwise: List | undefined;
    do {
      const condition = this.list(["then"]);
      this.#expectWord("then");
      branches.push({ condition, body: this.list(["elif", "else", "fi"]) });
    } while (this.#takeWord("elif"));
    if (this.#takeWord("else")) otherwise = this.list(["fi"]);
    this.#expectWord("fi");
    return { type: "if", branches, ...(otherwise ? { otherwise } : {}), redirects: [], line };
  }

  #caseCommand(line: number): Command {
    this.#skipBlanks();
    const subject = this.#word();
    this.#skipSeparators();
    this.#expectWord("in");
    const arms: { patterns: Word[]; body: List }[] = [];
    for (;;) {
      this.#skipSeparators();
      if (this.#takeWord("esac")) break;
      if (this.peek() === "(") this.next();
      const patterns: Word[] = [];
      do {
        this.#skipBlanks();
        patterns.push(this.#word());
        this.#skipBlanks();
      } while (this.#take("|"));
      this.#expect(")");
      arms.push({ patterns, body: this.list([";;", "esac"]) });
      this.#takeWord(";;");
    }
    return { type: "case", subject, arms, redirects: [], line };
  }

  #forCommand(line: number): Command {
    this.#skipBlanks();
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(this.#text.slice(this.#at, this.#at + 100))?.[0];
    if (!name) throw this.fail("a for loop without a name");
    this.#at += name.length;
    this.#skipSeparators(false);
    let words: Word[] | undefined;
    if (this.#takeWord("in")) {
      words = [];
      for (this.#skipBlanks(); !/^[;\n]?$/.test(this.peek()); this.#skipBlanks()) words.push(this.#word());
    }
    return { type: "for", name, ...(words ? { words } : {}), body: this.#doGroup(), redirects: [], line };
  }

  #doGroup(): List {
    this.#skipSeparators();
    this.#expectWord("do");
    const body = this.list(["done"]);
    this.#expectWord("done");
    return body;
  }

  #simple(line: number): SimpleCommand {
    const command: SimpleCommand = { type: "simple", assignments: [], words: [], redirects: [], line };
    for (;;) {
      this.#skipBlanks();
      const redirect = this.#redirect();
      if (redirect) {
        command.redirects.push(redirect);
        continue;
      }
      if (/^[;\n&|()]?$/.test(this.peek()) || (this.peek() === "#" && this.#atWordStart())) break;
      const assignment =
        command.words.length === 0 && /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(this.#text.slice(this.#at, this.#at + 100));
      if (assignment && assignment[1]) {
        this.#at += assignment[0].length;
        const isEmpty = /^[\s;&|()\uE000]?$/.test(this.peek());
        command.assignments.push({ name: assignment[1], value: isEmpty ? [] : this.#word() });
        continue;
      }
      command.words.push(this.#word());
    }
    if (command.words.length === 0 && command.assignments.length === 0 && command.redirects.length === 0) {
      throw this.fail(`${JSON.stringify(this.peek())} is not expected here`);
    }
    const [only] = command.words[0] ?? [];
    if (only?.type === "text" && !only.quoted && reserved.has(only.text))
      throw this.fail(`${only.text} is not expected here`);
    return command;
  }

  #redirect(): Redirect | undefined {
    this.#skipBlanks();
    const match = /^(\d?)(<<-?|>>|>&|<&|<>|>\||<|>)/.exec(this.#text.slice(this.#at, this.#at + 4));
    if (!match?.[2]) return undefined;
    this.#at += match[0].length;
    this.#skipBlanks();
    const descriptor = match[1] ? { descriptor: Number(match[1]) } : {};
    const target = this.#word();
    if (!match[2].startsWith("<<")) return { operator: match[2] as Redirect["operator"], ...descriptor, target };
    const redirect: Redirect = { operator: "<<", ...descriptor, target: [] };
    const quoted = target.some((part) => part.quoted);
    const delimiter = target.map((part) => (part.type === "text" ? part.text : "")).join("");
    this.#hereDocuments.push({ delimiter, redirect, strip: match[2] === "<<-", quoted });
    return redirect;
  }

  #readHereDocuments(): void {
    for (const { delimiter, redirect, strip, quoted } of this.#hereDocuments.splice(0)) {
      const lines: string[] = [];
      for (;;) {
        if (this.#at >= this.#text.length) throw this.fail(`the here-document has no end: ${delimiter}`);
        const found = this.#text.indexOf("\n", this.#at);
        const end = found < 0 ? this.#text.length : found;
        const raw = this.#text.slice(this.#at, end);
        const line = strip ? raw.replace(/^\t+/, "") : raw;
        this.#at = Math.min(end + 1, this.#text.length);
        this.#line += 1;
        if (line === delimiter) break;
        lines.push(`${line}\n`);
      }
      const text = lines.join("");
      redirect.target =
        quoted || !/[$`\\]/.test(text) ? [{ type: "text", text, quoted: true }] : [{ type: "unknown", quoted: true }];
    }
  }

  #word(): Word {
    const word: Word = [];
    while (!/^[\s;&|<>()\uE000]?$/.test(this.peek())) this.#part(word);
    if (word.length === 0) throw this.fail(`${JSON.stringify(this.peek())} is not expected here`);
    return word;
  }

  #part(word: Word): void {
    const char = this.next();
    if (char === "'") return void word.push({ type: "text", text: this.#until("'"), quoted: true });
    if (char === '"') return this.#doubleQuoted(word);
    if (char === "\\") return void word.push({ type: "text", text: this.next(), quoted: true });
    if (char === "$" || char === "`") return void word.push(this.expansion(char, false));
    const last = word.at(-1);
    if (last?.type === "text" && !last.quoted) last.text += char;
    else word.push({ type: "text", text: char, quoted: false });
  }

  #doubleQuoted(word: Word): void {
    let text = "";
    const flush = () => {
      if (text !== "") word.push({ type: "text", text, quoted: true });
      text = "";
    };
    const start = word.length;
    for (;;) {
      if (this.#at >= this.#text.length) throw this.fail("a quote has no end");
      const char = this.next();
      if (char === '"') break;
      if (char === "\uE000") text = text.replace(/ $/, "");
      else if (char === "\\" && /[$`"\\]/.test(this.peek())) text += this.next();
      else if (char === "$" || char === "`") {
        flush();
        word.push(this.expansion(char, true));
      } else text += char;
    }
    flush();
    if (word.length === start) word.push({ type: "text", text: "", quoted: true });
  }

  /** What follows a `$` or a backquote. */
  expansion(char: string, quoted: boolean): Word[number] {
    if (char === "`") {
      const body = this.#until("`").replace(/\\([$`\\])/g, "$1");
      return { type: "substitution", body: parseShell(body), quoted };
    }
    if (this.peek() === "(" && this.peek(1) === "(") {
      this.#skipBalanced();
      return { type: "unknown", quoted };
    }
    if (this.peek() === "(") {
      this.next();
      const body = this.list([")"]);
      this.#expect(")");
      return { type: "substitution", body, quoted };
    }
    if (this.peek() === "{") return readBraceParameter(this, quoted);
    const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])/.exec(this.#text.slice(this.#at, this.#at + 100))?.[0];
    if (name === undefined) return { type: "text", text: "$", quoted };
    this.#at += name.length;
    return { type: "parameter", name, quoted };
  }

  /** Arithmetic, of which only the end matters. */
  #skipBalanced(): void {
    let depth = 0;
    do {
      if (this.#at >= this.#text.length) throw this.fail("a parenthesis has no end");
      const char = this.next();
      if (char === "(") depth++;
      if (char === ")") depth--;
    } while (depth > 0);
  }

  #until(end: string): string {
    let text = "";
    for (;;) {
      if (this.#at >= this.#text.length) throw this.fail("a quote has no end");
      const char = this.next();
      if (char === end) return text;
      text += char;
      if (char === "\\" && end === "`") text += this.next();
    }
  }

  #skipBlanks(): void {
    while (/^[ \t\uE000]$/.test(this.peek())) this.next();
    if (this.peek() === "#" && this.#atWordStart())
      while (this.#at < this.#text.length && !/[\n\uE000]/.test(this.peek())) this.#at++;
  }

  #atWordStart(): boolean {
    return this.#at === 0 || /[\s;&|()\uE000]/.test(this.#text[this.#at - 1] ?? "");
  }

  #skipSeparators(withSemicolons = true): void {
    for (;;) {
      this.#skipBlanks();
      if (this.peek() === "\n") {
        this.next();
        this.#readHereDocuments();
      } else if (
        withSemicolons &&
        ((this.peek() === ";" && this.peek(1) !== ";") || (this.peek() === "&" && this.peek(1) !== "&"))
      )
        this.next();
      else if (!withSemicolons && this.peek() === ";") this.next();
      else return;
    }
  }

  #peekWord(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    return word === ")" || word === ";;" || /^[\s;&|()<>\uE000]?$/.test(this.peek(word.length));
  }

  #takeWord(word: string): boolean {
    if (!this.#peekWord(word)) return false;
    this.#at += word.length;
    return true;
  }

  #take(char: string): boolean {
    return this.peek() === char && this.next() !== "";
  }

  #expect(char: string): void {
    this.#skipSeparators();
    if (!this.#take(char)) throw this.fail(`${char} is missing`);
  }

  #expectWord(word: string): void {
    this.#skipSeparators();
    if (!this.#takeWord(word)) throw this.fail(`${word} is missing`);
  }
}
