import * as fs from "node:fs";
import * as path from "node:path";

import { expect, it } from "vitest";

const repository = path.join(import.meta.dirname, "..", "..");

/** Codes that stand as a string in the sources; what is read from the environment is a variable's name. */
function codesInSources(): string[] {
  const codes = new Set<string>();
  for (const entry of fs.readdirSync(path.join(repository, "src"), { withFileTypes: true, recursive: true })) {
    if (!entry.name.endsWith(".ts")) continue;
    const text = fs.readFileSync(path.join(entry.parentPath, entry.name), "utf8");
    for (const match of text.matchAll(/(env(?:iron(?:ment)?)?\[|\.env\(|environ\.get\()?"(SHEAF_[A-Z0-9_]+)"/g)) {
      if (match[1] === undefined && match[2]) codes.add(match[2]);
    }
  }
  return [...codes].toSorted();
}

it("docs/errors.md has every code of the sources, and no other", () => {
  const text = fs.readFileSync(path.join(repository, "docs", "errors.md"), "utf8");
  const rows = [...text.matchAll(/^\| (SHEAF_\w+) \| (.+) \| (.+) \|$/gm)];
  const documented = rows.map((row) => row[1] ?? "");
  expect(documented.length).toBeGreaterThan(50);
  expect(new Set(documented).size, "each once").toBe(documented.length);
  expect(documented.toSorted()).toEqual(codesInSources());
});
