import { deflateRawSync, crc32 } from "node:zlib";
import { randomBytes } from "node:crypto";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type ByteSource, memorySource, SourceView } from "../../src/archive/byte-source.ts";
import { inflateChunks, readRange } from "../../src/archive/inflate-stream.ts";
import type { ZipEntry } from "../../src/archive/zip-directory.ts";
import { inflateEntry, readZip } from "../../src/archive/zip.ts";
import { SheafError } from "../../src/errors.ts";
import { buildZip } from "./zip-builder.ts";

/** Bytes that are read in places only, as those of a file: a read outside is an error. */
function inPlaces(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, length) {
      if (offset < 0 || offset + length > bytes.length) throw new Error(`${length} bytes at ${offset}`);
      return Uint8Array.from(bytes.subarray(offset, offset + length));
    },
  };
}

describe("SourceView", () => {
  const bytes = Buffer.from(randomBytes(200_000));

  it.each([true, false])("reads numbers wherever they are, little-endian: %s", (littleEndian) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const source of [memorySource(bytes), inPlaces(bytes)]) {
      const found = new SourceView(source, littleEndian);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: bytes.length - 8 }), (at) => {
          expect(found.u16(at)).toBe(view.getUint16(at, littleEndian));
          expect(found.u32(at)).toBe(view.getUint32(at, littleEndian));
          expect(found.u64(at)).toBe(view.getBigUint64(at, littleEndian));
          expect(Buffer.compare(found.bytes(at, 8), bytes.subarray(at, at + 8))).toBe(0);
        }),
      );
      expect(Buffer.compare(found.bytes(5, 150_000), bytes.subarray(5, 150_005))).toBe(0);
      expect(() => found.u32(bytes.length - 3)).toThrow(RangeError);
      expect(() => found.u16(-1)).toThrow(RangeError);
    }
  });

  it("reads what lies close together at once", () => {
    let reads = 0;
    const view = new SourceView({
      size: bytes.length,
      read: (at, length) => (reads++, bytes.subarray(at, at + length)),
    });
    for (let at = 1000; at < 60_000; at += 4) view.u32(at);
    expect(reads).toBe(1);
  });
});

describe("readZip of an archive that is read in places", () => {
  it("finds what it finds in memory", () => {
    const content = fc.uint8Array({ maxLength: 3000 });
    const options = fc.record({ zip64: fc.boolean(), comment: fc.string({ maxLength: 30 }) });
    fc.assert(
      fc.property(fc.array(content, { minLength: 1, maxLength: 40 }), options, (contents, archive) => {
        const bytes = buildZip(
          contents.map((each, index) => ({ path: `folder/${index}`, content: each, zip64: archive.zip64 })),
          archive,
        );
        const entries = readZip(inPlaces(bytes));
        expect(entries.map(plain)).toEqual(readZip(bytes).map(plain));
        expect(entries.map((entry) => Buffer.from(inflateEntry(entry)))).toEqual(
          contents.map((each) => Buffer.from(each)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it("refuses what it refuses in memory, and asks for nothing outside", () => {
    const bytes = Buffer.from(
      buildZip([
        { path: "a", content: randomBytes(500) },
        { path: "b", zip64: true },
      ]),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const broken = Buffer.from(bytes);
        for (const [at, value] of changes) broken[at] = value;
        expect(outcome(() => readZip(inPlaces(broken)))).toEqual(outcome(() => readZip(broken)));
      }),
      { numRuns: 300 },
    );
  });
});

describe("inflateChunks", () => {
  const content = Buffer.concat([Buffer.alloc(2_500_000, "text "), randomBytes(100_000)]);
  const deflated = deflateRawSync(content);
  const entry: Omit<ZipEntry, "data"> = {
    path: "big",
    type: "file",
    mode: 0,
    method: 8,
    compressedSize: deflated.length,
    size: content.length,
    crc32: crc32(content),
    offset: 7,
  };
  const archive = (...after: Uint8Array[]) => inPlaces(Buffer.concat([Buffer.alloc(7), deflated, ...after]));

  it("gives the content in pieces, whether it is deflated or stored", async () => {
    expect(Buffer.compare(await all(archive(), entry), content)).toBe(0);
    const stored = { ...entry, method: 0 as const, offset: 0, compressedSize: content.length };
    expect(Buffer.compare(await all(inPlaces(content), stored), content)).toBe(0);
    const sizes = [...readRange(inPlaces(content), { offset: 1, length: content.length - 1 })].map(
      ({ length }) => length,
    );
    expect(Math.max(...sizes)).toBe(2 ** 20);
  });

  it.each([
    ["too little", { size: content.length + 1 }, /holds 2600000 bytes where 2600001 are declared/],
    ["too much", { size: 1000 }, /holds more than the 1000 bytes/],
    ["another CRC", { crc32: 1 }, /has CRC-32 [0-9a-f]{8} where 00000001 is declared/],
    ["a stream that is cut off", { compressedSize: deflated.length - 50 }, /cannot be inflated.*unexpected end/],
    ["what is no stream", { offset: 0 }, /cannot be inflated/],
    ["bytes after the stream", { compressedSize: deflated.length + 3 }, /has 3 stray bytes/],
  ])("refuses %s", async (_, change, message) => {
    const failure = all(archive(Buffer.from("abc")), { ...entry, ...change });
    await expect(failure).rejects.toThrow(SheafError);
    await expect(failure).rejects.toThrow(message);
  });

  it("passes on what the disk says", async () => {
    const failing: ByteSource = {
      size: 2 ** 20,
      read: () => {
        throw new Error("the disk is gone");
      },
    };
    await expect(all(failing, entry)).rejects.toThrow("the disk is gone");
  });

  it("ends when nobody reads on", async () => {
    for await (const chunk of inflateChunks(archive(), entry)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });
});

async function all(source: ByteSource, entry: Omit<ZipEntry, "data">): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of inflateChunks(source, entry)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function outcome(action: () => ZipEntry[]): unknown {
  try {
    return action().map(plain);
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    return error.message;
  }
}

function plain(entry: ZipEntry): unknown {
  return { ...entry, data: Buffer.from(entry.data).toString("hex") };
}
