import type { ShellSyntaxError, Word, WordPart } from "./syntax.ts";

/** What reading a parameter needs of the parser. */
export interface WordReader {
  peek(ahead?: number): string;
  next(): string;
  expansion(char: string, quoted: boolean): WordPart;
  fail(message: string): ShellSyntaxError;
}

/** Reads `{name}`, `{#name}` or `{name OPERATOR word}` behind a `$` (POSIX.1-2024, XCU 2.6.2). */
export function readBraceParameter(reader: WordReader, quoted: boolean): WordPart {
  reader.next();
  if (reader.peek() === "#" && /[A-Za-z0-9_]/.test(reader.peek(1))) {
    while (reader.peek() !== "}" && reader.peek() !== "") reader.next();
    reader.next();
    return { type: "unknown", quoted };
  }
  let name = "";
  while (/^[A-Za-z0-9_]$/.test(reader.peek())) name += reader.next();
  if (name === "") name = reader.next();
  let operator = "";
  while (/^[:=?+%#-]$/.test(reader.peek()) && operator.length < 2) operator += reader.next();
  if (operator === "" && reader.peek() !== "}")
    throw reader.fail(`\${${name}${reader.peek()} is not in the shell's grammar`);
  const argument = readArgument(reader);
  return operator === ""
    ? { type: "parameter", name, quoted }
    : { type: "parameter", name, operator, argument, quoted };
}

function readArgument(reader: WordReader): Word {
  const argument: Word = [];
  let quotedBy = "";
  for (;;) {
    const char = reader.next();
    if (char === "") throw reader.fail("a brace has no end");
    if (char === "}" && quotedBy === "") return argument;
    if ((char === '"' || char === "'") && (quotedBy === "" || quotedBy === char))
      quotedBy = quotedBy === "" ? char : "";
    else if (char === "\\") argument.push({ type: "text", text: reader.next(), quoted: true });
    else if ((char === "$" || char === "`") && quotedBy !== "'") argument.push(reader.expansion(char, quotedBy !== ""));
    else argument.push({ type: "text", text: char, quoted: quotedBy !== "" });
  }
}
