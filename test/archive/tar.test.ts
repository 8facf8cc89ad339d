import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { TarFacts } from "../../src/archive/tar-header.ts";
import { readTar, readTarStream } from "../../src/archive/tar-read.ts";
import { tarEnd, tarHeader, tarPadding, type TarHeader } from "../../src/archive/tar-write.ts";
import { SheafError } from "../../src/errors.ts";
import { collect, has, python, run, streamOf, temporary, text } from "./oracle.ts";

const withPython = has("python3");
const withTar = has("tar");
const base = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

function archive(...entries: (TarHeader & { content?: Uint8Array })[]): Uint8Array {
  const parts = entries.flatMap(({ content = new Uint8Array(), ...header }) => [
    tarHeader({ ...header, size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd]);
}

function block(fields: {
  typeflag: string;
  name?: string;
  size?: number | Uint8Array;
  edit?: (header: Buffer) => void;
}): Uint8Array {
  const bytes = Buffer.from(tarHeader({ ...base, path: fields.name ?? "x", type: "file" }));
  if (typeof fields.size === "number") bytes.write(fields.size.toString(8).padStart(11, "0"), 124);
  else if (fields.size) Buffer.from(fields.size).copy(bytes, 124);
  bytes.write(fields.typeflag, 156);
  fields.edit?.(bytes);
  bytes.write("        ", 148);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

function padded(content: Uint8Array): Uint8Array {
  return Buffer.concat([content, tarPadding(content.length)]);
}

async function readStreamed(bytes: Uint8Array, chunk: number): Promise<(TarFacts & { data: string })[]> {
  const entries = [];
  for await (const { body, ...facts } of readTarStream(streamOf(bytes, chunk))) {
    entries.push({ ...facts, data: Buffer.from(await collect(body)).toString("latin1") });
  }
  return entries;
}

const samples: (TarHeader & { content?: Uint8Array })[] = [
  { ...base, path: "usr", type: "directory", mode: 0o755, mtime: 1_700_000_000 },
  { ...base, path: "usr/a.txt", type: "file", content: text("content"), uid: 10_001, gid: 10_002 },
  { ...base, path: "usr/link", type: "symlink", mode: 0o777, target: "a.txt" },
  { ...base, path: "usr/hard", type: "hardlink", target: "usr/a.txt" },
  { ...base, path: `long/${"d".repeat(90)}/${"f".repeat(90)}`, type: "file", content: text("ustar prefix") },
  { ...base, path: `long/${"e".repeat(120)}/${"f".repeat(120)}`, type: "file", content: text("pax path") },
  { ...base, path: `${"g".repeat(140)}/`.repeat(3) + "dir", type: "directory" },
  { ...base, path: "größe/日本.txt", type: "file", content: text("not ASCII") },
  { ...base, path: "far", type: "symlink", target: `${"t".repeat(200)}/ü` },
  { ...base, path: "big-ids", type: "file", uid: 5_000_000, gid: 4_294_967_294 },
  {
    ...base,
    path: "ping",
    type: "file",
    xattrs: { "security.capability": Uint8Array.of(1, 0, 10, 61, 0), "user.b": text("x") },
  },
  { ...base, path: "x".repeat(100), type: "file", content: new Uint8Array(512) },
  { ...base, path: "y".repeat(99), type: "directory" },
];

describe("what is written", () => {
  it("is read back the same, in memory and streamed in chunks of any size", async () => {
    const bytes = archive(...samples);
    const read = readTar(bytes);
    expect(read.map(({ data, ...facts }) => ({ ...facts, data: Buffer.from(data).toString("latin1") }))).toEqual(
      samples.map(({ content, ...header }) => ({
        ...header,
        size: content?.length ?? 0,
        data: Buffer.from(content ?? []).toString("latin1"),
        ...(header.xattrs
          ? {
              xattrs: Object.fromEntries(
                Object.entries(header.xattrs).map(([key, value]) => [key, Buffer.from(value)]),
              ),
            }
          : {}),
      })),
    );
    for (const chunk of [1, 511, 512, 65_536]) {
      expect(await readStreamed(bytes, chunk)).toEqual(
        read.map(({ data, ...facts }) => ({ ...facts, data: Buffer.from(data).toString("latin1") })),
      );
    }
  });

  it("has no time, process or host in PAX headers (jib #4204, dotnet/sdk #55689)", () => {
    const pax = tarHeader({ ...base, path: "ü".repeat(200), type: "file", mtime: 1_700_000_000 });
    expect(Buffer.from(pax.subarray(0, 16)).toString()).toBe("PaxHeaders/entry");
    expect(Buffer.from(pax.subarray(136, 147)).toString()).toBe("00000000000");
    expect(tarHeader({ ...base, path: "ü".repeat(200), type: "file", mtime: 1_700_000_000 })).toEqual(pax);
  });

  it("orders PAX records by key, whatever the order they were given in", () => {
    const a = tarHeader({ ...base, path: "a", type: "file", xattrs: { "user.a": text("1"), "user.b": text("2") } });
    const b = tarHeader({ ...base, path: "a", type: "file", xattrs: { "user.b": text("2"), "user.a": text("1") } });
    expect(a).toEqual(b);
  });

  it("says sizes from 8 GiB in PAX", async () => {
    const header = tarHeader({ ...base, path: "big", type: "file", size: 2 ** 33 });
    const { value: entry } = await readTarStream(streamOf(header)).next();
    expect(entry).toMatchObject({ path: "big", size: 2 ** 33 });
    expect(Buffer.from(header).toString("latin1")).toContain("19 size=8589934592\n");
    expect(tarHeader({ ...base, path: "big", type: "file", size: 2 ** 33 - 1 })).toHaveLength(512);
  });

  it.each([[{ path: "a\0b" }], [{ path: "" }], [{ mtime: 1.5 }], [{ uid: -1 }], [{ path: "bad\ud800ü" }]])(
    "refuses %j as a bug of the caller",
    (wrong) => {
      expect(() => tarHeader({ ...base, path: "a", type: "file", ...wrong })).toThrow(Error);
    },
  );

  it.skipIf(!withPython)("is understood by Python's tarfile (needs python3)", () => {
    const file = path.join(temporary(), "a.tar");
    fs.writeFileSync(file, archive(...samples));
    const script = `
import sys, json, tarfile
kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}
t = tarfile.open(sys.argv[1])
print(json.dumps([[m.name, kinds[m.type], m.mode, m.uid, m.gid, m.mtime, m.linkname, t.extractfile(m).read().decode() if m.isreg() else ""] for m in t]))`;
    expect(python(script, file)).toEqual(
      samples.map((sample) => [
        sample.path,
        sample.type,
        sample.mode,
        sample.uid,
        sample.gid,
        sample.mtime,
        sample.target ?? "",
        Buffer.from(sample.content ?? []).toString(),
      ]),
    );
  });

  it.skipIf(!withTar)("is understood by GNU tar, extended attributes too (needs tar)", () => {
    const file = path.join(temporary(), "a.tar");
    fs.writeFileSync(file, archive(...samples));
    const listed = run("tar", ["--quoting-style=literal", "--show-transformed-names", "-tf", file])
      .trimEnd()
      .split("\n");
    expect(listed).toEqual(samples.map((sample) => sample.path + (sample.type === "directory" ? "/" : "")));
    expect(run("tar", ["--xattrs", "--xattrs-include=*", "-tvvf", file])).toMatch(/5 security\.capability/);
  });
});

describe("readTar", () => {
  it.skipIf(!withTar).each(["gnu", "pax", "ustar", "v7", "oldgnu"])(
    "reads what GNU tar writes as %s (needs tar)",
    async (format) => {
      const folder = temporary();
      const long = format === "gnu" || format === "pax" || format === "oldgnu";
      const name = long ? `${"n".repeat(120)}/${"m".repeat(120)}.txt` : "n/m.txt";
      fs.mkdirSync(path.join(folder, "in", path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(folder, "in", name), "content", { mode: 0o640 });
      fs.symlinkSync(long ? "t".repeat(150) : "t", path.join(folder, "in", "soft"));
      fs.linkSync(path.join(folder, "in", name), path.join(folder, "in", "z-hard"));
      const file = path.join(folder, "a.tar");
      run("tar", [
        "-C",
        path.join(folder, "in"),
        `--format=${format}`,
        "--sort=name",
        "--owner=:7",
        "--group=:8",
        "--mtime=@1234567890",
        "-cf",
        file,
        ".",
      ]);
      const bytes = fs.readFileSync(file);
      const entries = readTar(bytes);
      expect(entries.map((entry) => [entry.path, entry.type, entry.target])).toEqual([
        [".", "directory", undefined],
        [`./${path.dirname(name)}`, "directory", undefined],
        [`./${name}`, "file", undefined],
        ["./soft", "symlink", long ? "t".repeat(150) : "t"],
        ["./z-hard", "hardlink", `./${name}`],
      ]);
      expect(entries[2]).toMatchObject({ mode: 0o640, uid: 7, gid: 8, mtime: 1_234_567_890, size: 7 });
      expect(Buffer.from(entries[2]!.data).toString()).toBe("content");
      expect(await readStreamed(bytes, 1000)).toHaveLength(5);
    },
  );

  it("reads global PAX headers until they are taken back", () => {
    const bytes = Buffer.concat([
      block({ typeflag: "g", size: 10 }),
      padded(text("10 uid=42\n")),
      block({ typeflag: "0", name: "a" }),
      block({ typeflag: "x", size: 9 }),
      padded(text("9 uid=43\n")),
      block({ typeflag: "0", name: "b" }),
      block({ typeflag: "0", name: "c" }),
      block({ typeflag: "g", size: 7 }),
      padded(text("7 uid=\n")),
      block({ typeflag: "0", name: "d" }),
    ]);
    expect(readTar(bytes).map((entry) => entry.uid)).toEqual([42, 43, 42, 0]);
  });

  it("reads binary numbers, old directories and contiguous files", () => {
    const bytes = Buffer.concat([
      block({ typeflag: "0", name: "a", edit: (header) => Buffer.from([0x80, 0, 0, 0, 0, 1, 0, 0]).copy(header, 108) }),
      block({ typeflag: "\0", name: "old/" }),
      block({ typeflag: "7", name: "contiguous" }),
      block({ typeflag: "3", name: "dev/null" }),
    ]);
    expect(readTar(bytes).map((entry) => [entry.path, entry.type, entry.uid])).toEqual([
      ["a", "file", 65_536],
      ["old", "directory", 0],
      ["contiguous", "file", 0],
      ["dev/null", "character", 0],
    ]);
  });

  it("keeps names apart that aren't UTF-8, and writes them back as they were", () => {
    const bytes = block({ typeflag: "0", name: "x", edit: (header) => Buffer.from([0xe9, 0xff]).copy(header, 0) });
    const [entry] = readTar(bytes);
    expect(entry?.path).toBe("\udce9\udcff");
    const again = tarHeader({ ...base, path: entry!.path, type: "file" });
    expect(readTar(again)[0]?.path).toBe(entry?.path);
    expect(again.includes(0xe9)).toBe(true);
  });

  it("takes the end of the data for the end of the archive, also without the last padding", () => {
    expect(readTar(Buffer.concat([block({ typeflag: "0", size: 3 }), text("abc")]))).toHaveLength(1);
    expect(readTar(new Uint8Array())).toEqual([]);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["a sparse file", block({ typeflag: "S" }), /sparse/],
    [
      "a sparse file in PAX",
      Buffer.concat([
        block({ typeflag: "x", size: 22 }),
        padded(text("22 GNU.sparse.major=1\n")),
        block({ typeflag: "0" }),
      ]),
      /sparse/,
    ],
    ["another volume", block({ typeflag: "M" }), /unknown type "M"/],
    ["a wrong checksum", Buffer.from(block({ typeflag: "0" })).fill(65, 0, 3), /wrong checksum/],
    ["a header cut short", block({ typeflag: "0" }).subarray(0, 300), /cut short/],
    ["a content cut short", Buffer.concat([block({ typeflag: "0", size: 600 }), new Uint8Array(512)]), /cut short/],
    [
      "a negative size",
      block({ typeflag: "0", size: Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0) }),
      /size is out of range/,
    ],
    [
      "a size beyond all",
      block({ typeflag: "0", size: Uint8Array.of(0x80, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255) }),
      /size is out of range/,
    ],
    ["a size that is no number", block({ typeflag: "0", size: text("zz") }), /size is no number/],
    ["a header of a GiB", block({ typeflag: "x", size: 2 ** 30 }), /more than 1048576/],
    [
      "a malformed PAX record",
      Buffer.concat([block({ typeflag: "x", size: 5 }), padded(text("9 a=b"))]),
      /malformed PAX/,
    ],
    [
      "a PAX size that is no number",
      Buffer.concat([block({ typeflag: "x", size: 10 }), padded(text("10 size=x\n")), block({ typeflag: "0" })]),
      /whose size is "x"/,
    ],
    ["an empty name", block({ typeflag: "0", name: "x", edit: (header) => header.fill(0, 0, 1) }), /usable name/],
  ])("refuses %s, in memory and streamed", async (_name, bytes, message) => {
    expect(() => readTar(bytes)).toThrow(message);
    await expect(readStreamed(bytes, 100)).rejects.toThrow(message);
  });

  it("holds to its limits", () => {
    const bytes = archive(
      { ...base, path: "a", type: "file", content: text("abc") },
      { ...base, path: "b", type: "file", content: text("abc") },
    );
    expect(() => readTar(bytes, { entries: 1 })).toThrow(/more than 1 entries/);
    expect(() => readTar(bytes, { totalSize: 5 })).toThrow(/more than 5 bytes, at "b"/);
  });
});

describe("readTarStream", () => {
  it("skips what is not read, wholly or in part", async () => {
    const bytes = archive(
      ...["a", "b", "c"].map((name) => ({
        ...base,
        path: name,
        type: "file" as const,
        content: new Uint8Array(3000).fill(65),
      })),
    );
    const seen: string[] = [];
    for await (const entry of readTarStream(streamOf(bytes, 700))) {
      seen.push(entry.path);
      if (entry.path === "b") for await (const part of entry.body) if (part.length > 0) break;
    }
    expect(seen).toEqual(["a", "b", "c"]);
  });

  it("lets everything after the end of the archive pass, and closes its source when left early", async () => {
    let passed = 0;
    let closed = false;
    const source = async function* () {
      try {
        for await (const chunk of streamOf(
          Buffer.concat([archive({ ...base, path: "a", type: "file" }), new Uint8Array(9000)]),
          512,
        )) {
          passed += chunk.length;
          yield chunk;
        }
      } finally {
        closed = true;
      }
    };
    for await (const entry of readTarStream(source())) expect(entry.path).toBe("a");
    expect(passed).toBe(1536 + 9000);
    closed = false;
    for await (const entry of readTarStream(source())) if (entry) break;
    expect(closed).toBe(true);
  });

  it("keeps memory bounded: 2 GiB of content pass in little heap", async () => {
    const chunk = new Uint8Array(1 << 20);
    const source = async function* () {
      yield tarHeader({ ...base, path: "big", type: "file", size: 2 ** 31 });
      for (let index = 0; index < 2048; index++) yield chunk;
      yield tarEnd;
    };
    let bytes = 0;
    const before = process.memoryUsage().arrayBuffers;
    for await (const entry of readTarStream(source())) for await (const part of entry.body) bytes += part.length;
    expect(bytes).toBe(2 ** 31);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
  });
});

describe("whatever the bytes", () => {
  it("mutated archives give a result or a SheafError, the same in memory and streamed", async () => {
    const seed = archive(...samples);
    const edit = fc.record({ at: fc.nat(), value: fc.constantFrom(0, 0x30, 0x37, 0x80, 0xff, 0x4c, 0x78) });
    const fix = fc.boolean();
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), fix, async (edits, sealed) => {
        const bytes = Buffer.from(seed);
        for (const { at, value } of edits) {
          const position = at % bytes.length;
          bytes[position] = value;
          // A right checksum lets the mutation get past the first gate.
          if (sealed) reseal(bytes, position - (position % 512));
        }
        let inMemory: unknown[] | undefined;
        let streamed: unknown[] | undefined;
        await attempt(() => (inMemory = readTar(bytes).map((entry) => [entry.path, entry.size, entry.target])));
        await attempt(
          async () =>
            (streamed = (await readStreamed(bytes, 4096)).map((entry) => [entry.path, entry.size, entry.target])),
        );
        expect(streamed).toEqual(inMemory);
      }),
      { numRuns: 800 },
    );
  });

  it("arbitrary bytes give a result or a SheafError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1600 }), (bytes) => attempt(() => readTar(bytes))),
      { numRuns: 300 },
    );
  });

  it("any name survives the way through an archive", () => {
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 300 })
      .filter((path) => !path.includes("\0") && !path.endsWith("/"));
    fc.assert(
      fc.property(name, name, (path, target) => {
        const [entry] = readTar(archive({ ...base, path, target, type: "symlink" }));
        expect([entry?.path, entry?.target]).toEqual([path, target]);
      }),
      { numRuns: 500 },
    );
  });
});

function reseal(bytes: Buffer, at: number): void {
  bytes.write("        ", at + 148);
  const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148);
}

async function attempt(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
  }
}
