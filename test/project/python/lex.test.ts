import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePython } from "../../../src/project/python/decode.ts";
import { scanPython } from "../../../src/project/python/facts.ts";
import { PythonLexer } from "../../../src/project/python/lex.ts";
import { token } from "../../../src/project/python/token.ts";

/** Every logical line as `line:indent` and its tokens. */
function lex(source: string): string[] {
  const lexer = new PythonLexer(source);
  const lines: string[] = [];
  while (lexer.next()) {
    const tokens = Array.from({ length: lexer.count }, (_, index) => lexer.text(index));
    lines.push(`${lexer.lines[0]}:${lexer.indent} ${tokens.join(" ")}`);
  }
  return lines;
}

describe("PythonLexer", () => {
  it.each([
    ["names and operators", "a.b==c->d:=e**f...", ["1:0 a . b == c -> d := e ** f ..."]],
    ["numbers", "1_0.5e-3j+.5+0xFF.real", ["1:0 1_0.5e-3j + .5 + 0xFF . real"]],
    ["a number before a keyword", "1if x else 0or y", ["1:0 1 if x else 0 or y"]],
    ["strings of all prefixes", `r'\\\\' b"a" Rb'x' u"y" 'a\\'b'`, [`1:0 r'\\\\' b"a" Rb'x' u"y" 'a\\'b'`]],
    ["triple quotes over lines", `x = """a\n"b" ""\\"""\n"""\ny`, ['1:0 x = """a\n"b" ""\\"""\n"""', "4:0 y"]],
    [
      "nested f-strings of the same quotes",
      `f"{d["k"]!r:>{w}} {f"{'x'}"}" + a`,
      [`1:0 f"{d["k"]!r:>{w}} {f"{'x'}"}" + a`],
    ],
    ["braces and escapes in f-strings", `f"{{}} \\N{DASH} {a:%Y\\n}" b`, [`1:0 f"{{}} \\N{DASH} {a:%Y\\n}" b`]],
    ["a comment in an f-string's field", 'f"""{a # }"\n}""" b', ['1:0 f"""{a # }"\n}""" b']],
    ["raw f-strings and templates", `rf'\\{x}' t"{y}" z`, [`1:0 rf'\\{x}' t"{y}" z`]],
    ["brackets over lines", "a(\n  1, # c\n\n  2)\nb", ["1:0 a ( 1 , 2 )", "5:0 b"]],
    ["continuation", "a + \\\n  b\nc", ["1:0 a + b", "3:0 c"]],
    ["indentation with tabs and form feeds", "if a:\n\tb\n \tc\n\f  d\n", ["1:0 if a :", "2:8 b", "3:8 c", "4:2 d"]],
    ["all line ends", "a\r\nb\rc\nd", ["1:0 a", "2:0 b", "3:0 c", "4:0 d"]],
    ["a byte order mark and no last line end", "\uFEFFa # b", ["1:0 a"]],
    ["names outside ASCII", "größe = µ", ["1:0 größe = µ"]],
    ["a string that isn't closed", "x = 'a\ny = 1", ["1:0 x = 'a", "2:0 y = 1"]],
  ])("%s", (_, source, expected) => {
    expect(lex(source)).toEqual(expected);
  });

  it("tells the kinds of literals", () => {
    const lexer = new PythonLexer(`a 1 'x' f"y" +`);
    lexer.next();
    expect([...lexer.kinds.subarray(0, lexer.count)]).toEqual([
      token.name,
      token.number,
      token.string,
      token.format,
      "+".charCodeAt(0),
    ]);
  });

  it("terminates on anything, with tokens in order and inside the source", () => {
    const piece = fc.constantFrom(
      'f"',
      "'",
      '"""',
      "{",
      "}",
      "(",
      ")",
      "[",
      "\\",
      "\n",
      "\r",
      "#",
      ":",
      "import a",
      " from . import b",
      "x = FastAPI(",
      "\t",
      "\0",
      "é",
      "1.",
      "=",
      "try:",
      "except ImportError:",
      "lambda:",
      "rb'",
      "!r",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const source = pieces.join("");
        const lexer = new PythonLexer(source);
        let last = 0;
        while (lexer.next()) {
          for (let index = 0; index < lexer.count; index++) {
            const [start, end] = [lexer.starts[index] as number, lexer.ends[index] as number];
            expect(start).toBeGreaterThanOrEqual(last);
            expect(end).toBeGreaterThan(start);
            expect(end).toBeLessThanOrEqual(source.length);
            last = end;
          }
        }
        scanPython(source);
      }),
      { numRuns: 2000 },
    );
  });

  it("survives nesting deeper than any stack", () => {
    expect(() => scanPython("f'{".repeat(100_000))).not.toThrow();
    expect(() => scanPython(`x = ${"[".repeat(100_000)}`)).not.toThrow();
    expect(() => scanPython(`x = ${"f(".repeat(50_000)}`)).not.toThrow();
  });
});

describe("decodePython", () => {
  it.each([
    ["UTF-8", Buffer.from("é"), "é"],
    ["a byte order mark", Buffer.from("\uFEFFé"), "é"],
    ["latin-1 by its cookie", Buffer.from("# -*- coding: latin-1 -*-\né", "latin1"), "# -*- coding: latin-1 -*-\né"],
    [
      "a cookie on the second line",
      Buffer.from("#!x\n# vim: set fileencoding=iso-8859-15 :\n\xa4", "latin1"),
      "#!x\n# vim: set fileencoding=iso-8859-15 :\n€",
    ],
    ["no cookie on the third line", Buffer.from("\n\n# coding: latin-1\né"), "\n\n# coding: latin-1\né"],
    ["an unknown cookie", Buffer.from("# coding: klingon\né"), "# coding: klingon\né"],
  ])("reads %s", (_, bytes, text) => {
    expect(decodePython(bytes)).toBe(text);
  });
});
