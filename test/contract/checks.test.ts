import { describe, expect, it } from "vitest";

import { groups } from "../../src/contract/check.ts";
import { staticChecks } from "../../src/contract/registry.ts";
import { defects } from "./defects.ts";
import { apiParts, failing, gpuParts, verifyParts } from "./image-dsl.ts";

const good = { "an API": apiParts, "a worker with a GPU": gpuParts };

describe("static checks", () => {
  it.each(Object.entries(good))("find nothing in a good image of %s", async (_name, parts) => {
    const verification = await verifyParts(parts());
    expect(failing(verification)).toEqual([]);
    expect(verification.bugs).toEqual([]);
    // Nothing was started.
    expect(verification.verdict.verdict).toBe("incomplete");
  });

  it.each(defects)("$id finds $what, and no other does", async ({ id, parts, spoil }) => {
    const spoilt = parts();
    spoil(spoilt);
    const verification = await verifyParts(spoilt);
    expect(failing(verification)).toEqual([id]);
    const result = verification.verdict.checks.find((check) => check.id === id);
    expect(result).toMatchObject({ verdict: "fail", hint: expect.stringMatching(/\w/) });
    expect(verification.verdict.verdict).toBe("fail");
  });

  it("each have a good image that they pass and a bad one that they fail", async () => {
    const passed = new Set<string>();
    for (const parts of Object.values(good)) {
      const { verdict } = await verifyParts(parts());
      for (const check of verdict.checks) if (check.verdict === "pass") passed.add(check.id);
    }
    const failed = new Set(defects.map(({ id }) => id));
    const ids = staticChecks.map(({ id }) => id);
    expect(ids.filter((id) => !passed.has(id) || !failed.has(id))).toEqual([]);
    expect([...failed].filter((id) => !ids.includes(id))).toEqual([]);
  });

  it("are told apart by their ids, and say what they hold and why", () => {
    expect(new Set(staticChecks.map(({ id }) => id)).size).toBe(staticChecks.length);
    for (const { id, title, holds, why, sources } of staticChecks) {
      expect(id).toMatch(new RegExp(`^(?:${groups.join("|")})\\.[a-z-]+$`));
      expect(title).toMatch(/^\S.{5,90}[^.]$/);
      expect(holds).toMatch(/\.$/);
      expect(why.length).toBeGreaterThan(30);
      expect(sources.length).toBeGreaterThan(0);
    }
  });
});
