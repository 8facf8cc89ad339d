import { createHash, randomBytes } from "node:crypto";
import { crc32, deflateRawSync, gunzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  buildSegment,
  directoriesSegment,
  parentDirectories,
  segmentEnd,
  segmentEndSize,
  writeSegment,
  type BuiltSegment,
} from "../../src/archive/segment.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import type { Content, Entry, FileEntry } from "../../src/filesystem/entry.ts";
import { has, run, text } from "./oracle.ts";

const mtime = 1_700_000_000;

function file(path: string, content: Content, mode = 0o644): FileEntry {
  return { path, type: "file", mode, uid: 0, gid: 0, content };
}

function bytes(content: Uint8Array | string): Content {
  return { kind: "bytes", bytes: typeof content === "string" ? text(content) : content };
}

function deflated(content: Uint8Array, level = 6): Content {
  return {
    kind: "deflated",
    deflated: deflateRawSync(content, { level }),
    crc32: crc32(content),
    size: content.length,
  };
}

function unpack(...segments: BuiltSegment[]): Buffer {
  return gunzipSync(Buffer.concat([...segments.flatMap((segment) => segment.chunks), segmentEnd]));
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

const large = randomBytes(60_000);
const small = Buffer.from("print('hello')\n".repeat(50));
const sample: Entry[] = [
  { path: "app", type: "directory", mode: 0o755, uid: 0, gid: 0 },
  file("app/a.py", deflated(small)),
  file("app/big.so", deflated(large), 0o755),
  file("app/empty", bytes("")),
  { path: "app/link", type: "symlink", mode: 0o777, uid: 0, gid: 0, target: "a.py" },
  file("app/z.txt", bytes("text"), 0o600),
  { path: "app/hard", type: "hardlink", mode: 0o644, uid: 0, gid: 0, target: "app/z.txt" },
];

describe("buildSegment", () => {
  it("makes a tar archive of its entries once the end is added", () => {
    const entries = readTar(unpack(buildSegment(sample, { mtime })));
    expect(entries.map(({ path, type, mode, target, mtime }) => [path, type, mode, target, mtime])).toEqual(
      sample.map((entry) => [entry.path, entry.type, entry.mode, "target" in entry ? entry.target : undefined, mtime]),
    );
    expect(Buffer.compare(entries[2]!.data, large)).toBe(0);
    expect(Buffer.from(entries[1]!.data).toString()).toBe(small.toString());
  });

  it("counts what it makes and knows every content by its digest", () => {
    const segment = buildSegment(sample, { mtime });
    expect(segment.compressed).toBe(Buffer.concat(segment.chunks).length);
    expect(segment.unpacked + segmentEndSize).toBe(unpack(segment).length);
    expect(segment.entries[2]).toEqual({
      path: "app/big.so",
      type: "file",
      mode: 0o755,
      size: 60_000,
      sha256: sha256(large),
    });
    expect(segment.entries[4]).toEqual({ path: "app/link", type: "symlink", mode: 0o777, size: 0, target: "a.py" });
    expect(segment.entries[0]).not.toHaveProperty("sha256");
  });

  it("keeps the deflate stream of a large file untouched, and pools the small ones", () => {
    const content = deflated(large);
    const segment = buildSegment([file("a", content), ...["b", "c", "d"].map((path) => file(path, deflated(small)))], {
      mtime,
    });
    expect(content.kind === "deflated" && segment.chunks.includes(content.deflated)).toBe(true);
    // Header, the stream as a member of three chunks, and one member for all the rest.
    expect(segment.chunks).toHaveLength(5);
  });

  it("gives the same unpacked bytes whichever way a content comes", () => {
    const read = () => large;
    const ways: Content[] = [
      bytes(large),
      deflated(large),
      deflated(large, 1),
      { kind: "disk", file: "/big", size: large.length },
    ];
    const unpacked = ways.map((content) => sha256(unpack(buildSegment([file("big", content)], { mtime, read }))));
    expect(new Set(unpacked).size).toBe(1);
  });

  it("closes its pool before it gets large", () => {
    const entries = Array.from({ length: 12 }, (_, index) =>
      file(`f${String(index).padStart(2, "0")}`, bytes(new Uint8Array(300_000))),
    );
    const segment = buildSegment(entries, { mtime });
    expect(segment.chunks.length).toBeGreaterThan(2);
    for (const chunk of segment.chunks) expect(gunzipSync(chunk).length).toBeLessThan(2 << 20);
  });

  it("is deterministic", () => {
    const [first, second] = [0, 1].map(() => Buffer.concat(buildSegment(sample, { mtime }).chunks));
    expect(first).toEqual(second);
    expect(sha256(gunzipSync(first!))).toBe(
      sha256(gunzipSync(Buffer.concat(buildSegment(sample, { mtime, level: 1 }).chunks))),
    );
  });

  it("keeps its promise for ever: the tar archive of an input has this digest, whatever zlib or Node is used", () => {
    const text = Buffer.alloc(50_000, "the same for ever\n");
    const link = { path: "c", type: "symlink" as const, mode: 0o777, uid: 0, gid: 0, target: "a" };
    const segment = buildSegment([file("a", deflated(text)), file("b/ü", bytes(text), 0o755), link], { mtime });
    expect(sha256(unpack(segment))).toBe("7a027f7776d3bddcea26dcda6fb623c929f8067c4916ee97906371d26e1fb37a");
  });

  it("carries extended attributes (kaniko #1837: capabilities are lost elsewhere)", () => {
    const capability = Uint8Array.of(1, 0, 0, 2, 0, 0x20, 0, 0);
    const entry = { ...file("ping", bytes("x")), xattrs: { "security.capability": capability } };
    expect(readTar(unpack(buildSegment([entry], { mtime })))[0]?.xattrs).toEqual({
      "security.capability": Buffer.from(capability),
    });
  });

  it("puts segments together in any number", () => {
    const first = buildSegment([file("a", deflated(large))], { mtime });
    const second = buildSegment([file("b", bytes("b"))], { mtime });
    const none = buildSegment([], { mtime });
    expect(none).toEqual({ chunks: [], compressed: 0, unpacked: 0, entries: [] });
    expect(readTar(unpack(first, none, second)).map((entry) => entry.path)).toEqual(["a", "b"]);
  });

  it.each<[string, Entry[], RegExp]>([
    ["entries out of order", [file("b", bytes("")), file("a", bytes(""))], /a comes after b/],
    ["a path twice", [file("a", bytes("")), file("a", bytes(""))], /a is in the segment twice/],
    [
      "a hard link before its target",
      [{ path: "a", type: "hardlink", mode: 0o644, uid: 0, gid: 0, target: "b" }, file("b", bytes(""))],
      /isn't before it/,
    ],
    ["a file on disk without a reader", [file("a", { kind: "disk", file: "/a", size: 1 })], /no reader/],
  ])("refuses %s as a bug of its caller", (_name, entries, message) => {
    expect(() => buildSegment(entries, { mtime })).toThrow(message);
  });

  it.each<[string, Partial<Content>]>([
    ["another size", { size: 59_999 }],
    ["another CRC", { crc32: 7 }],
    ["stray bytes", { deflated: Buffer.concat([deflateRawSync(large), text("x")]) }],
  ])("refuses a deflate stream with %s, whatever its size", (_name, wrong) => {
    const content = { ...deflated(large), ...wrong } as Content;
    expect(() => buildSegment([file("lib/a.so", content)], { mtime })).toThrow(
      expect.objectContaining({ code: "SHEAF_ZIP", message: expect.stringContaining("lib/a.so") }),
    );
  });

  it("says so when a file on disk changes under it", () => {
    const entry = file("a", { kind: "disk", file: "/project/a", size: 3 });
    expect(() => buildSegment([entry], { mtime, read: () => text("four") })).toThrow(
      expect.objectContaining({ code: "SHEAF_CHANGED" }),
    );
  });

  it.skipIf(!has("tar") || !has("gzip"))("is a layer that gzip and GNU tar accept (needs gzip, tar)", () => {
    const layer = Buffer.concat([...buildSegment(sample, { mtime }).chunks, segmentEnd]);
    run("gzip", ["-t"], layer);
    expect(run("tar", ["-tzf", "-"], layer).trimEnd().split("\n")).toEqual(
      sample.map((entry) => entry.path + (entry.type === "directory" ? "/" : "")),
    );
  });

  it("any set of files survives", () => {
    const content = fc
      .uint8Array({ maxLength: 40_000 })
      .chain((raw) =>
        fc.constantFrom(bytes(raw), deflated(raw), deflated(raw, 0)).map((content) => ({ raw, content })),
      );
    const files = fc.uniqueArray(fc.record({ path: fc.stringMatching(/^[a-z]{1,12}$/), value: content }), {
      selector: (item) => item.path,
      maxLength: 8,
    });
    fc.assert(
      fc.property(files, (unsorted) => {
        const sorted = unsorted.toSorted((a, b) => (a.path < b.path ? -1 : 1));
        const segment = buildSegment(
          sorted.map(({ path, value }) => file(path, value.content)),
          { mtime },
        );
        const read = readTar(unpack(segment));
        expect(read.map((entry) => [entry.path, sha256(entry.data)])).toEqual(
          sorted.map(({ path, value }) => [path, sha256(value.raw)]),
        );
        expect(segment.entries.map((entry) => entry.sha256)).toEqual(sorted.map(({ value }) => sha256(value.raw)));
      }),
      { numRuns: 100 },
    );
  });
});

describe("directories", () => {
  it("are the parents of all paths, as given or root's", () => {
    const app = { path: "home/app", type: "directory" as const, mode: 0o700, uid: 10_001, gid: 10_001 };
    const parents = parentDirectories(["usr/lib/a/b.py", "usr/bin/x", "home/app/.cache/y", "top"], [app]);
    expect(parents.map(({ path, mode, uid }) => [path, mode, uid])).toEqual([
      ["home", 0o755, 0],
      ["home/app", 0o700, 10_001],
      ["home/app/.cache", 0o755, 0],
      ["usr", 0o755, 0],
      ["usr/bin", 0o755, 0],
      ["usr/lib", 0o755, 0],
      ["usr/lib/a", 0o755, 0],
    ]);
  });

  it("make a segment whatever order they are in", () => {
    const parents = parentDirectories(["b/x", "a/x"]);
    expect(directoriesSegment(parents.toReversed(), 5)).toEqual(directoriesSegment(parents, 5));
    expect(readTar(unpack(directoriesSegment(parents, 5))).map(({ path, mtime }) => [path, mtime])).toEqual([
      ["a", 5],
      ["b", 5],
    ]);
  });
});

describe("writeSegment", () => {
  const big = Buffer.concat([Buffer.alloc(3_000_000, "pattern "), randomBytes(200_000)]);
  const slices = function* (content: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < content.length; at += 70_001) yield content.subarray(at, at + 70_001);
  };
  const asIs: Content = { kind: "large", size: big.length, sha256: sha256(big), chunks: () => slices(big) };
  const stream = deflateRawSync(big);
  const asDeflated: Content = { ...asIs, deflateStream: { crc32: crc32(big) }, chunks: () => slices(stream) };

  it("writes what buildSegment does", async () => {
    const chunks: Uint8Array[] = [];
    const written = await writeSegment(sample, { mtime }, (chunk) => chunks.push(chunk));
    expect({ ...written, chunks }).toEqual(buildSegment(sample, { mtime }));
  });

  it.each([
    ["bytes", asIs],
    ["a deflate stream", asDeflated],
  ])("streams large contents from %s", async (_, content) => {
    const entries = [file("a", bytes("before")), file("b", content), file("c", bytes("after"))];
    const write = async () => {
      const chunks: Uint8Array[] = [];
      const written = await writeSegment(entries, { mtime }, (chunk) => chunks.push(chunk));
      return { ...written, chunks };
    };
    const segment = await write();
    expect(segment.compressed).toBe(Buffer.concat(segment.chunks).length);
    expect(segment.unpacked + segmentEndSize).toBe(unpack(segment).length);
    const unpacked = readTar(unpack(segment));
    expect(unpacked.map(({ path, data }) => [path, sha256(data)])).toEqual(
      segment.entries.map((entry) => [entry.path, entry.sha256]),
    );
    expect(unpacked[1]?.data.length).toBe(big.length);
    expect(Buffer.concat((await write()).chunks).equals(Buffer.concat(segment.chunks))).toBe(true);
    if (content === asDeflated) expect(Buffer.concat(segment.chunks).includes(stream)).toBe(true);
  });

  it("is the way for large contents: buildSegment refuses them", () => {
    expect(() => buildSegment([file("b", asIs)], { mtime })).toThrow("streamed");
  });
});

describe("a content whose hash is known", () => {
  it("is not inflated for it when its stream is kept, and has the same bytes", () => {
    const known = { ...deflated(large), sha256: sha256(large) } as Content;
    const [one, two] = [known, deflated(large)].map((content) => buildSegment([file("x", content)], { mtime }));
    expect(one).toEqual(two);
    const wrong = { ...deflated(large), crc32: 0 } as Content;
    expect(() => buildSegment([file("x", wrong)], { mtime })).toThrow("CRC");
  });
});
