import { OPEN_ROUND, STAR, COMMA, DOT, COLON, SEMICOLON, EQUALS } from "./characters.ts";
import { closing, headerEnd, nextOf, requiredParameters } from "./brackets.ts";
import { ExpressionReader, stringValue, type Expression } from "./expression.ts";
import type { ImportPlace, ImportFact, FunctionFact, PythonFacts } from "./module-facts.ts";
import { PythonLexer } from "./lex.ts";
import { MAX_MODULE_STRING, moduleString, dottedModule, isImporter, mayBeModule } from "./module-strings.ts";
import { token } from "./token.ts";

/** Reads the facts of a module. Never throws: what Python would refuse is read as far as it goes. */
export function scanPython(source: string): PythonFacts {
  const known = scanned.get(source);
  if (known) return known;
  const facts = new Scanner(source).scan();
  if (scanned.size < mostScanned) scanned.set(source, facts);
  return facts;
}

/** The project's modules are asked about several times in a run: for apps, for imports, for what the image lacks. */
const scanned = new Map<string, PythonFacts>();
const mostScanned = 500;

interface Block {
  indent: number;
  kind: "function" | "class" | "try" | "handler" | "type-checking" | "conditional" | "match" | "plain";
  /** Scope inside it. */
  scope: string;
  function?: FunctionFact;
  group?: TryGroup;
  /** `if __name__ == "__main__":` */
  asProgram?: boolean;
}

/** A try statement. Imports in it are forgiven when a handler catches ImportError and doesn't raise it anew. */
interface TryGroup {
  catches: boolean;
  raises: boolean;
}

class Scanner {
  readonly #line: PythonLexer;
  readonly #blocks: Block[] = [];
  /** The block that the current line ended, for `else`, `except` and `finally`. */
  #closed: Block | undefined;
  readonly #guarded: { fact: ImportFact; groups: TryGroup[] }[] = [];
  readonly #facts: PythonFacts = {
    imports: [],
    aliases: new Map(),
    assignments: [],
    functions: [],
    classes: [],
    calls: [],
    strings: [],
  };

  constructor(source: string) {
    this.#line = new PythonLexer(source);
  }

  scan(): PythonFacts {
    while (this.#line.next()) {
      this.#closeBlocks();
      this.#scanStrings();
      this.#scanLine();
    }
    for (const { fact, groups } of this.#guarded) {
      if (groups.some((group) => group.catches && !group.raises)) fact.where = "try";
    }
    return this.#facts;
  }

  #closeBlocks(): void {
    this.#closed = undefined;
    while (this.#blocks.length > 0 && (this.#blocks.at(-1) as Block).indent >= this.#line.indent) {
      this.#closed = this.#blocks.pop();
    }
  }

  #scanStrings(): void {
    const line = this.#line;
    for (let index = 0; index < line.count; index++) {
      if (line.kinds[index] !== token.string) continue;
      const start = line.starts[index] as number;
      const end = line.ends[index] as number;
      if (end - start > MAX_MODULE_STRING) continue;
      const imported = index >= 2 && line.kinds[index - 1] === OPEN_ROUND && isImporter(line, index - 2);
      if (!imported && !mayBeModule(line.source, start, end)) continue;
      const value = stringValue(line.text(index)) ?? "";
      if (moduleString.test(value)) this.#facts.strings.push({ value, line: line.lines[index] as number });
      if (imported && dottedModule.test(value))
        this.#import({ module: value, names: [], line: line.lines[index] as number, dynamic: true });
    }
  }

  #scanLine(): void {
    const line = this.#line;
    if (line.kinds[0] !== token.name) return this.#scanSimple(0);
    const first = line.text(0);
    const word = first === "async" && line.count > 1 ? line.text(1) : first;
    const handler = compound.get(word);
    if (handler === undefined || !this.#isCompound(word)) return this.#scanSimple(0);
    const body = headerEnd(line);
    this.#blocks.push(this.#open(handler, { at: word === first ? 0 : 1, end: body }));
    if (body < line.count) this.#scanSimple(body);
  }

  /** `match` and `case` are names unless the line is a statement of theirs. */
  #isCompound(word: string): boolean {
    const line = this.#line;
    if (word !== "match" && word !== "case") return true;
    const next = line.kinds[1];
    if (next === EQUALS || next === COMMA || next === DOT || next === COLON || line.count < 3) return false;
    if (word === "case") return this.#blocks.at(-1)?.kind === "match" && headerEnd(line) <= line.count;
    return line.kinds[line.count - 1] === COLON;
  }

  #open(kind: CompoundKind, header: { at: number; end: number }): Block {
    const { indent } = this.#line;
    const scope = this.#scope();
    switch (kind) {
      case "def":
        return this.#openFunction(header.at);
      case "class":
        return this.#openClass(header.at);
      case "if":
        return { indent, kind: this.#condition(header), scope, asProgram: this.#asksForMain(header) };
      case "elif":
        return { indent, kind: "conditional", scope };
      case "else":
        return {
          indent,
          kind: this.#closed?.kind === "conditional" || this.#closed?.group ? "conditional" : "plain",
          scope,
        };
      case "try":
        return { indent, kind: "try", scope, group: { catches: false, raises: false } };
      case "except":
        return this.#openHandler(header);
      case "with":
        return this.#openWith(header);
      case "match":
        return { indent, kind: "match", scope };
      case "case":
        return { indent, kind: "conditional", scope };
      case "plain":
        return { indent, kind: "plain", scope };
    }
  }

  #openFunction(at: number): Block {
    const line = this.#line;
    const name = line.kinds[at + 1] === token.name ? line.text(at + 1) : "";
    const scope = this.#scope();
    const fact: FunctionFact = {
      name,
      line: line.lines[at] as number,
      scope,
      returned: [],
      required: 0,
      async: line.text(0) === "async",
    };
    const open = nextOf(line, at + 1, OPEN_ROUND);
    const close = closing(line, open);
    fact.required = requiredParameters(line, open, close);
    if (line.kinds[close + 1] === token.arrow) {
      const returns = new ExpressionReader(line, close + 2, line.count).annotation();
      if (returns !== undefined) fact.returns = returns;
    }
    this.#facts.functions.push(fact);
    return { indent: line.indent, kind: "function", scope: joinScope(scope, name), function: fact };
  }

  #openClass(at: number): Block {
    const line = this.#line;
    const name = line.kinds[at + 1] === token.name ? line.text(at + 1) : "";
    const scope = this.#scope();
    const bases: string[] = [];
    const open = nextOf(line, at + 1, OPEN_ROUND);
    if (open < line.count) {
      const { args } = new ExpressionReader(line, open, line.count).arguments(name);
      for (const base of args) if (base.kind === "name") bases.push(base.name);
    }
    this.#facts.classes.push({ name, line: line.lines[at] as number, scope, bases });
    return { indent: line.indent, kind: "class", scope: joinScope(scope, name) };
  }

  #condition({ at, end }: { at: number; end: number }): Block["kind"] {
    const line = this.#line;
    const reader = new ExpressionReader(line, at + 1, end - 1);
    const name = reader.dottedName();
    const whole = reader.index === end - 1;
    if (whole && /(?:^|\.)TYPE_CHECKING$/.test(name)) return "type-checking";
    // `if not TYPE_CHECKING:` always runs.
    if (name === "not" && line.text(end - 2) === "TYPE_CHECKING") return "plain";
    return whole && name === "True" ? "plain" : "conditional";
  }

  #asksForMain({ at, end }: { at: number; end: number }): boolean {
    const line = this.#line;
    return end - at === 5 && line.text(at + 1) === "__name__" && /^["']__main__["']$/.test(line.text(at + 3));
  }

  #openHandler({ at, end }: { at: number; end: number }): Block {
    const { indent } = this.#line;
    const group = this.#closed?.group;
    if (group && (end - at <= 2 || this.#names(at, end).some((name) => importErrors.has(name)))) group.catches = true;
    return { indent, kind: "handler", scope: this.#scope(), group };
  }

  #openWith({ at, end }: { at: number; end: number }): Block {
    const { indent } = this.#line;
    const names = this.#names(at, end);
    const suppresses = names.includes("suppress") && names.some((name) => importErrors.has(name));
    if (!suppresses) return { indent, kind: "plain", scope: this.#scope() };
    return { indent, kind: "try", scope: this.#scope(), group: { catches: true, raises: false } };
  }

  #names(start: number, end: number): string[] {
    const names: string[] = [];
    for (let index = start; index < end; index++) {
      if (this.#line.kinds[index] === token.name) names.push(this.#line.text(index));
    }
    return names;
  }

  #scope(): string {
    return this.#blocks.at(-1)?.scope ?? "";
  }

  /** The simple statements of the line, from a token on: they are separated by semicolons. */
  #scanSimple(start: number): void {
    const line = this.#line;
    let from = start;
    while (from < line.count) {
      const end = nextOf(line, from, SEMICOLON);
      if (end > from && line.kinds[from] === token.name) this.#scanStatement(from, end);
      from = end + 1;
    }
  }

  #scanStatement(start: number, end: number): void {
    switch (this.#line.text(start)) {
      case "import":
        return this.#scanImport(start + 1, end);
      case "from":
        return this.#scanFrom(start + 1, end);
      case "return":
        return this.#scanReturn(start + 1, end);
      case "raise": {
        const block = this.#blocks.at(-1);
        if (block?.kind === "handler" && block.group) block.group.raises = true;
        return;
      }
      default:
        return this.#scanExpression(start, end);
    }
  }

  #scanImport(start: number, end: number): void {
    const line = this.#line;
    const reader = new ExpressionReader(line, start, end);
    while (reader.index < end) {
      const at = line.lines[reader.index] as number;
      const module = reader.dottedName();
      if (module === "") return;
      this.#import({ module, names: [], line: at });
      if (reader.index < end && line.kinds[reader.index] === token.name && line.text(reader.index) === "as") {
        if (reader.index + 1 < end) this.#facts.aliases.set(line.text(reader.index + 1), module);
        reader.index += 2;
      } else {
        const top = module.split(".", 1)[0] as string;
        if (!this.#facts.aliases.has(top)) this.#facts.aliases.set(top, top);
      }
      if (line.kinds[reader.index] !== COMMA) return;
      reader.index++;
    }
  }

  #scanFrom(start: number, end: number): void {
    const line = this.#line;
    const at = line.lines[start] as number;
    let index = start;
    let module = "";
    for (; index < end && (line.kinds[index] === DOT || line.kinds[index] === token.ellipsis); index++)
      module += line.text(index);
    const reader = new ExpressionReader(line, index, end);
    if (!(module !== "" && line.kinds[index] === token.name && line.text(index) === "import"))
      module += reader.dottedName();
    index = reader.index;
    if (module === "" || index >= end || line.text(index) !== "import") return;
    const prefix = module.endsWith(".") ? module : `${module}.`;
    const names: string[] = [];
    for (index++; index < end; index++) {
      if (line.kinds[index] === STAR) names.push("*");
      if (line.kinds[index] !== token.name) continue;
      const name = line.text(index);
      const renamed = index + 2 < end && line.kinds[index + 1] === token.name && line.text(index + 1) === "as";
      names.push(name);
      this.#facts.aliases.set(renamed ? line.text(index + 2) : name, prefix + name);
      if (renamed) index += 2;
    }
    this.#import({ module, names, line: at });
  }

  #import(fact: Omit<ImportFact, "where">): void {
    const groups: TryGroup[] = [];
    let where: ImportPlace = "top";
    for (const block of this.#blocks) {
      if (block.kind === "type-checking") where = "type-checking";
      else if (where === "type-checking") break;
      else if (block.kind === "function") where = "function";
      else if (where === "top" && block.kind === "conditional") where = "conditional";
      else if (where !== "function" && block.kind === "handler") where = "try";
      if (block.kind === "try" && block.group) groups.push(block.group);
    }
    const asProgram = this.#blocks.some((block) => block.asProgram);
    const placed: ImportFact = { ...fact, where, ...(asProgram ? { asProgram } : {}) };
    this.#facts.imports.push(placed);
    if (groups.length > 0 && (where === "top" || where === "conditional")) this.#guarded.push({ fact: placed, groups });
  }

  #scanReturn(start: number, end: number): void {
    const owner = this.#blocks.findLast((block) => block.kind === "function")?.function;
    if (!owner || start >= end) return;
    const value = new ExpressionReader(this.#line, start, end).read();
    if (value.kind === "name" || value.kind === "call") owner.returned.push(value);
  }

  /** `name = …`, `name: Class = …`, `a = b = …` and calls; nothing else is of interest. */
  #scanExpression(start: number, end: number): void {
    const line = this.#line;
    const reader = new ExpressionReader(line, start, end);
    const at = line.lines[start] as number;
    const name = reader.dottedName();
    const kind = reader.index < end ? line.kinds[reader.index] : 0;
    if (kind === OPEN_ROUND) {
      const call = reader.arguments(name);
      if (reader.index === end) this.#facts.calls.push({ call, scope: this.#scope(), line: at });
      return;
    }
    if (kind === COLON) {
      reader.index++;
      const annotation = reader.annotation();
      const equals = nextOf(line, reader.index, EQUALS);
      const value: Expression = equals < end ? new ExpressionReader(line, equals + 1, end).read() : { kind: "other" };
      this.#facts.assignments.push({ name, annotation, value, scope: this.#scope(), line: at });
      return;
    }
    const targets = [name];
    while (reader.index < end && line.kinds[reader.index] === EQUALS) {
      reader.index++;
      const from = reader.index;
      const next = reader.dottedName();
      if (next !== "" && reader.index < end && line.kinds[reader.index] === EQUALS) {
        targets.push(next);
        continue;
      }
      const value = new ExpressionReader(line, from, end).read();
      if (value.kind === "other") return;
      for (const target of targets)
        this.#facts.assignments.push({ name: target, value, scope: this.#scope(), line: at });
      return;
    }
  }
}

type CompoundKind = "def" | "class" | "if" | "elif" | "else" | "try" | "except" | "with" | "match" | "case" | "plain";

const compound = new Map<string, CompoundKind>([
  ["def", "def"],
  ["class", "class"],
  ["if", "if"],
  ["elif", "elif"],
  ["else", "else"],
  ["try", "try"],
  ["except", "except"],
  ["finally", "plain"],
  ["for", "plain"],
  ["while", "plain"],
  ["with", "with"],
  ["match", "match"],
  ["case", "case"],
]);

const importErrors = new Set(["ImportError", "ModuleNotFoundError", "Exception", "BaseException"]);

function joinScope(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}
