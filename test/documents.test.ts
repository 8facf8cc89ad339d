import * as fs from "node:fs";
import * as path from "node:path";

import { describe, expect, it } from "vitest";

const repository = path.join(import.meta.dirname, "..");
const read = (file: string): string => fs.readFileSync(path.join(repository, file), "utf8");
const documents = [
  ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ...fs.readdirSync(path.join(repository, "docs")).map((name) => `docs/${name}`),
];

describe("the documents", () => {
  it.each(documents)("%s links to what is there", (document) => {
    const targets = [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = ""]) => target);
    const missing = targets.filter((target) => !fs.existsSync(path.join(repository, path.dirname(document), target)));
    expect(missing).toEqual([]);
  });

  it("name every room of src/ in ARCHITECTURE.md, and no other", () => {
    const [, rooms = ""] = read("ARCHITECTURE.md").split(/^## (?=The rooms)/m);
    const [section = ""] = rooms.split(/^## /m);
    const named = [...section.matchAll(/^\| `([a-z]+)\/` \|/gm)].map(([, name = ""]) => name);
    const there = fs
      .readdirSync(path.join(repository, "src"), { withFileTypes: true })
      .filter((each) => each.isDirectory());
    expect(named.toSorted()).toEqual(there.map(({ name }) => name).toSorted());
  });

  it.each(["ARCHITECTURE.md", "CONTRIBUTING.md"])("%s names files that are there", (document) => {
    const files = fs
      .readdirSync(path.join(repository, "src"), { recursive: true })
      .map(String)
      .concat(
        ["scripts", "test", ".ci"].flatMap((folder) =>
          fs.readdirSync(path.join(repository, folder), { recursive: true }).map(String),
        ),
      );
    const named = [...read(document).matchAll(/`([\w./*-]+\.(?:ts|mjs|sh))`/g)].map(([, name = ""]) => name);
    const missing = named.filter((name) => !/NAME|FORMAT/.test(name) && !isThere(name, files));
    expect(named.length).toBeGreaterThan(5);
    expect(missing).toEqual([]);
  });
});

/** From the root, or by the end of its path, `*` standing for a part of a name. */
function isThere(name: string, files: readonly string[]): boolean {
  if (name.includes("/") && fs.existsSync(path.join(repository, name))) return true;
  const wanted = name.replace(/^(?:src|scripts|test)\//, "");
  const pattern = new RegExp(`(?:^|/)${wanted.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`);
  return files.some((file) => pattern.test(file));
}
