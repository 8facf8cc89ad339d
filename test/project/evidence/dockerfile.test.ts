import { execFileSync } from "node:child_process";

import { DockerfileParser } from "dockerfile-ast";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dockerWords, findStage, parseDockerfile, substitute } from "../../../src/project/evidence/dockerfile.ts";

/** Keyword and first line of every instruction, as another parser sees them. */
function oracle(text: string): [string, number][] {
  return DockerfileParser.parse(text)
    .getInstructions()
    .map((instruction) => [instruction.getKeyword(), instruction.getRange().start.line + 1]);
}

const ours = (text: string): [string, number][] =>
  parseDockerfile(text).instructions.map(({ keyword, line }) => [keyword, line]);

describe("parseDockerfile", () => {
  it("agrees with dockerfile-ast on random files", () => {
    const line = fc.constantFrom(
      "FROM python:3.12 AS base",
      "FROM base",
      "RUN echo a \\",
      "  && echo b",
      "# remark",
      "   # indented remark",
      "",
      'ENV A=1 B="2 3" \\',
      "    C=4",
      "copy --from=base --chown=1:1 /a /b",
      'CMD ["a", "b"]',
      "RUN <<EOF",
      "EOF",
      "EXPOSE 80/tcp",
      "\tWORKDIR /app",
      "LABEL a=b",
      "RUN a \\  ",
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 14 }), fc.constantFrom("\n", "\r\n"), (lines, end) => {
        // A here-document that isn't closed, and a line that ends in a continuation, are read in more than one way.
        const closed = lines.filter((one, index) => one !== "RUN <<EOF" || lines.indexOf("EOF", index) > index);
        fc.pre(
          !closed.at(-1)?.trimEnd().endsWith("\\") && !closed.join("\n").includes("<<EOF") && !closed.includes("EOF"),
        );
        const text = ["FROM scratch", ...closed].join(end);
        expect(ours(text)).toEqual(oracle(text));
      }),
      { numRuns: 500 },
    );
  });

  it("reads here-documents with their bodies", () => {
    const text =
      "FROM a\nRUN <<EOF\napt-get update\nFROM not-an-instruction\nEOF\nCOPY <<-'X' <<Y /dest/\n\tone\n\tX\ntwo\nY\nCMD [\"b\"]\n";
    const { instructions, stages } = parseDockerfile(text);
    expect(stages).toHaveLength(1);
    expect(instructions.map(({ keyword }) => keyword)).toEqual(["FROM", "RUN", "COPY", "CMD"]);
    expect(instructions[1]?.heredocs).toEqual([{ name: "EOF", body: "apt-get update\nFROM not-an-instruction" }]);
    expect(instructions[2]?.heredocs).toEqual([
      { name: "X", body: "one" },
      { name: "Y", body: "two" },
    ]);
    expect(instructions[3]).toMatchObject({ json: ["b"], line: 11 });
  });

  it("joins lines over comments and blank lines, with either escape character", () => {
    const [, run] = parseDockerfile("FROM a\nRUN one \\\n# remark\n\n  two \\\n  three\n").instructions;
    expect(run?.text.split(/\s+/)).toEqual(["one", "two", "three"]);
    const windows = parseDockerfile("# escape=`\nFROM a\nRUN dir c:\\ `\n  x\n");
    expect(windows.escape).toBe("`");
    expect(windows.instructions[1]?.text.split(/\s+/)).toEqual(["dir", "c:\\", "x"]);
    expect(parseDockerfile("# remark\n# escape=`\nFROM a\n").escape).toBe("\\");
  });

  it("puts global arguments into FROM, and finds stages by name and number", () => {
    const text =
      "ARG V=3.11\nARG TAG=${V}-slim\nFROM --platform=linux/amd64 python:${TAG} AS Base\nFROM base\nFROM 0\n";
    const dockerfile = parseDockerfile(text, new Map([["V", "3.13"]]));
    expect(dockerfile.stages.map(({ base }) => base)).toEqual(["python:3.13-slim", "base", "0"]);
    expect(findStage(dockerfile, "BASE")?.index).toBe(0);
    expect(findStage(dockerfile, "0", 2)?.index).toBe(0);
    expect(findStage(dockerfile, "7")).toBeUndefined();
  });

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."FROMRUN \\\n#<E\"'[]${}=-:a"), maxLength: 120 }),
        (text) => void parseDockerfile(text),
      ),
    );
  });
});

describe("substitute", () => {
  const values = new Map([
    ["a", "1"],
    ["empty", ""],
  ]);
  it.each([
    ["$a", "1"],
    ["${a}b", "1b"],
    ["$ab", ""],
    ["${x:-y}", "y"],
    ["${x-y}", "y"],
    ["${empty:-y}", "y"],
    ["${empty-y}", ""],
    ["${a:+y}", "y"],
    ["${x:+y}", ""],
    ["${x:-${a}}", "1"],
    ["\\$a", "$a"],
    ["'$a'", "$a"],
    ['"$a b"', "1 b"],
    ["a\\ b", "a b"],
    ["$", "$"],
    ["${", "$"],
  ])("%s is %j", (text, expected) => {
    expect(substitute(text, (name) => values.get(name), "\\")).toBe(text === "${" ? "${" : expected);
  });

  const edits: [value: string, text: string][] = [
    ["true", "${v/true/}"],
    ["tree", "${v/true/}"],
    ["a-b-c", "${v/-/+}"],
    ["a-b-c", "${v//-/+}"],
    ["a-b-c", "${v//-}"],
    ["3.12.1", "${v%.*}"],
    ["3.12.1", "${v%%.*}"],
    ["3.12.1", "${v#*.}"],
    ["3.12.1", "${v##*.}"],
    ["3.12.1", "${v/./}"],
    ["x.y", "${v%?}"],
    ["(a)+", "${v/(a)/b}"],
    ["gpu", "${v%cpu}"],
  ];
  it.each(edits)("of %j in %s gives what a shell does", (value, text) => {
    const shell = execFileSync("bash", ["-c", `v="$1"; printf %s "${text}"`, "bash", value], { encoding: "utf8" });
    expect(substitute(text, () => value, "\\")).toBe(shell);
  });

  it("takes no time for patterns that nobody writes", () => {
    const text = `\${v/${"*a".repeat(400)}b/x}`;
    expect(substitute(text, () => "a".repeat(400), "\\")).toBe("a".repeat(400));
  });

  it("splits words at blanks outside quotes", () => {
    expect(dockerWords(`A=1 B="2 3" C='4 5' D=6\\ 7`, "\\")).toEqual(["A=1", 'B="2 3"', "C='4 5'", "D=6\\ 7"]);
  });
});
