import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { ContentFacts } from "../../src/contract/facts/file-fact.ts";
import { ContentReader } from "../../src/contract/facts/read-content.ts";
import { ReadingBudget } from "../../src/contract/facts/reading-budget.ts";
import { sourceHash } from "../../src/contract/facts/source-hash.ts";
import { elfFacts } from "../../src/elf/facts.ts";
import { has, python } from "../archive/oracle.ts";
import { elf } from "./image-dsl.ts";

/** In two parts: scanners of repositories look for such keys too. */
const issued = ["AKIA", "Q7Z3MXK2VBN4PLWE"].join("");
const interest = { startModules: new Set<string>(), files: new Set<string>() };

async function read(path: string, bytes: Uint8Array, piece: number): Promise<ContentFacts | undefined> {
  let facts: ContentFacts | undefined;
  const reader = new ContentReader({ path, size: bytes.length }, new ReadingBudget(interest), (told) => (facts = told));
  for (let at = 0; at < bytes.length; at += piece) {
    // The memory of a piece is the stream's again after the call.
    const lent = Uint8Array.from(bytes.subarray(at, at + piece));
    await reader.add(lent);
    lent.fill(0xaa);
  }
  await reader.end();
  return facts;
}

describe("what is read of a file", () => {
  const library = elf({ soname: "libx.so.1", needed: ["libc.so.6"], debug: 5000 });
  const files: [string, Uint8Array][] = [
    ["usr/lib/libx.so.1", library],
    ["app/app/main.py", Buffer.from("import os\n".repeat(50))],
    ["usr/local/lib/python3.12/json/tool.py", Buffer.from("x = 1\n".repeat(50))],
    ["usr/bin/script", Buffer.from("#!/bin/sh\necho\n".repeat(40))],
    ["etc/passwd", Buffer.from("root:x:0:0::/root:/bin/sh\n")],
    ["srv/token", Buffer.from(`the key is ${issued}, keep it\n`)],
  ];

  it.each(files)("does not depend on where the stream is cut: %s", async (path, bytes) => {
    const whole = await read(path, bytes, bytes.length);
    expect(whole?.sha256).toBe(createHash("sha256").update(bytes).digest("base64url"));
    for (const piece of [1, 2, 3, 4, 5, 63, 64, 511]) expect(await read(path, bytes, piece)).toEqual(whole);
  });

  it("of a large library is what the whole file says", async () => {
    const large = Buffer.alloc(60_000_000);
    large.set(library);
    const facts = (await read("usr/lib/liblarge.so", large, 256 * 1024))?.elf;
    expect(facts).toEqual(elfFacts(library));
    expect(facts?.needed).toEqual(["libc.so.6"]);
  });

  it("finds issued keys, and none in examples", async () => {
    const of = async (text: string) => (await read("srv/notes", Buffer.from(text.padEnd(40)), 4096))?.secret;
    expect(await of(issued)).toBe("holds an AWS access key");
    expect(await of("AKIAIOSFODNN7EXAMPLE")).toBeUndefined();
    expect(await of("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")).toBeUndefined();
    expect(await of(["ghp_", "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz12Z"].join(""))).toBe("holds a GitHub token");
  });
});

describe.skipIf(!has("python3", "-c", "import _imp; _imp.source_hash(1, b'')"))(
  "a source's hash (needs Python's _imp)",
  () => {
    const minor = has("python3", "--version")
      ? python<string>("import json, sys; print(json.dumps('%d.%d' % sys.version_info[:2]))")
      : "";

    it("is importlib's", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
          const script =
            "import importlib.util, json, sys; print(json.dumps(importlib.util.source_hash(bytes.fromhex(sys.argv[1])).hex()))";
          expect(sourceHash(bytes, minor)).toBe(python<string>(script, Buffer.from(bytes).toString("hex")));
        }),
        { numRuns: 25 },
      );
    });
  },
);
