import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type ByteNode, byteTree } from "../../src/report/html/byte-tree.ts";
import { escapeText, markup, trusted, visibleText } from "../../src/report/html/markup.ts";
import { squarify } from "../../src/report/html/squarify.ts";
import { apiParts, distribution, file, put, verifyParts } from "../contract/image-dsl.ts";

const values = fc
  .array(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 1, maxLength: 80 })
  .map((list) => list.toSorted((a, b) => b - a));
const areas = fc.record({ width: fc.integer({ min: 1, max: 2000 }), height: fc.integer({ min: 1, max: 2000 }) });

describe("squarify", () => {
  it("gives each value its part of the area, inside it and over no other", () => {
    fc.assert(
      fc.property(values, areas, (list, area) => {
        const total = list.reduce((sum, value) => sum + value, 0);
        const placed = squarify(list, area);
        expect(placed).toHaveLength(list.length);
        for (const [index, { left, top, width, height }] of placed.entries()) {
          expect((width * height) / 10_000).toBeCloseTo((list[index] ?? 0) / total, 6);
          expect(Math.min(left, top)).toBeGreaterThan(-1e-6);
          expect(Math.max(left + width, top + height)).toBeLessThan(100 + 1e-6);
        }
        for (const [index, a] of placed.entries()) {
          for (const b of placed.slice(index + 1)) {
            const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
            const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
            expect(Math.min(across, down)).toBeLessThan(1e-6);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("lays out the example of its paper: 6 by 4 with 6, 6, 4, 3, 2, 2, 1", () => {
    const placed = squarify([6, 6, 4, 3, 2, 2, 1], { width: 6, height: 4 });
    const inUnits = placed
      .slice(0, 4)
      .map(({ left, top, width, height }) => [left * 0.06, top * 0.04, width * 0.06, height * 0.04]);
    const expected = [
      [0, 0, 3, 2],
      [0, 2, 3, 2],
      [3, 0, 12 / 7, 7 / 3],
      [3 + 12 / 7, 0, 9 / 7, 7 / 3],
    ];
    for (const [index, rectangle] of inUnits.entries())
      for (const [side, value] of rectangle.entries()) expect(value).toBeCloseTo(expected[index]?.[side] ?? -1, 9);
  });
});

describe("the tree of an image's bytes", () => {
  it("counts each file's bytes once, by layer, owner and folder", async () => {
    const parts = apiParts();
    const small = Array.from({ length: 30 }, (_, index) => [`big/data/many/${index}.bin`, "b".repeat(1000)]);
    const files = {
      ...Object.fromEntries(small),
      "big/data/a.bin": "a".repeat(40_000),
      "big/c.py": "c".repeat(30_000),
      "big/d.py": "d".repeat(6000),
    };
    parts.layers[1]?.push(...distribution({ name: "big", version: "1.0", files }));
    put(parts, file("app/app/main.py", "d".repeat(500)));
    put(parts, file("app/app/later.bin", "e".repeat(7000)));
    parts.layers.push([file("app/app/later.bin", "f".repeat(8000))]);
    const { facts } = await verifyParts(parts);
    const tree = byteTree(facts);
    expect(tree.children.map(({ name }) => name)).toEqual(["layer 1", "layer 2", "layer 3", "layer 4"]);
    const big = tree.children[1]?.children.find(({ name }) => name === "big 1.0");
    expect(big?.kind).toBe("python");
    const folders = big?.children.map(({ name, bytes }) => [name, bytes]);
    expect(folders?.slice(0, 4)).toEqual([
      ["a.bin", 40_000],
      ["c.py", 30_000],
      ["data/many", 30_000],
      ["site-packages/big", 6000],
    ]);
    const lost = tree.children[2]?.children.find(({ kind }) => kind === "lost");
    expect(lost).toMatchObject({ bytes: 7000 });
    const shipped = [...facts.files.values()].filter(({ type, linkTo }) => type === "file" && linkTo === undefined);
    expect(tree.bytes).toBe(shipped.reduce((sum, { size }) => sum + size, 0) + 7000);
    expectSums(tree);
  });

  it("puts the many small ones together", async () => {
    const parts = apiParts();
    for (let index = 0; index < 300; index++)
      parts.layers[1]?.push(
        ...distribution({ name: `d${index}`, version: "1", files: { [`d${index}.py`]: "x = 1\n" } }),
      );
    const { facts } = await verifyParts(parts);
    const owners = byteTree(facts).children[1]?.children ?? [];
    expect(owners).toHaveLength(81);
    expect(owners.filter(({ name }) => /^\d+ smaller$/.test(name))).toHaveLength(1);
  });

  it("stays small for folders as deep as an archive can have", async () => {
    const parts = apiParts();
    put(parts, file(`app/${"d/".repeat(1500)}f`, "x".repeat(100_000)));
    const { facts } = await verifyParts(parts);
    const tree = byteTree(facts);
    expect(JSON.stringify(tree).length).toBeLessThan(20_000);
    expectSums(tree);
  });
});

/** A node has the bytes of its children, largest first; layers stand in their order. */
function expectSums(node: ByteNode, level = 0): void {
  if (node.children.length === 0) return;
  const sizes = node.children.map(({ bytes }) => bytes);
  expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBe(node.bytes);
  if (level > 0) expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  for (const child of node.children) expectSums(child, level + 1);
}

describe("markup", () => {
  it("escapes what is not markup", () => {
    const attribute = `"'<>&`;
    expect(markup`<a title="${attribute}">${["<b>", markup`<i>${1}</i>`, undefined]}</a>`.text).toBe(
      `<a title="&quot;&#39;&lt;&gt;&amp;">&lt;b&gt;<i>1</i></a>`,
    );
    expect(markup`${trusted("<b>")}`.text).toBe("<b>");
  });

  it("leaves no character that hides or reorders others", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(visibleText(text)).not.toMatch(
          // oxlint-disable-next-line no-control-regex -- what must be gone
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
        );
        expect(escapeText(text)).not.toMatch(/[<>"']/);
      }),
    );
    expect(visibleText("a\u202eb\u0007\ud800c\n\td")).toBe("a\\u202eb\\x07\\ud800c\n\td");
    expect(visibleText("é 漢字 שלום 👍🏽 \u{1F469}")).toBe("é 漢字 שלום 👍🏽 \u{1F469}");
  });
});
