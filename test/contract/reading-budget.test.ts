import { describe, expect, it } from "vitest";

import { readImageFacts } from "../../src/contract/facts/read-image.ts";
import { ReadingBudget } from "../../src/contract/facts/reading-budget.ts";
import { collect } from "../archive/oracle.ts";
import { d, imageOf, layerOf } from "../oci/images.ts";
import { elf, file } from "./image-dsl.ts";

const interest = { startModules: new Set<string>(), files: new Set<string>() };

describe("what the layers of an image may take", () => {
  it("is one for all threads", () => {
    const budget = new ReadingBudget(interest);
    const other = new ReadingBudget(interest, { shared: budget.shared });
    expect(budget.takeText(60 * 1024 * 1024)).toBe(true);
    expect(other.takeText(60 * 1024 * 1024)).toBe(false);
    expect(other.takeText(30 * 1024 * 1024)).toBe(true);
    expect(budget.takeText(30 * 1024 * 1024)).toBe(false);
    expect(budget.takeText(2 ** 40)).toBe(false);
  });

  it("ends with too many files, or too many bytes", () => {
    const budget = new ReadingBudget(interest);
    const entries = () => {
      for (;;) budget.takeEntry({ path: "a".repeat(4000), size: 0 });
    };
    expect(entries).toThrow(/more files than can be read/);
    expect(() => new ReadingBudget(interest).takeEntry({ path: "a", size: 2 ** 50 })).toThrow(
      /more than an image may have, at "a"/,
    );
    const bytes = () => {
      for (;;) budget.takeUnpacked(2 ** 34);
    };
    expect(bytes).toThrow(/behind its last entry/);
  });

  it("lets one large library be read at a time, and nobody wait for a thread that was lost", async () => {
    const abort = new AbortController();
    const budget = new ReadingBudget(interest);
    await budget.takeTurn();
    const waiting = new ReadingBudget(interest, { shared: budget.shared, signal: abort.signal }).takeTurn();
    const outcome = await Promise.race([
      waiting.then(() => "a turn"),
      new Promise((end) => setTimeout(end, 50, "none")),
    ]);
    expect(outcome).toBe("none");
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    budget.endTurn();
    await budget.takeTurn();
  });

  it("gives the turn back when a library is cut off, and reads the next one", async () => {
    const library = Buffer.alloc(30_000_000);
    library.set(elf({ soname: "libx.so.1" }));
    const whole = [d("tmp"), file("usr/lib/libx.so.1", library)];
    const cut = layerOf(whole);
    const blob = await collect(cut.compressed());
    // Another file besides: a blob that is two layers would be read once.
    const other = layerOf([...whole, d("srv")]);
    const image = imageOf([layerOf(whole, { blob: blob.subarray(0, blob.length - 100) }), other]);
    const facts = await readImageFacts(image, { interest, signal: new AbortController().signal });
    expect(facts.problems.some(({ code }) => code === "unreadable")).toBe(true);
    expect(facts.files.get("usr/lib/libx.so.1")).toMatchObject({ layer: 1, elf: { soname: "libx.so.1" } });
  });
});
