import * as fs from "node:fs";
import * as path from "node:path";
import { deflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { SheafError } from "../../src/errors.ts";
import { inflateEntry, isSafeRelativePath, readZip } from "../../src/archive/zip.ts";
import { has, python, temporary, text } from "./oracle.ts";
import { buildZip, type ZipSpec } from "./zip-builder.ts";

const withPython = has("python3");
const hello = text("hello, hello, hello");

function refusal(action: () => unknown): SheafError {
  try {
    action();
  } catch (error) {
    if (error instanceof SheafError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("readZip", () => {
  it("reads files, directories and links with their modes, in the directory's order", () => {
    const bytes = buildZip([
      { path: "b/run.sh", content: hello, mode: 0o100755 },
      { path: "b/", mode: 0o040700, stored: true },
      { path: "a.txt", content: hello, stored: true },
      { path: "link", content: text("a.txt"), stored: true, mode: 0o120777 },
    ]);
    const entries = readZip(bytes);
    expect(entries.map(({ path, type, mode, method }) => [path, type, mode, method])).toEqual([
      ["b/run.sh", "file", 0o755, 8],
      ["b", "directory", 0o700, 0],
      ["a.txt", "file", 0, 0],
      ["link", "symlink", 0o777, 0],
    ]);
    expect(entries.map((entry) => Buffer.from(inflateEntry(entry)).toString())).toEqual([
      "hello, hello, hello",
      "",
      "hello, hello, hello",
      "a.txt",
    ]);
  });

  it("gives views of the archive, not copies", () => {
    const bytes = buildZip([{ path: "a", content: hello, stored: true }]);
    expect(readZip(bytes)[0]?.data.buffer).toBe(bytes.buffer);
  });

  it("reads an archive that is itself a view at an odd offset", () => {
    const zip = buildZip([{ path: "a", content: hello }]);
    const padded = new Uint8Array(zip.length + 3);
    padded.set(zip, 3);
    expect(inflateEntry(readZip(padded.subarray(3))[0]!)).toEqual(Buffer.from(hello));
  });

  it.each<[string, ZipSpec, { comment?: string; zip64?: boolean }]>([
    ["an archive comment", { path: "a", content: hello }, { comment: "PK\u0005\u0006 not an end" }],
    ["zip64 end records", { path: "a", content: hello }, { zip64: true }],
    ["zip64 sizes of an entry", { path: "a", content: hello, zip64: true }, {}],
    ["data descriptors", { path: "a", content: hello, descriptor: true }, {}],
    ["an empty file", { path: "a" }, {}],
  ])("reads %s", (_name, spec, archive) => {
    const [entry] = readZip(buildZip([spec], archive));
    expect(inflateEntry(entry!)).toEqual(Buffer.from(spec.content ?? []));
  });

  it("takes a differing UTF-8 flag on an ASCII name, which means nothing", () => {
    expect(readZip(buildZip([{ path: "a", flags: 0x800, local: { flags: 0 } }]))).toHaveLength(1);
  });

  it("reads an empty archive", () => {
    expect(readZip(buildZip([]))).toEqual([]);
  });

  it("reads names as UTF-8 when flagged and as code page 437 when not", () => {
    const bytes = buildZip([
      { path: "naïve.py", flags: 0x800 },
      { path: "x", rawName: Uint8Array.of(0x81, 0xe1) },
    ]);
    expect(readZip(bytes).map((entry) => entry.path)).toEqual(["naïve.py", "üß"]);
  });

  it.each<[string, ZipSpec[], RegExp]>([
    ["a name twice", [{ path: "a" }, { path: "a", content: hello }], /"a" is in the archive twice/],
    ["a file and a directory of one name", [{ path: "a" }, { path: "a/" }], /"a" is in the archive twice/],
    [
      "entries that share bytes",
      [
        { path: "a", content: hello },
        { path: "a", sharesWith: 0, central: { name: "b" } },
      ],
      /shares its bytes/,
    ],
    ["another name in the local header", [{ path: "a", content: hello, local: { name: "b" } }], /another name/],
    ["another size in the local header", [{ path: "a", content: hello, local: { size: 4 } }], /another size/],
    ["another CRC in the local header", [{ path: "a", content: hello, local: { crc32: 4 } }], /another size or CRC/],
    ["another method in the local header", [{ path: "a", content: hello, local: { method: 0 } }], /another method/],
    [
      "another encoding of the name in the local header",
      [{ path: "ü", flags: 0x800, local: { flags: 0 } }],
      /other flags/,
    ],
    ["encryption", [{ path: "a", content: hello, flags: 1 }], /encrypted/],
    ["an unknown method", [{ path: "a", content: hello, local: { method: 12 }, central: { method: 12 } }], /method 12/],
    ["a device", [{ path: "a", mode: 0o020644 }], /device/],
    ["an empty name", [{ path: "" }], /no usable file name/],
    ["a NUL in a name", [{ path: "a\0b" }], /no usable file name/],
    [
      "a payload past the directory",
      [{ path: "a", content: hello, central: { compressedSize: 500 }, local: { compressedSize: 500 } }],
      /runs into the central directory/,
    ],
    ["a local header that isn't there", [{ path: "a", content: hello, central: { offset: 7 } }], /no local header/],
    [
      "an absurd ratio",
      [{ path: "bomb", content: hello, central: { size: 3e9 }, local: { size: 3e9 } }],
      /claims to unpack/,
    ],
    [
      "a stored entry of two sizes",
      [{ path: "a", content: hello, stored: true, central: { size: 3 }, local: { size: 3 } }],
      /stored, yet/,
    ],
    ["a flagged name that isn't UTF-8", [{ path: "a", flags: 0x800, rawName: Uint8Array.of(0xff) }], /isn't/],
  ])("refuses %s", (_name, specs, message) => {
    const error = refusal(() => readZip(buildZip(specs)));
    expect(error.code).toBe("SHEAF_ZIP");
    expect(error.message).toMatch(message);
  });

  it.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["an archive cut short", buildZip([{ path: "a", content: hello }]).subarray(0, -1)],
    ["bytes after the archive", Buffer.concat([buildZip([{ path: "a" }]), text("x")])],
    ["bytes before the archive", Buffer.concat([text("#!/bin/sh\n"), buildZip([{ path: "a" }])])],
  ])("refuses %s", (_name, bytes) => {
    expect(refusal(() => readZip(bytes)).code).toBe("SHEAF_ZIP");
  });

  it("holds to its limits", () => {
    const two = buildZip([
      { path: "a", content: hello },
      { path: "b", content: hello },
    ]);
    expect(refusal(() => readZip(two, { entries: 1 })).message).toMatch(/more than 1/);
    expect(refusal(() => readZip(two, { totalSize: hello.length })).message).toMatch(
      /"b" takes the archive over the limit/,
    );
    const zeros = buildZip([{ path: "zeros", content: new Uint8Array(100_000) }]);
    expect(readZip(zeros)).toHaveLength(1);
    expect(refusal(() => readZip(zeros, { ratio: 10 })).message).toMatch(/"zeros" claims/);
  });
});

describe("inflateEntry", () => {
  it.each<[string, Partial<ZipSpec>, RegExp]>([
    ["a wrong CRC", { central: { crc32: 1 }, local: { crc32: 1 } }, /CRC-32/],
    [
      "more bytes than declared",
      { central: { size: 5 }, local: { size: 5 } },
      /cannot be inflated to the declared 5 bytes/,
    ],
    ["fewer bytes than declared", { central: { size: 30 }, local: { size: 30 } }, /holds 19 bytes where 30/],
    ["stray bytes behind the stream", { payload: Buffer.concat([deflateRawSync(hello), text("xx")]) }, /2 stray bytes/],
    ["a stream cut short", { payload: deflateRawSync(hello).subarray(0, -2) }, /cannot be inflated/],
    ["an invalid stream", { payload: text("\xff\xff\xff") }, /cannot be inflated/],
  ])("refuses %s", (_name, spec, message) => {
    const [entry] = readZip(buildZip([{ path: "a", content: hello, ...spec }]));
    const error = refusal(() => inflateEntry(entry!));
    expect(error.code).toBe("SHEAF_ZIP");
    expect(error.message).toMatch(message);
  });

  it("checks the CRC of stored entries", () => {
    const [entry] = readZip(
      buildZip([{ path: "a", content: hello, stored: true, central: { crc32: 1 }, local: { crc32: 1 } }]),
    );
    expect(refusal(() => inflateEntry(entry!)).message).toMatch(/CRC-32/);
  });
});

it.each([
  ["a/b.py", true],
  ["a b/ü", true],
  ["", false],
  ["/etc/passwd", false],
  ["../x", false],
  ["a/../x", false],
  ["a/./x", false],
  ["a//x", false],
  ["a/", false],
  ["a\\..\\x", false],
  ["C:x", false],
  ["a\0", false],
])("isSafeRelativePath(%j) is %s", (path, safe) => {
  expect(isSafeRelativePath(path)).toBe(safe);
});

describe("with Python's zipfile as the oracle", () => {
  it.skipIf(!withPython)("reads what zipfile writes (needs python3)", () => {
    const file = path.join(temporary(), "a.zip");
    const expected = python<[string, number, number][]>(
      `
import sys, json, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for n, (name, method) in enumerate([("pkg/__init__.py", 8), ("pkg/data.bin", 0), ("pkg/größe.txt", 8)]):
        info = zipfile.ZipInfo(name); info.compress_type = method; info.external_attr = 0o100644 << 16
        z.writestr(info, bytes(range(256)) * (n + 1))
    with z.open("pkg/big.txt", "w", force_zip64=True) as f: f.write(b"x" * 1000)
print(json.dumps([[i.filename, i.file_size, i.CRC] for i in zipfile.ZipFile(sys.argv[1]).infolist()]))`,
      file,
    );
    const entries = readZip(fs.readFileSync(file));
    expect(entries.map((entry) => [entry.path, entry.size, entry.crc32])).toEqual(expected);
    for (const entry of entries) expect(inflateEntry(entry)).toHaveLength(entry.size);
  });

  it.skipIf(!withPython)("sees in the test archives what zipfile sees (needs python3)", () => {
    const file = path.join(temporary(), "a.zip");
    fs.writeFileSync(
      file,
      buildZip(
        [
          { path: "a", content: hello, zip64: true },
          { path: "b", content: hello, descriptor: true },
        ],
        { zip64: true },
      ),
    );
    const seen = python<string[]>(
      `import sys,json,zipfile; z=zipfile.ZipFile(sys.argv[1]); print(json.dumps([z.read(n).decode() for n in z.namelist()]))`,
      file,
    );
    expect(seen).toEqual(readZip(fs.readFileSync(file)).map((entry) => Buffer.from(inflateEntry(entry)).toString()));
  });
});

describe("whatever the bytes", () => {
  it("arbitrary bytes give a result or a SheafError", () => {
    const end = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((tail) => Buffer.concat([Uint8Array.of(0x50, 0x4b, 5, 6), tail, new Uint8Array(2)]));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.tuple(fc.uint8Array({ maxLength: 200 }), end).map((parts) => Buffer.concat(parts)),
        ),
        readAll,
      ),
      { numRuns: 500 },
    );
  });

  it("mutated archives give a result or a SheafError", () => {
    const archives = [
      buildZip([
        { path: "a", content: hello },
        { path: "dir/", mode: 0o040755 },
        { path: "dir/b", content: hello, stored: true },
      ]),
      buildZip(
        [
          { path: "a", content: hello, zip64: true },
          { path: "b", content: hello, descriptor: true },
        ],
        { zip64: true, comment: "c" },
      ),
    ];
    const edit = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.constantFrom(...archives), fc.array(edit, { minLength: 1, maxLength: 6 }), (archive, edits) => {
        const bytes = new Uint8Array(archive);
        for (const { at, value } of edits) bytes[at % bytes.length] = value;
        readAll(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it("every shortened archive is refused", () => {
    const archive = buildZip([{ path: "a", content: hello }]);
    for (let length = 0; length < archive.length; length++) {
      expect(refusal(() => readZip(archive.subarray(0, length))).code).toBe("SHEAF_ZIP");
    }
  });
});

function readAll(bytes: Uint8Array): void {
  try {
    for (const entry of readZip(bytes)) inflateEntry(entry);
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
  }
}
