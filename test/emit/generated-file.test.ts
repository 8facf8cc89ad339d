import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { authorship, readHeader, sameLines, withHeader } from "../../src/emit/generated-file.ts";
import { unifiedDiff } from "../../src/emit/unified-diff.ts";

describe("the header of a generated file", () => {
  const text = withHeader("sheaf compose", "services:\n  api: {}\n");

  it("stands on the first line and names the command", () => {
    expect(text.split("\n")[0]).toMatch(/^# Written by Sheaf: sheaf compose, sha256:[0-9a-f]{16}\./);
    expect(readHeader(text)).toMatchObject({ command: "sheaf compose", line: 0 });
    expect(authorship(text)).toBe("sheaf");
  });

  it("stands below a Dockerfile's parser directives, which count only at the top", () => {
    const lines = withHeader(
      "sheaf dockerfile",
      "# syntax=docker/dockerfile:1\n# check=error=true\nFROM scratch\n",
    ).split("\n");
    expect(lines.slice(0, 2)).toEqual(["# syntax=docker/dockerfile:1", "# check=error=true"]);
    expect(lines[2]).toMatch(/^# Written by Sheaf/);
    expect(authorship(lines.join("\n"))).toBe("sheaf");
  });

  it("tells edits, also of what stands above it", () => {
    expect(authorship(text.replace("api", "web"))).toBe("edited");
    expect(authorship(`${text}# mine\n`)).toBe("edited");
    const dockerfile = withHeader("sheaf dockerfile", "# syntax=docker/dockerfile:1\nFROM scratch\n");
    expect(authorship(dockerfile.replace("dockerfile:1", "dockerfile:2"))).toBe("edited");
  });

  it("is not believed further down, or in other words", () => {
    expect(authorship(`# mine\n${text}`)).toBe("foreign");
    expect(authorship("services: {}\n")).toBe("foreign");
    expect(authorship("")).toBe("foreign");
  });

  it("counts neither git's line endings nor a missing last one", () => {
    expect(authorship(text.replaceAll("\n", "\r\n"))).toBe("sheaf");
    expect(authorship(text.trimEnd())).toBe("sheaf");
    expect(sameLines(text, text.replaceAll("\n", "\r\n"))).toBe(true);
  });
});

const hasDiff = spawnSync("diff", ["--version"]).status === 0;
const hasPatch = spawnSync("patch", ["--version"]).status === 0;
const lines = fc.array(fc.constantFrom("a", "b", "c", "", " d"), { maxLength: 30 });
const joined = (list: string[]): string => list.map((line) => `${line}\n`).join("");

describe("a unified diff", () => {
  it("is empty for the same lines", () => {
    expect(unifiedDiff("a\nb\n", "a\r\nb", { from: "x", to: "y" })).toBe("");
  });

  it.skipIf(!hasDiff)("is what diff -u writes (needs diff)", () => {
    const numbers = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const changed = numbers.flatMap((line, index) =>
      index === 4 ? ["changed"] : index === 20 ? [] : index === 27 ? [line, "added"] : [line],
    );
    for (const [before, after] of [
      [numbers, changed],
      [[], ["one"]],
      [["one", "two"], []],
      [["one"], ["two"]],
      [numbers, numbers.slice(3)],
    ] as const) {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-diff-"));
      fs.writeFileSync(path.join(folder, "a"), joined([...before]));
      fs.writeFileSync(path.join(folder, "b"), joined([...after]));
      const { stdout } = spawnSync("diff", ["-u", "--label", "a", "--label", "b", "a", "b"], {
        cwd: folder,
        encoding: "utf8",
      });
      expect(unifiedDiff(joined([...before]), joined([...after]), { from: "a", to: "b" })).toBe(stdout);
      fs.rmSync(folder, { recursive: true });
    }
  });

  it.skipIf(!hasPatch)("turns one text into the other when patch applies it (needs patch)", { timeout: 60_000 }, () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-patch-"));
    const file = path.join(folder, "file");
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const diff = unifiedDiff(joined(before), joined(after), { from: "file", to: "file" });
        if (diff === "") {
          expect(before).toEqual(after);
          return;
        }
        fs.writeFileSync(file, joined(before));
        execFileSync("patch", ["-s", "--no-backup-if-mismatch", file], { input: diff, cwd: folder });
        expect(fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "").toBe(joined(after));
      }),
      { numRuns: 150 },
    );
    fs.rmSync(folder, { recursive: true });
  });

  it("gives up on the shortest one for texts without anything in common", () => {
    const before = joined(Array.from({ length: 3000 }, (_, index) => `a${index}`));
    const after = joined(Array.from({ length: 3000 }, (_, index) => `b${index}`));
    const diff = unifiedDiff(before, after, { from: "a", to: "b" });
    expect(diff.split("\n").filter((line) => /^[-+][ab]/.test(line))).toHaveLength(6000);
  });
});
