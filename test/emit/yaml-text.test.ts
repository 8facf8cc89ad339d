import { spawnSync } from "node:child_process";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import {
  aliasOf,
  anchored,
  apart,
  commented,
  inline,
  quoted,
  yamlText,
  type YamlValue,
} from "../../src/emit/yaml-text.ts";
import { pythonWith } from "../lab/lab.ts";

const python = pythonWith("yaml");

/** What some reader of YAML takes for something other than a string. */
const treacherous = [
  "no",
  "Yes",
  "on",
  "~",
  "null",
  "1:30",
  "0o7",
  "0x1",
  "1e3",
  "2001-01-01",
  "=",
  "<<",
  "",
  " a",
  "a: b",
];
const text = fc.oneof(
  fc.constantFrom(
    ...treacherous,
    "- a",
    "#x",
    "a #b",
    "'",
    '"',
    "|",
    "a\nb",
    "${A:?b}",
    "*a",
    "&a",
    "!t",
    "%",
    "@",
    "`",
  ),
  fc.string({ maxLength: 12 }),
);
const value: fc.Arbitrary<YamlValue> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.integer({ min: -9999, max: 9999 }),
    fc.boolean(),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(text, { maxLength: 3 }).map((items) => inline(items)) as unknown as fc.Arbitrary<unknown>,
    fc.dictionary(fc.stringMatching(/^[A-Za-z][\w.-]{0,8}$/), tie("value"), { maxKeys: 3 }),
  ),
})).value as fc.Arbitrary<YamlValue>;

/** The same without how it is written. */
const plain = (each: unknown): unknown =>
  typeof each === "object" && each !== null && "style" in each && "value" in each
    ? plain(each.value)
    : Array.isArray(each)
      ? each.map(plain)
      : typeof each === "object" && each !== null
        ? Object.fromEntries(Object.entries(each).map(([key, inner]) => [key, plain(inner)]))
        : each;

describe("yamlText", () => {
  it.each(["1.1", "1.2"] as const)("is read back as it was by YAML %s", (version) => {
    fc.assert(
      fc.property(value, (each) => {
        expect(parse(yamlText({ key: each }), { version })).toEqual({ key: plain(each) });
      }),
      { numRuns: 300 },
    );
  });

  it.skipIf(!python)("is read back as it was by PyYAML (needs it)", () => {
    const values = fc
      .sample(value, { numRuns: 200, seed: 7 })
      .filter((each) => !JSON.stringify(plain(each)).includes("\\u"));
    const program = "import sys,json,yaml; print(json.dumps([yaml.safe_load(t)['key'] for t in json.load(sys.stdin)]))";
    const input = JSON.stringify(values.map((each) => yamlText({ key: each })));
    const { stdout, stderr } = spawnSync(python ?? "", ["-c", program], { input, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(values.map((each) => JSON.parse(JSON.stringify(plain(each))) as unknown));
  });

  it("writes comments, blank lines, quotes, lists on a line, nothing for null, and merges", () => {
    const written = yamlText(
      {
        base: anchored("base", { a: 1 }),
        two: apart(commented("why\nmore", { "<<": aliasOf("base"), list: inline(["x", quoted("y")]), nothing: null })),
        left: undefined,
      },
      "top",
    );
    expect(written).toBe(
      [
        "# top",
        "",
        "base: &base",
        "  a: 1",
        "",
        "# why",
        "# more",
        "two:",
        "  <<: *base",
        '  list: [x, "y"]',
        "  nothing:",
        "",
      ].join("\n"),
    );
    expect(parse(written, { merge: true })).toEqual({ base: { a: 1 }, two: { a: 1, list: ["x", "y"], nothing: null } });
  });

  it("lets no comment end before its line does", () => {
    const written = yamlText({ a: commented("x\ninjected: true\r\nand: more", 1) });
    expect(parse(written)).toEqual({ a: 1 });
  });
});
