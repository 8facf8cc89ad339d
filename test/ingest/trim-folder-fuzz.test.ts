import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { trimFolder } from "../../src/ingest/trim-folder.ts";
import { parseRecord } from "../../src/wheel/record.ts";
import { buildFatBinary } from "../cuda/build-fat-binary.ts";
import { buildLibrary } from "../cuda/build-library.ts";

const fat = buildFatBinary([50, 75, 86].map((sm) => ({ sm, storage: "lz4" as const, size: 9000 })));
const { bytes: library, address } = buildLibrary({ fatBinaries: [fat, fat], relocations: "both" });
const deviceCode = (address[".nv_fatbin"] ?? 0) - 2 * 4096;

let folder = "";
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-trim-fuzz-"));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

describe("trimFolder, of damaged libraries", () => {
  it("copies each as it is or trimmed, and says which; RECORD follows", async () => {
    const change = fc.tuple(fc.constantFrom(0, 64, deviceCode, library.length - 1400), fc.nat(1200), fc.nat(255));
    const damage = fc.record({
      changes: fc.array(change, { maxLength: 4 }),
      size: fc.integer({ min: 1, max: library.length }),
      isCut: fc.boolean(),
    });
    const seen = new Set<string>();
    const property = fc.asyncProperty(fc.array(damage, { minLength: 5, maxLength: 5 }), async (damages) => {
      const [from, to] = [
        fs.mkdtempSync(path.join(folder, "from-")),
        path.join(fs.mkdtempSync(path.join(folder, "to-")), "x"),
      ];
      for (const [index, { changes, size, isCut }] of damages.entries()) {
        const bytes = Buffer.from(library);
        for (const [start, place, value] of changes) bytes[Math.min(bytes.length - 1, start + place)] = value;
        fs.writeFileSync(path.join(from, `lib${index}.so`), isCut ? bytes.subarray(0, size) : bytes);
      }
      fs.mkdirSync(path.join(from, "x-1.dist-info"));
      const names = damages.map((_, index) => `lib${index}.so`);
      fs.writeFileSync(path.join(from, "x-1.dist-info/RECORD"), names.map((name) => `${name},sha256=old,1\n`).join(""));
      const { libraries } = await trimFolder(from, to, { targets: [86], pruneNvidia: false });
      const rows = parseRecord(fs.readFileSync(path.join(to, "x-1.dist-info/RECORD"), "utf8"));
      for (const name of names) {
        const outcome = libraries.find((each) => each.path === name)?.outcome ?? "no library";
        seen.add(outcome);
        const [before, after] = [from, to].map((root) => fs.readFileSync(path.join(root, name))) as [Buffer, Buffer];
        const size = rows.find((row) => row.path === name)?.size;
        if (outcome === "trimmed") expect(after.length).toBeLessThan(before.length);
        else expect(after.equals(before), `${name}, ${outcome}`).toBe(true);
        expect(size, name).toBe(outcome === "trimmed" ? after.length : 1);
      }
      // Nothing half-written stays behind.
      expect(fs.readdirSync(to).toSorted()).toEqual([...names, "x-1.dist-info"]);
    });
    await fc.assert(property, { numRuns: Number(process.env["SHEAF_FUZZ_RUNS"] ?? 60) });
    expect([...seen].toSorted()).toEqual(expect.arrayContaining(["broken", "trimmed", "whole"]));
  });
});
