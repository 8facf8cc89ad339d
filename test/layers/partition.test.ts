import { assert, array, integer, property, record, uniqueArray } from "fast-check";
import { describe, expect, it } from "vitest";

import { type LayerGroup, type PackagePart, partitionPackages } from "../../src/layers/partition.ts";

function part(name: string, compressed = 10_000, version = "1.0"): PackagePart {
  return { name, version, segments: [{ digest: `sha256:${name}-${version}`, compressed, unpacked: compressed * 3 }] };
}

/** A layer is what its segments are. */
function identities(groups: LayerGroup[]): Set<string> {
  return new Set(groups.map(({ parts }) => parts.flatMap((each) => each.segments.map(({ digest }) => digest)).join()));
}

function moved(before: LayerGroup[], after: LayerGroup[]): number {
  const known = identities(before);
  return [...identities(after)].filter((identity) => !known.has(identity)).length;
}

const names = Array.from({ length: 60 }, (_, index) => `package-${index}`);
const packages = [...names.map((name) => part(name)), part("large", 5_000_000), part("huge", 90_000_000)];
const budget = 60;

describe("packages in layers", () => {
  it("puts each package into exactly one, within the budget", () => {
    const packageParts = uniqueArray(
      record({ id: integer({ min: 0, max: 200 }), size: integer({ min: 1, max: 3_000_000 }) }),
      {
        selector: (each) => each.id,
        maxLength: 150,
      },
    );
    assert(
      property(packageParts, integer({ min: 1, max: 80 }), (made, limit) => {
        const parts = made.map(({ id, size }) => part(`p${id}`, size));
        const groups = partitionPackages(parts, { budget: limit });
        const placed = groups.flatMap((group) => group.parts.map((each) => each.name));
        expect(placed.toSorted()).toEqual(parts.map((each) => each.name).toSorted());
        expect(groups.length).toBeLessThanOrEqual(limit);
        expect(groups.every((group) => group.parts.length > 0)).toBe(true);
      }),
    );
  });

  it("does not depend on the order that they come in", () => {
    const groups = partitionPackages(packages, { budget });
    assert(
      property(array(integer(), { minLength: packages.length, maxLength: packages.length }), (ranks) => {
        const shuffled = packages
          .map((each, index) => ({ each, rank: ranks[index] ?? 0 }))
          .toSorted((a, b) => a.rank - b.rank)
          .map(({ each }) => each);
        expect(partitionPackages(shuffled, { budget })).toEqual(groups);
      }),
      { numRuns: 30 },
    );
  });

  it("moves one layer when a small package is added, changed or taken away", () => {
    const groups = partitionPackages(packages, { budget });
    const changed = packages.map((each) => (each.name === "package-7" ? part("package-7", 11_000, "1.1") : each));
    expect(moved(groups, partitionPackages([...packages, part("added")], { budget }))).toBe(1);
    expect(moved(groups, partitionPackages(changed, { budget }))).toBe(1);
    expect(moved(groups, partitionPackages(packages.slice(1), { budget }))).toBeLessThanOrEqual(1);
  });

  it("gives large packages layers of their own, which adding others does not move", () => {
    const groups = partitionPackages(packages, { budget });
    expect(groups.filter((group) => group.kind === "package").map((group) => group.name)).toEqual([
      "huge 1.0",
      "large 1.0",
    ]);
    const after = partitionPackages([...packages, part("another", 2_000_000)], { budget });
    expect(moved(groups, after)).toBe(1);
  });
});
