import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readTarStream } from "../../src/archive/tar-read.ts";
import { TarScanner } from "../../src/archive/tar-scan.ts";
import { SheafError } from "../../src/errors.ts";
import { d, f, h, s, tarOf } from "../oci/images.ts";

interface Seen {
  entries: { path: string; type: string; target?: string; content: string }[];
  error?: string;
}

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield Uint8Array.from(bytes.subarray(at, at + size));
    at += size;
  }
}

/** What `readTarStream`, the older reader, makes of it. */
async function streamed(bytes: Uint8Array): Promise<Seen> {
  const entries: Seen["entries"] = [];
  try {
    for await (const { path, type, target, body } of readTarStream(inPieces(bytes, [4096]))) {
      const entry = { path, type, ...(target === undefined ? {} : { target }), content: "" };
      entries.push(entry);
      for await (const piece of body) entry.content += Buffer.from(piece).toString("latin1");
    }
    return { entries };
  } catch (error) {
    return { entries, error: messageOf(error) };
  }
}

async function scanned(bytes: Uint8Array, sizes: readonly number[]): Promise<Seen> {
  const entries: Seen["entries"] = [];
  const ended = new Set<string>();
  try {
    const scanner = new TarScanner(({ path, type, target }) => {
      const entry = { path, type, ...(target === undefined ? {} : { target }), content: "" };
      entries.push(entry);
      return {
        add: (piece) => {
          entry.content += Buffer.from(piece).toString("latin1");
          return piece.length % 2 === 0 ? undefined : Promise.resolve();
        },
        end: () => void ended.add(path),
      };
    });
    for await (const chunk of inPieces(bytes, sizes)) {
      for (const pause of scanner.push(chunk)) await pause;
      chunk.fill(0xaa);
    }
    scanner.finish();
    expect(ended.size).toBe(new Set(entries.map(({ path }) => path)).size);
    return { entries };
  } catch (error) {
    return { entries, error: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof SheafError)) throw error;
  return error.message;
}

const long = "folder/".repeat(30);
const archive = tarOf([
  d("etc"),
  f("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
  f("empty", ""),
  f("whole", "x".repeat(1024)),
  s("link", "etc/passwd"),
  h("hard", "etc/passwd"),
  f(`${long}name`, "y".repeat(3000)),
  f("umlaut-ä", "z".repeat(511)),
]);

describe("an archive that is scanned", () => {
  it.each([1, 7, 511, 512, 513, 1000, 100_000])("has the same entries in pieces of %d bytes", async (size) => {
    const seen = await scanned(archive, [size]);
    expect(seen).toEqual(await streamed(archive));
    expect(seen.entries.map(({ path }) => path)).toContain(`${long}name`);
  });

  it("is the same to both readers wherever it is cut off, and however it is cut into pieces", async () => {
    const cut = fc.tuple(
      fc.nat(archive.length),
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 }),
    );
    await fc.assert(
      fc.asyncProperty(cut, async ([length, sizes]) => {
        const bytes = archive.subarray(0, length);
        expect(await scanned(bytes, sizes)).toEqual(await streamed(bytes));
      }),
      { numRuns: 150 },
    );
  });

  it("is the same to both readers with bytes changed anywhere", async () => {
    const change = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(change, async (changes) => {
        const bytes = Uint8Array.from(archive);
        for (const [at, value] of changes) bytes[at] = value;
        expect(await scanned(bytes, [700])).toEqual(await streamed(bytes));
      }),
      { numRuns: 200 },
    );
  });
});
