import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readAr } from "../../src/archive/ar.ts";
import { SheafError } from "../../src/errors.ts";
import { has, run, temporary, text } from "./oracle.ts";

function member(name: string, content: string, size = content.length): string {
  return `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(size).padEnd(10)}\`\n${content}${content.length % 2 ? "\n" : ""}`;
}

const deb = `!<arch>\n${member("debian-binary", "2.0\n")}${member("control.tar.xz", "odd")}${member("data.tar.xz/", "even")}`;

function names(archive: string): [string, string][] {
  return readAr(text(archive)).map(({ name, data }) => [name, Buffer.from(data).toString()]);
}

describe("readAr", () => {
  it("reads a package's members, with and without the slash of GNU", () => {
    expect(names(deb)).toEqual([
      ["debian-binary", "2.0\n"],
      ["control.tar.xz", "odd"],
      ["data.tar.xz", "even"],
    ]);
  });

  it("reads long names of GNU and BSD, and leaves out symbol tables", () => {
    const archive = `!<arch>\n${member("/", "sym")}${member("//", "a-very-long-member-name.o/\nother-long-name.o/\n")}${member("/0", "1")}${member("/27", "2")}${member("#1/20", "bsd-long-name\0\0\0\0\0\0\0content")}`;
    expect(names(archive)).toEqual([
      ["a-very-long-member-name.o", "1"],
      ["other-long-name.o", "2"],
      ["bsd-long-name", "content"],
    ]);
  });

  it("takes an archive without members, and one without the last filler", () => {
    expect(names("!<arch>\n")).toEqual([]);
    expect(names(`!<arch>\n${member("a", "odd")}`.slice(0, -1))).toEqual([["a", "odd"]]);
  });

  it.each<[string, string, RegExp]>([
    ["another format", "PK\u0003\u0004xxxx", /does not begin like one/],
    ["a thin archive", "!<thin>\n", /thin/],
    ["a member cut short", deb.slice(0, -2), /cut short inside its member "data.tar.xz\/"/],
    ["a header cut short", deb.slice(0, 80), /no member header at byte 72/],
    ["a size that is no number", `!<arch>\n${member("a", "x").replace("1  ", "-1 ")}`, /no size/],
    ["a long name without a table", `!<arch>\n${member("/5", "x")}`, /no long name at 5/],
    ["a BSD name longer than its member", `!<arch>\n${member("#1/99", "x")}`, /longer than itself/],
  ])("refuses %s", (_name, archive, message) => {
    expect(() => readAr(text(archive))).toThrow(SheafError);
    expect(() => readAr(text(archive))).toThrow(message);
  });

  it.skipIf(!has("ar"))("reads what ar writes (needs ar)", () => {
    const folder = temporary();
    const files = { "short.txt": "short", "a-name-that-is-longer-than-sixteen.txt": "long" };
    for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), content);
    const file = path.join(folder, "a.a");
    run("ar", ["qc", file, ...Object.keys(files).map((name) => path.join(folder, name))]);
    expect(readAr(fs.readFileSync(file)).map(({ name, data }) => [name, Buffer.from(data).toString()])).toEqual(
      Object.entries(files),
    );
  });

  it("gives a result or a SheafError, whatever the bytes", () => {
    const seed = text(
      `!<arch>\n${member("//", "a-very-long-member-name.o/\n")}${member("/0", "1")}${member("#1/4", "name1")}`,
    );
    const edit = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 5 }), fc.nat({ max: seed.length }), (edits, length) => {
        const bytes = seed.slice(0, length);
        for (const { at, value } of edits) if (length > 0) bytes[at % length] = value;
        try {
          readAr(bytes);
        } catch (error) {
          if (!(error instanceof SheafError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
