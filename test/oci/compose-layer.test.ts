import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { crc32, deflateRawSync, gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";

import { buildSegment, parentDirectories } from "../../src/archive/segment.ts";
import { readTar } from "../../src/archive/tar-read.ts";
import type { Entry } from "../../src/filesystem/entry.ts";
import { composeLayer, layerFromRecord, type LayerInput, type SegmentRef } from "../../src/oci/compose-layer.ts";
import { validateImage } from "../../src/oci/validate.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { collect, temporary, text } from "../archive/oracle.ts";
import { digestOf, imageOf } from "./images.ts";

const large = Buffer.alloc(400_000, "0123456789abcdef").fill(randomBytes(100_000), 1000, 101_000);

function store(): Store {
  return openStore(temporary());
}

function entriesOf(prefix: string): Entry[] {
  const base = { type: "file" as const, mode: 0o644, uid: 0, gid: 0 };
  const deflated = {
    kind: "deflated" as const,
    deflated: deflateRawSync(large),
    crc32: crc32(large),
    size: large.length,
  };
  return [
    { ...base, path: `${prefix}/a.so`, content: deflated },
    { ...base, path: `${prefix}/b.py`, content: { kind: "bytes", bytes: text(`print("${prefix}")`) } },
  ];
}

function put(into: Store, entries: Entry[]): SegmentRef {
  const { chunks, compressed, unpacked } = buildSegment(entries, { mtime: 0 });
  return { digest: into.putBlob(chunks), compressed, unpacked };
}

function inputOf(into: Store, ...prefixes: string[]): LayerInput {
  const all = prefixes.map(entriesOf);
  const directories = parentDirectories(all.flat().map((entry) => entry.path));
  const segments = all.map((entries) => put(into, entries));
  return { segments, directories, mtime: 0, kind: "wheels", createdBy: "sheaf: wheels" };
}

describe("composeLayer", () => {
  it("makes a layer of directories and segments, with both digests and sizes", async () => {
    const cache = store();
    const record = await composeLayer(cache, inputOf(cache, "opt/one", "opt/two"));
    const layer = layerFromRecord(cache, record);
    const blob = await collect(layer.compressed());
    const tar = gunzipSync(blob);
    expect(record).toMatchObject({
      digest: digestOf(blob),
      size: blob.length,
      diffId: digestOf(tar),
      unpackedSize: tar.length,
    });
    expect(Buffer.compare(await collect(layer.uncompressed()), tar)).toBe(0);
    expect(readTar(tar).map((entry) => entry.path)).toEqual([
      "opt",
      "opt/one",
      "opt/two",
      "opt/one/a.so",
      "opt/one/b.py",
      "opt/two/a.so",
      "opt/two/b.py",
    ]);
    expect(await validateImage(imageOf([layer]))).toEqual([]);
  });

  it("stores nothing twice: its parts together are the blob", async () => {
    const cache = store();
    const { parts, size } = await composeLayer(cache, inputOf(cache, "a", "b"));
    expect(parts.reduce((sum, part) => sum + (cache.blobSize(part) ?? 0), 0)).toBe(size);
    expect(cache.listRecords("layer")).toHaveLength(1);
  });

  it("touches no segment when the input is known, also under another name", async () => {
    const cache = store();
    const input = inputOf(cache, "a");
    const first = await composeLayer(cache, input);
    // Nobody can read a blob of another content without noticing; sizes and names are all that may be looked at.
    fs.writeFileSync(cache.blobPath(input.segments[0]!.digest), "damaged");
    const again = await composeLayer(openStore(cache.root), { ...input, kind: "other", createdBy: "else" });
    expect(again).toEqual({ ...first, kind: "other", createdBy: "else" });
  });

  it("is deterministic across stores, and depends on each of its inputs", async () => {
    const records = await Promise.all([store(), store()].map((cache) => composeLayer(cache, inputOf(cache, "a", "b"))));
    expect(records[0]).toEqual(records[1]);
    const cache = store();
    const input = inputOf(cache, "a", "b");
    const variants = [
      { ...input, segments: input.segments.toReversed() },
      { ...input, directories: [] },
      { ...input, mtime: 1 },
      { ...input, directories: input.directories.map((directory) => ({ ...directory, mode: 0o700 })) },
    ];
    const digests = await Promise.all(
      [input, ...variants].map(async (variant) => (await composeLayer(cache, variant)).digest),
    );
    expect(new Set(digests).size).toBe(5);
  });

  it("makes an empty layer of nothing", async () => {
    const cache = store();
    const record = await composeLayer(cache, { segments: [], directories: [], mtime: 0, kind: "app", createdBy: "" });
    expect(record.unpackedSize).toBe(1024);
    expect(await validateImage(imageOf([layerFromRecord(cache, record)]))).toEqual([]);
  });
});

describe("a damaged part", () => {
  it("is named and removed when the layer is composed, so that it can be made again", async () => {
    const cache = store();
    const input = inputOf(cache, "a");
    const { digest } = input.segments[0]!;
    flip(cache.blobPath(digest));
    await expect(composeLayer(cache, input)).rejects.toEqual(damagedPart(digest));
    expect(cache.hasBlob(digest)).toBe(false);
    await expect(composeLayer(cache, input)).rejects.toEqual(damagedPart(digest));
    put(cache, entriesOf("a"));
    await expect(composeLayer(cache, input)).resolves.toMatchObject({ kind: "wheels" });
  });

  it("is named even when the decoder stumbles over it long before the part ends", async () => {
    const cache = store();
    const content = { kind: "bytes" as const, bytes: randomBytes(12 << 20) };
    const ref = put(cache, [{ path: "big", type: "file", mode: 0o644, uid: 0, gid: 0, content }]);
    const record = await composeLayer(cache, {
      segments: [ref],
      directories: [],
      mtime: 0,
      kind: "app",
      createdBy: "",
    });
    const bytes = fs.readFileSync(cache.blobPath(ref.digest));
    bytes[12] = 0xff;
    fs.writeFileSync(cache.blobPath(ref.digest), bytes);
    await expect(collect(layerFromRecord(cache, record).uncompressed())).rejects.toEqual(damagedPart(ref.digest));
  });

  it("is named and removed when the layer is published", async () => {
    const cache = store();
    const record = await composeLayer(cache, inputOf(cache, "a"));
    const [directories = "sha256:", segment = "sha256:"] = record.parts;
    flip(cache.blobPath(segment));
    await expect(collect(layerFromRecord(cache, record).compressed())).rejects.toEqual(damagedPart(segment));
    fs.rmSync(cache.blobPath(directories));
    await expect(collect(layerFromRecord(cache, record).compressed())).rejects.toEqual(damagedPart(directories));
  });

  it("makes a known layer be composed again when a part is gone", async () => {
    const cache = store();
    const input = inputOf(cache, "a");
    const record = await composeLayer(cache, input);
    fs.rmSync(cache.blobPath(record.parts[0]!));
    fs.rmSync(cache.blobPath(record.parts.at(-1)!));
    expect(await composeLayer(cache, input)).toEqual(record);
    expect(record.parts.every((part) => cache.hasBlob(part))).toBe(true);
  });
});

function flip(file: string): void {
  const bytes = fs.readFileSync(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  fs.writeFileSync(file, bytes);
}

function damagedPart(part: string): unknown {
  return expect.objectContaining({ code: "SHEAF_DAMAGED", details: [["part", part]] });
}
