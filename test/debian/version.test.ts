import { spawnSync } from "node:child_process";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { compareVersions, satisfiesVersion } from "../../src/debian/version.ts";
import { hasTool } from "./builders.ts";

describe("compareVersions", () => {
  it.each([
    ["1.0", "1.0", 0],
    ["1.0~rc1", "1.0", -1],
    ["1.0~~", "1.0~", -1],
    ["1:0.1", "9.9", 1],
    ["1.10", "1.9", 1],
    ["1.0-1", "1.0-1+deb12u1", -1],
    ["1.0-1", "1.0", 1],
    ["1.0", "1.0-0", 0],
    ["0:1.0", "1.0", 0],
    ["1.00", "1.0", 0],
    ["1.0a", "1.0+", -1],
    ["2.36-9+deb12u4", "2.36-9+deb12u13", -1],
    ["123456789012345678901234567890", "123456789012345678901234567891", -1],
  ])("orders %s and %s", (a, b, order) => {
    expect(Math.sign(compareVersions(a, b))).toBe(order);
    expect(Math.sign(compareVersions(b, a))).toBe(order === 0 ? 0 : -order);
  });

  it("satisfies the five operators", () => {
    expect(
      satisfiesVersion("2", "<<", "3") && satisfiesVersion("3", "<=", "3") && satisfiesVersion("3", "=", "3"),
    ).toBe(true);
    expect(satisfiesVersion("4", ">>", "3") && satisfiesVersion("3", ">=", "3")).toBe(true);
    expect(satisfiesVersion("3", "<<", "3") || satisfiesVersion("3", ">>", "3")).toBe(false);
  });

  const part = fc.string({ unit: fc.constantFrom(..."019ab~+.A"), maxLength: 6 });
  const version = fc
    .record({ epoch: fc.option(fc.nat(3)), upstream: part, revision: fc.option(part.filter((text) => text !== "")) })
    .map(
      ({ epoch, upstream, revision }) =>
        `${epoch === null ? "" : `${epoch}:`}1${upstream}${revision === null ? "" : `-${revision}`}`,
    );

  it("is a total order", () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it.skipIf(!hasTool("dpkg"))("agrees with dpkg --compare-versions (needs dpkg)", () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        const isOlder = spawnSync("dpkg", ["--compare-versions", a, "lt", b]).status === 0;
        const isEqual = spawnSync("dpkg", ["--compare-versions", a, "eq", b]).status === 0;
        expect(Math.sign(compareVersions(a, b))).toBe(isEqual ? 0 : isOlder ? -1 : 1);
      }),
      { numRuns: 150 },
    );
  });
});
