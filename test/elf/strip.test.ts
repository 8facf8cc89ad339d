import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { elfFacts } from "../../src/elf/facts.ts";
import { readElf, sectionFlags, sectionTypes, segmentTypes } from "../../src/elf/read.ts";
import type { ElfFile } from "../../src/elf/read.ts";
import { overlay, piecesSource, readPieces, sizeOfPieces } from "../../src/elf/pieces.ts";
import { strippedPieces, stripElf } from "../../src/elf/strip.ts";
import { memorySource } from "../../src/archive/byte-source.ts";
import { buildElf } from "./build-elf.ts";
import type { ElfSpec } from "./build-elf.ts";
import { has, sharedObjects } from "./oracles.ts";

describe("stripElf", () => {
  const forms: ElfSpec[] = [
    { class: 64, littleEndian: true },
    { class: 64, littleEndian: false },
    { class: 32, littleEndian: true },
    { class: 32, littleEndian: false },
    { type: "exec" },
  ];
  it.each(forms)("drops symbols and debug sections in the form %j", (form) => {
    const bytes = buildElf({ soname: "libx.so", needed: ["libc.so.6"], debug: 5000, ...form });
    const stripped = stripElf(bytes) ?? new Uint8Array();
    expect(bytes.length - stripped.length).toBeGreaterThan(5000);
    expect(readElf(stripped)?.sections.map(({ name }) => name)).toEqual(["", ".dynstr", ".dynamic", ".shstrtab"]);
    expect(elfFacts(stripped)).toEqual(elfFacts(bytes));
    expectSameImage(stripped, bytes);
    expect(stripElf(stripped)).toBeUndefined();
  });

  it("keeps the content of sections that it does not know", () => {
    const bytes = buildElf({
      debug: 5000,
      notes: { ".comment": "GCC 12", ".rustc": "crate metadata", ".gnu_debuglink": "x" },
    });
    const stripped = readElf(stripElf(bytes) ?? new Uint8Array());
    expect(stripped?.sections.map(({ name }) => name)).toEqual(["", ".dynstr", ".dynamic", ".rustc", ".shstrtab"]);
    const kept = stripped?.sections.find(({ name }) => name === ".rustc");
    const content = stripped?.view.read(kept?.offset ?? 0, kept?.size ?? 0);
    expect(Buffer.from(content ?? []).toString()).toBe("crate metadata");
  });

  // Edge case 32, as auditwheel leaves libraries: patchelf has moved a segment behind the debug sections.
  it.each(forms)("brings segments forward that patchelf has moved, in the form %j", (form) => {
    const trailingSegment = Buffer.alloc(300, "moved by patchelf ");
    const bytes = buildElf({
      soname: "libx.so",
      debug: 50_000,
      notes: { ".rustc": "metadata" },
      trailingSegment,
      ...form,
    });
    const stripped = stripElf(bytes) ?? new Uint8Array();
    expect(bytes.length - stripped.length).toBeGreaterThan(40_000);
    expectSameImage(stripped, bytes);
    expect(elfFacts(stripped)).toEqual(elfFacts(bytes));
    const [load] = (readElf(stripped)?.segments ?? []).toReversed();
    expect(Buffer.from(stripped.subarray(load?.offset)).toString("latin1", 0, 300)).toBe(trailingSegment.toString());
    const names = readElf(stripped)?.sections.map(({ name }) => name);
    expect(names).toEqual(["", ".dynstr", ".dynamic", "", "", "", ".rustc", ".moved", ".shstrtab"]);
  });

  it("leaves whole what hides data before a moved segment", () => {
    const bytes = Buffer.from(buildElf({ debug: 50_001, trailingSegment: Buffer.alloc(300, 1) }));
    const moved = readElf(bytes)?.sections.find(({ name }) => name === ".moved");
    bytes.fill(1, (moved?.offset ?? 0) - 1500, moved?.offset);
    expect(stripElf(bytes)).toBeUndefined();
  });

  it("leaves debug companions whole", () => {
    const bytes = Buffer.from(buildElf({ debug: 5000 }));
    for (const at of [64, 64 + 56]) bytes.fill(0, at + 32, at + 40);
    expect(stripElf(bytes)).toBeUndefined();
  });

  it.each<[string, Uint8Array]>([
    ["what is not ELF", Buffer.from("#!/bin/sh\n")],
    ["relocatable objects, which need their symbols", buildElf({ type: "rel", debug: 5000 })],
    ["static archives", Buffer.from("!<arch>\n")],
    ["files without sections", buildElf({ debug: 5000, sections: false })],
    ["files without anything to drop", buildElf({ needed: ["libc.so.6"] })],
    [
      "files with data appended, which is found by its offset",
      Buffer.concat([buildElf({ debug: 5000 }), Buffer.from("payload")]),
    ],
  ])("leaves %s whole", (_, bytes) => {
    expect(stripElf(bytes)).toBeUndefined();
  });

  it("leaves whole what hides data between its sections", () => {
    const bytes = Buffer.from(buildElf({ debug: 5001 }));
    const debug = readElf(bytes)?.sections.find(({ name }) => name === ".debug_info");
    bytes[(debug?.offset ?? 0) + 5001] = 1;
    expect(stripElf(bytes)).toBeUndefined();
  });
});

describe("stripElf on real libraries", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sheaf-strip-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.skipIf(!has("gcc") || !has("strip") || !has("readelf"))(
    "wins what strip --strip-unneeded does, and the library still works (skipped without gcc and binutils)",
    () => {
      const library = join(folder, "libx.so");
      writeFileSync(
        join(folder, "x.c"),
        `static int hidden(int a) { return a * 2; }\nint twice(int a) { return hidden(a); }\n`,
      );
      writeFileSync(join(folder, "main.c"), `int twice(int);\nint main(void) { return twice(21) == 42 ? 0 : 1; }\n`);
      const gcc = (...args: string[]) => execFileSync("gcc", ["-g3", ...args], { cwd: folder, stdio: "pipe" });
      gcc("-shared", "-fPIC", "-Wl,-soname,libx.so", "-o", "libx.so", "x.c");
      gcc("-o", "main", "main.c", "-L.", "-lx", "-Wl,-rpath,$ORIGIN");
      for (const name of ["libx.so", "main"]) {
        const original = readFileSync(join(folder, name));
        execFileSync("strip", ["--strip-unneeded", "-R", ".comment", "-o", join(folder, "gnu"), join(folder, name)]);
        const stripped = stripElf(original) ?? original;
        expect(stripped.length).toBeLessThanOrEqual(readFileSync(join(folder, "gnu")).length * 1.02 + 512);
        expectSameImage(stripped, original);
        const before = loaderView(join(folder, name));
        writeFileSync(join(folder, name), stripped);
        expect(loaderView(join(folder, name))).toBe(before);
      }
      execFileSync(join(folder, "main"), { env: {} });
      expect(
        execFileSync("readelf", ["-WS", library], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
      ).not.toContain(".symtab");
    },
  );

  it.skipIf(!has("readelf"))(
    "leaves what loaders see of this machine's libraries alone (skipped without readelf)",
    () => {
      for (const file of sharedObjects(12)) {
        const original = readFileSync(file);
        const stripped = stripElf(original);
        if (!stripped) continue;
        expectSameImage(stripped, original);
        const copy = join(folder, "copy");
        writeFileSync(copy, stripped);
        expect(loaderView(copy), file).toBe(loaderView(file));
      }
    },
  );
});

describe("strippedPieces", () => {
  it("of a file that is read in places make what stripElf makes in memory", () => {
    const forms: ElfSpec[] = [
      { class: 64 },
      { class: 32 },
      { littleEndian: false },
      { trailingSegment: Buffer.alloc(9000, 7) },
    ];
    const built = forms.map((form) => buildElf({ soname: "libx.so", debug: 300_000, ...form }));
    for (const bytes of [...built, ...sharedObjects(20).map((file) => readFileSync(file))]) {
      const source = { size: bytes.length, read: (at: number, length: number) => bytes.subarray(at, at + length) };
      const pieces = strippedPieces(source);
      expect(pieces && Buffer.concat([...readPieces(source, pieces)])).toEqual(stripElf(bytes));
      expect(elfFacts(source)).toEqual(elfFacts(bytes));
    }
  });

  it("can be written over at any place", () => {
    const original = Buffer.from(Array.from({ length: 50 }, (_, index) => index));
    const source = memorySource(original);
    const range = fc
      .tuple(fc.nat(49), fc.nat(20))
      .map(([from, length]) => ({ from, length: Math.min(length, 50 - from) }));
    const own = fc.uint8Array({ maxLength: 10 }).map((bytes) => ({ bytes }));
    fc.assert(
      fc.property(fc.array(fc.oneof(range, own), { minLength: 1 }), fc.nat(200), fc.nat(60), (pieces, at, length) => {
        const whole = Buffer.concat([...readPieces(source, pieces)]);
        const offset = Math.min(at, whole.length);
        const patch = Buffer.alloc(Math.min(length, whole.length - offset), 255);
        const patched = overlay(pieces, offset, patch);
        whole.set(patch, offset);
        expect(Buffer.compare(Buffer.concat([...readPieces(source, patched)]), whole)).toBe(0);
        expect(sizeOfPieces(patched)).toBe(whole.length);
        const read = piecesSource(source, patched);
        const end = Math.min(whole.length, offset + 15);
        expect(read.size).toBe(whole.length);
        expect(Buffer.compare(read.read(offset, end - offset), whole.subarray(offset, end))).toBe(0);
      }),
    );
  });
});

/** Program headers, dynamic section and dynamic symbols as readelf prints them. */
function loaderView(file: string): string {
  const text = execFileSync("readelf", ["-W", "-l", "-d", "--dyn-syms", file], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  return text.replaceAll(file, "");
}

/** Every segment has its address, its page and its bytes, but for the fields that find the tables. */
function expectSameImage(stripped: Uint8Array, original: Uint8Array): void {
  const [after, before] = [readElf(stripped), readElf(original)];
  if (!after || !before) throw new Error("not an ELF file");
  expect(after.segments.length).toBe(before.segments.length);
  after.segments.forEach((segment, index) => {
    const then = before.segments[index];
    if (!then) throw new Error("no such segment");
    expect({ ...segment, offset: 0 }).toEqual({ ...then, offset: 0 });
    const page = segment.type === segmentTypes.load ? Math.max(segment.align, 4096) : 1;
    expect((then.offset - segment.offset) % page).toBe(0);
    const bytesNow = withoutTables(after).subarray(segment.offset, segment.offset + segment.fileSize);
    const bytesThen = withoutTables(before).subarray(then.offset, then.offset + then.fileSize);
    expect(bytesNow.equals(bytesThen), `segment ${index}`).toBe(true);
  });
  for (const section of after.sections) {
    if ((section.flags & sectionFlags.alloc) === 0 || section.type === sectionTypes.null) continue;
    const then = before.sections[section.index];
    const moved = { offset: section.offset, link: section.link, info: section.info };
    expect({ ...section, ...moved }).toEqual({ ...then, ...moved });
  }
}

/** The file with zeros for e_phoff, e_shoff and what counts sections, and for the program headers, which are compared apart. */
function withoutTables(file: ElfFile): Buffer {
  const copy = Buffer.from(file.view.read(0, file.view.size));
  const wide = file.view.class === 64;
  copy.fill(0, wide ? 32 : 28, wide ? 48 : 36);
  copy.fill(0, wide ? 58 : 46, wide ? 64 : 52);
  const { programHeaderOffset: table, programHeaderSize: size, segments } = file;
  return copy.fill(0, table, table + size * segments.length);
}
