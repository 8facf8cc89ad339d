import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseShell, shellQuote } from "../../../src/project/evidence/shell.ts";

/** The words that a real shell makes of a text: only quoting, no expansion, so running it is harmless. */
function shellSays(text: string): string[] | undefined {
  try {
    const output = execFileSync("/bin/sh", ["-f", "-c", `printf '%s\\0' ${text}`], {
      encoding: "utf8",
      env: {},
      stdio: ["ignore", "pipe", "ignore"],
    });
    return output.split("\0").slice(0, -1);
  } catch {
    return undefined;
  }
}

describe("parseShell", () => {
  it("splits words as /bin/sh does", () => {
    const piece = fc.constantFrom(
      "a",
      "b c",
      "'",
      '"',
      "\\",
      " ",
      "  ",
      "#",
      "=",
      "x",
      "\\\n",
      "'q r'",
      '"s t"',
      '\\"',
      "-",
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
        const text = `w${pieces.join("")}`;
        const expected = shellSays(text);
        fc.pre(expected !== undefined && !text.endsWith("\\"));
        expect(parseShell(`w0 ${text}`)[0]?.words).toEqual(["w0", ...(expected as string[])]);
      }),
      { numRuns: 150 },
    );
  });

  it("takes lists of commands apart, with lines", () => {
    const commands = parseShell(
      'set -e\n# remark\nif [ -n "$X" ]; then\n  alembic upgrade head || exit 1\nfi\nexec uvicorn app:app 2>&1 > /dev/null &\n',
    );
    expect(commands.map(({ words, operator, line }) => [words.join(" "), operator, line])).toEqual([
      ["set -e", ";", 1],
      ["[ -n $X ]", ";", 3],
      ["alembic upgrade head", "||", 4],
      ["exit 1", ";", 4],
      ["exec uvicorn app:app", "&", 6],
    ]);
  });

  it.each([
    ["echo ${PORT:-8000}", ["echo", "8000"], false],
    ["echo ${A:-$B}", ["echo", "2"], false],
    ['echo ${TARGET:-"$B:${C:-app}"}', ["echo", "2:app"], false],
    ["echo $B ${B}x", ["echo", "2", "2x"], false],
    ["PORT=9; echo $PORT", ["echo", "9"], false],
    ['echo "$UNKNOWN"', ["echo", "$UNKNOWN"], true],
    ["echo $(date)", ["echo", "$(date)"], true],
    ["echo ${B:+set}", ["echo", "set"], false],
    ["cat <<EOF\nbody | x\nEOF\necho z", ["echo", "z"], false],
    ["LIST='a b'; echo $LIST", ["echo", "a", "b"], false],
    ["(cd x && echo a)", ["echo", "a"], false],
  ])("%j", (text, words, dynamic) => {
    const last = parseShell(text, (name) => (name === "B" ? "2" : undefined)).at(-1);
    expect(last).toMatchObject({ words, dynamic });
  });

  it("gives quoted words back as they were", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ minLength: 1, maxLength: 8 }).filter((word) => !word.includes("\0")),
          { minLength: 1, maxLength: 4 },
        ),
        (words) => {
          expect(parseShell(`x ${shellQuote(words)}`)[0]?.words).toEqual(["x", ...words]);
        },
      ),
    );
  });
});
