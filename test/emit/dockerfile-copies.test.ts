import { array, assert, constantFrom, property, tuple, uniqueArray } from "fast-check";
import { describe, expect, it } from "vitest";

import { type Copy, copiesOf } from "../../src/emit/dockerfile/copies.ts";
import { planOf } from "./plan-of.ts";

const planWith = (files: [from: string, path: string][]) =>
  planOf({ files, command: ["uvicorn"], install: { kind: "requirements", files: ["requirements.txt"] } });

/** Where Docker puts the files of a context: path in the image → path in the context. */
function copied(context: readonly string[], copies: readonly Copy[]): Map<string, string> {
  const placed = new Map<string, string>();
  for (const { sources, folder, target, renamed } of copies) {
    for (const source of sources) {
      for (const file of context) {
        const name = file.slice(file.lastIndexOf("/") + 1);
        if (folder && file.startsWith(`${source}/`)) placed.set(`${target}${file.slice(source.length)}`, file);
        if (!folder && file === source) placed.set(`${target}/${renamed ?? name}`.replace(/^\//, ""), file);
      }
    }
  }
  return placed;
}

describe("the COPYs of a plan", () => {
  it("put every file where the plan has it, and nothing else of the context anywhere", () => {
    const segment = constantFrom("app", "lib", "x", "y", "main.py", "a.py");
    const path = array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const root = constantFrom("app", "app/lib", "srv", "etc/x");
    assert(
      property(
        uniqueArray(path, { maxLength: 10 }),
        array(tuple(root, path), { maxLength: 4 }),
        path,
        (paths, moved, lock) => {
          // No path is a folder of another.
          const all = [...new Set([...paths, lock])];
          const context = all.filter((one) => !all.some((other) => other.startsWith(`${one}/`)));
          const shipped = context.filter((file) => file !== lock);
          const files = shipped.map((file): [string, string] => {
            const rule = moved.find(([, folder]) => file.startsWith(`${folder}/`));
            return [file, rule ? `${rule[0]}/${file.slice(rule[1].length + 1)}` : `app/${file}`];
          });
          const unique = files.filter(([, to], index) => files.findIndex(([, other]) => other === to) === index);
          const left = unique.filter(([, to]) => !unique.some(([, other]) => other.startsWith(`${to}/`)));
          const inContext = [...left.map(([from]) => from), ...(context.includes(lock) ? [lock] : [])];
          const expected = new Map(left.map(([from, to]) => [to, from]));
          expect(copied(inContext, copiesOf(planWith(left), [lock]))).toEqual(expected);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("are few: a folder each, and the files of the root together", () => {
    const files = ["app/a.py", "app/b/c.py", "alembic/env.py", "alembic.ini", "pyproject.toml"];
    const copies = copiesOf(planWith(files.map((file) => [file, `app/${file}`])), ["requirements.txt"]);
    expect(copies.map(({ sources, target }) => [sources, target])).toEqual([
      [["alembic.ini", "pyproject.toml"], "app"],
      [["alembic"], "app/alembic"],
      [["app"], "app/app"],
    ]);
  });
});
