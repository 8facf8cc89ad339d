import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { elfFacts } from "../../src/elf/facts.ts";
import type { ElfFacts } from "../../src/elf/facts.ts";
import { readElf } from "../../src/elf/read.ts";
import { stripElf } from "../../src/elf/strip.ts";
import { SheafError } from "../../src/errors.ts";
import { buildElf } from "./build-elf.ts";
import type { ElfSpec } from "./build-elf.ts";
import { has, sharedObjects } from "./oracles.ts";

const full: ElfSpec = {
  soname: "libx.so.1",
  needed: ["libm.so.6", "libc.so.6"],
  rpath: "/opt/x:$ORIGIN",
  runpath: "$ORIGIN/../x.libs",
  interpreter: "/lib64/ld-linux-x86-64.so.2",
  versionsNeeded: [
    { file: "libm.so.6", versions: ["GLIBC_2.29"] },
    { file: "libc.so.6", versions: ["GLIBC_2.2.5", "GLIBC_2.34"] },
  ],
  versionsDefined: ["libx.so.1", "X_1.0"],
};

describe("elfFacts", () => {
  const forms: ElfSpec[] = [
    { class: 64, littleEndian: true },
    { class: 64, littleEndian: false },
    { class: 32, littleEndian: true },
    { class: 32, littleEndian: false },
    { sections: false },
  ];
  it.each(forms)("reads all of the dynamic section in the form %j", (form) => {
    expect(elfFacts(buildElf({ ...full, ...form }))).toEqual({
      machine: "x86_64",
      class: form.class ?? 64,
      type: "dyn",
      soname: "libx.so.1",
      needed: ["libm.so.6", "libc.so.6"],
      rpath: ["/opt/x", "$ORIGIN"],
      runpath: ["$ORIGIN/../x.libs"],
      interpreter: "/lib64/ld-linux-x86-64.so.2",
      versionsNeeded: full.versionsNeeded,
      versionsDefined: full.versionsDefined,
      libc: "glibc",
    });
  });

  it.each<[string, ElfSpec, Partial<ElfFacts>]>([
    ["aarch64", { machine: 183 }, { machine: "aarch64" }],
    ["an unnamed machine", { machine: 190 }, { machine: "elf-machine-190" }],
    ["big-endian POWER", { machine: 21, littleEndian: false }, { machine: "ppc64" }],
    ["a program", { type: "exec" }, { type: "exec" }],
    ["musl by its soname", { needed: ["libc.musl-x86_64.so.1"] }, { libc: "musl" }],
    ["musl by its interpreter", { interpreter: "/lib/ld-musl-aarch64.so.1" }, { libc: "musl" }],
    ["glibc by its interpreter", { interpreter: "/lib/ld-linux-aarch64.so.1" }, { libc: "glibc" }],
    ["no C library", {}, { libc: undefined }],
  ])("knows %s", (_, spec, expected) => {
    const facts = elfFacts(buildElf(spec));
    expect({ libc: undefined, ...facts }).toMatchObject(expected);
  });

  it("has nothing to say about what is not ELF", () => {
    for (const text of ["", "\x7fEL", "#!/bin/sh\n", "/* GNU ld script */"]) {
      expect(elfFacts(Buffer.from(text, "latin1"))).toBeUndefined();
    }
  });

  it("reads a file whose section headers are broken, as a loader does", () => {
    const bytes = buildElf(full);
    Buffer.from(bytes.buffer).writeBigUInt64LE(0xffff_ffff_ffffn, 40);
    expect(elfFacts(bytes)?.soname).toBe("libx.so.1");
    expect(() => readElf(bytes)).toThrow(expect.objectContaining({ code: "SHEAF_ELF" }));
  });

  it("refuses every truncation that cuts what it needs", () => {
    const bytes = buildElf({ ...full, sections: false });
    const loaded = bytes.length - 64;
    for (let length = 4; length < loaded; length += 13) {
      expect(() => elfFacts(bytes.subarray(0, length)), `${length} bytes`).toThrow(SheafError);
    }
  });

  it("never throws anything but a SheafError, nor takes long, however the bytes are changed", () => {
    const moved = buildElf({ ...full, debug: 9000, trailingSegment: Buffer.alloc(99, 1) });
    const originals = [buildElf({ ...full, debug: 500 }), buildElf({ ...full, class: 32, littleEndian: false }), moved];
    const value = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0xff), fc.nat(255));
    const change = fc.tuple(fc.nat(), value, fc.integer({ min: 1, max: 8 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...originals),
        fc.array(change, { minLength: 1, maxLength: 10 }),
        (original, changes) => {
          const bytes = Uint8Array.from(original);
          for (const [at, byte, count] of changes) bytes.fill(byte, at % bytes.length, (at % bytes.length) + count);
          const started = performance.now();
          for (const read of [elfFacts, readElf, stripElf]) {
            try {
              read(bytes);
            } catch (error) {
              expect(error).toBeInstanceOf(SheafError);
            }
          }
          expect(performance.now() - started).toBeLessThan(5000);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.skipIf(!has("readelf"))("agrees with readelf on this machine's libraries (skipped without readelf)", () => {
    const files = sharedObjects(15);
    expect(files.length).toBeGreaterThan(5);
    for (const file of files) {
      const facts = elfFacts(readFileSync(file));
      expect(facts && { ...readelfFacts(file), file }, file).toMatchObject({
        needed: facts?.needed,
        soname: facts?.soname ?? "",
        paths: [...(facts?.rpath ?? []), ...(facts?.runpath ?? [])],
        versions: (facts?.versionsNeeded ?? []).flatMap(({ versions }) => versions).toSorted(),
        file,
      });
    }
  });

  it.skipIf(!existsSync("/proc/self/exe"))("knows the program that runs this test (skipped without /proc)", () => {
    const facts = elfFacts(readFileSync("/proc/self/exe"));
    expect(facts).toMatchObject({ class: 64, machine: process.arch === "arm64" ? "aarch64" : "x86_64" });
  });
});

function readelfFacts(file: string) {
  const run = (...args: string[]) =>
    execFileSync("readelf", ["-W", ...args, file], { encoding: "utf8", maxBuffer: 2 ** 26 });
  const dynamic = run("-d");
  const values = (tag: string) =>
    [...dynamic.matchAll(new RegExp(`\\(${tag}\\)[^[]*\\[(.*)\\]`, "g"))].map((match) => match[1] ?? "");
  const needs = /needs section[\s\S]*/.exec(run("-V"))?.[0] ?? "";
  return {
    needed: values("NEEDED"),
    soname: values("SONAME")[0] ?? "",
    paths: [...values("RPATH"), ...values("RUNPATH")].flatMap((text) => text.split(":")),
    versions: [...needs.matchAll(/Name: (\S+)\s+Flags: (\S+)/g)]
      .filter((match) => match[2] !== "WEAK")
      .map((match) => match[1] ?? "")
      .toSorted(),
  };
}
