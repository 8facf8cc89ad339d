import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { decompress, decompressStream } from "../../src/archive/decompress.ts";
import { gzipMember, gzipMemberFromDeflate } from "../../src/archive/gzip.ts";
import { SheafError } from "../../src/errors.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import { collect, has, streamOf, text } from "./oracle.ts";
import { crc32, deflateRawSync, gunzipSync } from "node:zlib";

const content = Buffer.concat([Buffer.alloc(300_000, "layer "), randomBytes(70_000)]);
const tools = { gzip: ["gzip", "-c", "-1"], xz: ["xz", "-c", "-T1", "-0"], zstd: ["zstd", "-q", "-c"] };

function compress(tool: keyof typeof tools, bytes: Uint8Array = content): Uint8Array {
  const [program = "", ...args] = tools[tool];
  return execFileSync(program, args, { input: bytes, maxBuffer: 1 << 26 });
}

async function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no error",
    (error: unknown) => (error instanceof SheafError ? error.code : `not a SheafError: ${String(error)}`),
  );
}

describe.each(["gzip", "xz", "zstd"] as const)("%s", (tool) => {
  const missing = !has(tool);

  it.skipIf(missing)(`undoes what ${tool} makes, also in several parts (needs ${tool})`, async () => {
    const once = compress(tool);
    expect(Buffer.compare(await decompress(once, content.length), content)).toBe(0);
    const twice = await decompress(Buffer.concat([once, once]), content.length * 2);
    expect(Buffer.compare(twice, Buffer.concat([content, content]))).toBe(0);
  });

  it.skipIf(missing)(`streams, whatever the chunks (needs ${tool})`, async () => {
    const bytes = compress(tool);
    for (const size of [7, 4096, bytes.length]) {
      const streamed = await collect(
        decompressStream(streamOf(size === 7 ? compress(tool, content.subarray(0, 999)) : bytes, size)),
      );
      expect(Buffer.compare(streamed, size === 7 ? content.subarray(0, 999) : content)).toBe(0);
    }
  });

  it.skipIf(missing)(`stops at the limit, long before the end (needs ${tool})`, async () => {
    const bomb = compress(tool, Buffer.alloc(128 << 20));
    const before = process.memoryUsage().rss;
    expect(await code(decompress(bomb, 1 << 20))).toBe("SHEAF_COMPRESSION");
    expect(process.memoryUsage().rss - before).toBeLessThan(96 << 20);
    expect(await code(decompress(compress(tool), content.length - 1))).toBe("SHEAF_COMPRESSION");
  });

  it.skipIf(missing)(`refuses data that is cut short or damaged (needs ${tool})`, async () => {
    const bytes = compress(tool);
    for (const length of [6, 20, bytes.length >> 1, bytes.length - 1]) {
      expect(await code(decompress(bytes.subarray(0, length), 1 << 24)), `${length} bytes`).toBe("SHEAF_COMPRESSION");
    }
    // The decoder for zstd does not verify content checksums; whoever reads such data holds a digest of it.
    if (tool === "zstd") return;
    const damaged = Buffer.from(bytes);
    damaged.fill(0xa5, 300, 500);
    expect(await code(decompress(damaged, 1 << 24))).toBe("SHEAF_COMPRESSION");
  });

  it.skipIf(missing)(`gives a result or a SheafError for mutated data (needs ${tool})`, async () => {
    const seed = compress(tool, text("a small text, a small text"));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: seed.length - 1 }), fc.nat({ max: 255 }), async (at, value) => {
        const bytes = Uint8Array.from(seed);
        bytes[at] = value;
        expect(["no error", "SHEAF_COMPRESSION"]).toContain(await code(decompress(bytes, 1 << 20)));
      }),
      { numRuns: 200 },
    );
  });
});

describe("decompress", () => {
  it("returns what isn't compressed as it is", async () => {
    expect(await decompress(text("plain"), 10)).toEqual(text("plain"));
    expect(await code(decompress(text("plain"), 4))).toBe("SHEAF_COMPRESSION");
  });

  it.each([
    ["bzip2", "BZh91AY"],
    ["lzma", "]\0\0\u0001"],
  ])("names %s, which it can't undo", async (name, head) => {
    await expect(decompress(Buffer.from(head, "latin1"), 100)).rejects.toThrow(name);
  });
});

describe("decompressStream", () => {
  it.each([
    [mediaTypes.layerGzip, true],
    [mediaTypes.dockerLayerGzip, true],
    [mediaTypes.layer, false],
    [mediaTypes.dockerLayer, false],
    ["gzip", true],
    [undefined, true],
    [undefined, false],
  ])("goes by the media type %s (compressed: %s)", async (mediaType, compressed) => {
    const bytes = compressed ? gzipSync(content) : content;
    expect(Buffer.compare(await collect(decompressStream(streamOf(bytes), mediaType)), content)).toBe(0);
  });

  it("passes an error of its source on as it is", async () => {
    const failure = new Error("the disk fails");
    const source = async function* () {
      yield gzipSync(content).subarray(0, 100);
      throw failure;
    };
    await expect(collect(decompressStream(source(), "gzip"))).rejects.toBe(failure);
  });

  it("closes its source when left early", async () => {
    let closed = false;
    const source = async function* () {
      try {
        for (;;) yield gzipMember(content);
      } finally {
        closed = true;
      }
    };
    for await (const chunk of decompressStream(source(), "gzip")) if (chunk.length > 0) break;
    expect(closed).toBe(true);
  });
});

describe("gzip members", () => {
  it("have a header without time, name or system (Node #48690: zlib's OS byte differs by platform)", () => {
    expect([...gzipMember(text("x")).subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  });

  it("hold any content at any level", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 0, max: 9 }), (bytes, level) => {
        expect(gunzipSync(gzipMember(bytes, level))).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 200 },
    );
  });

  it("take a deflate stream as it is", () => {
    const deflated = deflateRawSync(content, { level: 9 });
    const chunks = gzipMemberFromDeflate({ deflated, crc32: crc32(content), size: content.length });
    expect(chunks[1]).toBe(deflated);
    expect(Buffer.compare(gunzipSync(Buffer.concat(chunks)), content)).toBe(0);
  });
});
