import { describe, expect, it } from "vitest";

import type { EntryFacts } from "../../src/filesystem/entry.ts";
import { findCollisions } from "../../src/ingest/collisions.ts";
import { layout } from "../wheel/build-wheel.ts";

type Wheels = Parameters<typeof findCollisions>[0];

/** Distributions as name → path in site-packages → content. */
function collide(distributions: Record<string, Record<string, string>>, keepFilesOf: string[] = []) {
  const wheels = Object.keys(distributions).map((name) => ({ distribution: { name }, facts: { name } }));
  const entriesOf = ({ name }: { name: string }): EntryFacts[] =>
    Object.entries(distributions[name] ?? {}).map(([path, content]) => ({
      path: path.startsWith("/") ? path.slice(1) : `${layout.purelib}/${path}`,
      type: "file",
      mode: 0o644,
      size: content.length,
      sha256: content,
    }));
  return findCollisions(wheels as unknown as Wheels, entriesOf as Parameters<typeof findCollisions>[1], {
    layout,
    keepFilesOf,
  });
}

const at = (path: string) => `${layout.purelib}/${path}`;

describe("a path that two distributions write", () => {
  it("belongs to the first by name when the bytes are the same", () => {
    const { excluded, notes } = collide({ beta: { "ns/__init__.py": "" }, alpha: { "ns/__init__.py": "" } });
    expect([...excluded]).toEqual([["beta", [at("ns/__init__.py")]]]);
    expect(notes).toEqual([]);
  });

  it("is an error that names both when they differ", () => {
    const act = () => collide({ alpha: { "ns/a.py": "1", "ns/b.py": "1" }, beta: { "ns/a.py": "2", "ns/b.py": "2" } });
    expect(act).toThrow(
      expect.objectContaining({
        code: "SHEAF_COLLISION",
        message: expect.stringContaining("alpha and beta"),
        details: [
          ["file", at("ns/a.py")],
          ["file", at("ns/b.py")],
        ],
      }),
    );
  });

  it("is the one's that is told to keep its files", () => {
    const { excluded, notes } = collide({ alpha: { "ns/a.py": "1" }, beta: { "ns/a.py": "2" } }, ["beta"]);
    expect([...excluded]).toEqual([["alpha", [at("ns/a.py")]]]);
    expect(notes).toEqual([expect.stringMatching(/beta and alpha both write .*ns\/a\.py; beta's is kept/)]);
  });

  it.each(["tests/__init__.py", "README.md", "LICENSE", "docs/conf.py"])("is decided for %s, with a note", (path) => {
    const { excluded, notes } = collide({ alpha: { [path]: "1" }, beta: { [path]: "2" } });
    expect([...excluded.keys()]).toEqual(["beta"]);
    expect(notes).toHaveLength(1);
  });

  it("is left alone when they share nothing", () => {
    expect(collide({ alpha: { "a.py": "1" }, beta: { "b.py": "1" } }).excluded.size).toBe(0);
  });
});
