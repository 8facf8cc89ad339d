import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DockerIgnore, GitIgnores } from "../../src/project/ignore.ts";
import { writeRepository } from "./write-repository.ts";

const paths = [
  "a",
  "b.txt",
  "x.pyc",
  "dir/a",
  "dir/b.txt",
  "dir/sub/a",
  "dir/sub/c d.log",
  "other/dir/a",
  "other/dir/deep/b.txt",
  "ab",
  "[x]",
  "é.md",
  "-a",
  "a-b",
  "dir/!x",
  "dir/#x",
  "build/out",
  "src/build/out",
];

function hasGit(): boolean {
  try {
    execFileSync("git", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function gitSays(root: string): string[] {
  try {
    const output = execFileSync(
      "git",
      ["-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "-z", "--stdin"],
      {
        cwd: root,
        input: paths.join("\0"),
        encoding: "utf8",
        env: { ...process.env, GIT_CONFIG_NOSYSTEM: "1" },
      },
    );
    return output.split("\0").filter((path) => path !== "");
  } catch {
    // Exit code 1: nothing is ignored.
    return [];
  }
}

function sheafSays(ignores: GitIgnores): string[] {
  return paths.filter((path) => {
    for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
      if (ignores.match(path.slice(0, at), true)?.ignored) return true;
    }
    return ignores.match(path, false)?.ignored ?? false;
  });
}

describe(".gitignore", () => {
  const root = writeRepository(Object.fromEntries(paths.map((path) => [path, ""])));
  if (hasGit()) execFileSync("git", ["init", "-q"], { cwd: root });

  const compare = (text: string, nested: string): void => {
    writeFileSync(join(root, ".gitignore"), text);
    writeFileSync(join(root, "dir/.gitignore"), nested);
    const ignores = new GitIgnores();
    ignores.add("", text);
    ignores.add("dir", nested);
    expect(sheafSays(ignores), JSON.stringify({ text, nested })).toEqual(gitSays(root));
  };

  it.skipIf(!hasGit())("agrees with git check-ignore on the cases of its manual (skipped without git)", () => {
    const cases = [
      "a",
      "/a",
      "dir",
      "dir/",
      "/dir/",
      "dir/*",
      "dir/**",
      "**/a",
      "**/dir/a",
      "dir/**/a",
      "*.txt",
      "*",
      "*\n!*/\n!*.txt",
      "/*\n!/dir\n/dir/*\n!/dir/sub",
      "\\#x",
      "#x",
      "\\!x",
      "!x",
      "[ab]",
      "[!a]",
      "[^a]",
      "[a-c]b",
      "[[:alpha:]]",
      "[]x]",
      "\\[x\\]",
      "[x",
      "a ",
      "a\\ ",
      "c\\ d.log",
      "c d.log   ",
      "?",
      "??",
      "dir/sub/",
      "dir/sub\n!dir/sub/a",
      "build/",
      "/build",
      "**",
      "**/",
      "a**",
      "**a",
      "dir**",
      "é*",
      "[é].md",
      "-a",
      "a-b",
      "[a-]b",
      "[--a]a",
      "\\a",
      "a\\",
      "***",
      "dir/***/a",
      "*/a",
      "*/*/a",
      " a",
      "\ta",
      "a\r",
      "dir//a",
      "./a",
      "dir/../a",
      "[[:digit:][:alpha:]]b",
    ];
    for (const text of cases) compare(text, "");
    compare("*.txt", "!b.txt");
    compare("a\n", "!a\n/sub/\n!/sub/a");
  });

  it.skipIf(!hasGit())("agrees with git check-ignore on random patterns (skipped without git)", () => {
    const piece = fc.constantFrom(
      "a",
      "b",
      "dir",
      "sub",
      "*",
      "**",
      "?",
      "/",
      "/",
      "!",
      "[ab]",
      "[!a]",
      ".txt",
      "\\",
      "x",
      "-",
      "build",
      " ",
      "#",
    );
    // The manual says that `**` beside other characters is a plain star, and so it is here. git cuts off what stands before
    // the first wildcard and takes what is left for the beginning of a segment: to it `a**/b` matches ab.
    const cutByGit = /^!?[^*?[\\]*[^/*?[\\]\*\*/;
    const pattern = fc
      .array(piece, { minLength: 1, maxLength: 6 })
      .map((pieces) => pieces.join(""))
      .filter((text) => !cutByGit.test(text));
    const file = fc.array(pattern, { maxLength: 4 }).map((lines) => lines.join("\n"));
    fc.assert(fc.property(file, file, compare), { numRuns: 250 });
  });

  it("takes no time on patterns that are made to", () => {
    const ignores = new GitIgnores();
    ignores.add("", `${"*a".repeat(30)}*b\n[a-z]${"*a?".repeat(20)}*b`);
    expect(ignores.match("a".repeat(250), false)).toBeUndefined();
    expect(ignores.match(`${"a".repeat(249)}b`, false)?.ignored).toBe(true);
    expect(new DockerIgnore(`${"*a".repeat(30)}*b`, "x").match(`d/${"a".repeat(250)}`)).toBeUndefined();
  });

  it("names the file and line that decided", () => {
    const ignores = new GitIgnores();
    ignores.add("dir", "x\n# remark\n*.txt\n");
    expect(ignores.match("dir/b.txt", false)).toEqual({ ignored: true, source: "dir/.gitignore:3" });
  });
});

describe(".dockerignore", () => {
  const ignored = (text: string, path: string): boolean =>
    new DockerIgnore(text, ".dockerignore").match(path)?.ignored ?? false;

  it.each([
    ["a", "a", true],
    ["a", "dir/a", false],
    ["a", "a/b", true],
    ["/a", "a", true],
    ["./a/", "a", true],
    ["a/../b", "b", true],
    ["*", "dir/a", true],
    ["*.txt", "b.txt", true],
    ["*.txt", "dir/b.txt", false],
    ["*/*.txt", "dir/b.txt", true],
    ["**/*.txt", "b.txt", true],
    ["**/*.txt", "x/y/b.txt", true],
    ["**", "x/y", true],
    ["dir/**", "dir/x/y", true],
    ["dir/**", "dir", false],
    ["dir/**/b", "dir/b", true],
    ["dir/**/b", "dir/x/y/b", true],
    ["**foo", "barfoo", false],
    ["**foo", "x/foo", true],
    ["?", "a", true],
    ["?", "/", false],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["[^a-c]x", "dx", true],
    ["[!a]x", "bx", false],
    ["\\*x", "*x", true],
    ["\\*x", "ax", false],
    ["a.b", "axb", false],
    ["a$", "a$", true],
    ["a+b(c)", "a+b(c)", true],
    ["# remark", "# remark", false],
    ["  spaced  ", "spaced", true],
    ["*\n!a", "a", false],
    ["*\n!a", "b", true],
    ["*\n!dir/a", "dir/a", false],
    ["dir\n!dir/a", "dir/a", false],
    ["!a\na", "a", true],
    ["*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true],
    ["*.md\n!README*.md\nREADME-secret.md", "README.md", false],
    ["! a", "a", false],
    ["**/__pycache__", "x/__pycache__/y", true],
    ["a[", "a[", false],
    ["é?", "éa", true],
  ])("%j and %s: %s", (text, path, expected) => {
    expect(ignored(text, path)).toBe(expected);
  });

  it("takes patterns from the folder of the context", () => {
    const ignore = new DockerIgnore("*.txt", "backend/.dockerignore", "backend");
    expect(ignore.match("backend/a.txt")).toEqual({ ignored: true, source: "backend/.dockerignore:1" });
    expect(ignore.match("a.txt")).toBeUndefined();
  });

  it("gives the same answer when the folders above were judged before", () => {
    const name = fc.constantFrom("a", "b", "c", "dir");
    const path = fc.array(name, { minLength: 1, maxLength: 4 });
    const pattern = fc
      .array(fc.constantFrom("a", "b", "dir", "*", "**", "/", "?"), { minLength: 1, maxLength: 5 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 3 }), path, (lines, parts) => {
        const ignore = new DockerIgnore(lines.join("\n"), "x");
        const walked = parts.some((_, index) => ignore.match(parts.slice(0, index + 1).join("/"), true)?.ignored);
        expect(walked).toBe(ignore.match(parts.join("/"))?.ignored ?? false);
      }),
    );
  });
});
