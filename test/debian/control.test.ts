import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { field, formatParagraph, parseControl } from "../../src/debian/control.ts";
import { formatClause, parseRelations, provideFits, versionFits } from "../../src/debian/relation.ts";

describe("parseControl", () => {
  it("reads paragraphs, folded values and comments", () => {
    const [first, second] = parseControl("# note\nPackage: a\nDescription: x\n more\n .\n end\n\n\nPackage: b\n");
    expect([...(first ?? [])]).toEqual([
      ["Package", "a"],
      ["Description", "x\n more\n .\n end"],
    ]);
    expect(field(second ?? new Map(), "PACKAGE")).toBe("b");
  });

  it("reads what it writes", () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/);
    const line = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
    const value = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n "));
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { minLength: 1, selector: ([key]) => key }), (fields) => {
        expect(parseControl(formatParagraph(fields)).map((paragraph) => [...paragraph])).toEqual([fields]);
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseControl(text)));
  });
});

describe("parseRelations", () => {
  it("reads alternatives, versions and qualifiers", () => {
    expect(parseRelations("libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, python3:any, foo (<1)")).toEqual([
      [{ name: "libc6", operator: ">=", version: "2.36" }],
      [{ name: "debconf", operator: ">=", version: "0.5" }, { name: "debconf-2.0" }],
      [{ name: "python3", qualifier: "any" }],
      [{ name: "foo", operator: "<=", version: "1" }],
    ]);
    expect(formatClause(parseRelations("a (>= 1) | b:any")[0] ?? [])).toBe("a (>= 1) | b:any");
  });

  it("lets an unversioned Provides satisfy an unversioned relation only", () => {
    const wanted = { name: "mta", operator: ">=", version: "2" } as const;
    expect(provideFits({ name: "mta" }, { name: "mta" })).toBe(true);
    expect(provideFits(wanted, { name: "mta" })).toBe(false);
    expect(provideFits(wanted, { name: "mta", operator: "=", version: "3" })).toBe(true);
    expect(versionFits(wanted, "1")).toBe(false);
  });
});
