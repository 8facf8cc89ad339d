import { beforeAll, describe, expect, it } from "vitest";

import { readDeviceCode } from "../../src/cuda/device-code.ts";
import { bytesSource, streamParts } from "../../src/cuda/random-access.ts";
import { readReferences } from "../../src/cuda/references.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { trimProblem } from "../../src/cuda/verify-trim.ts";
import { buildFatBinary } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";

const fat = (size: number) => buildFatBinary([50, 75, 86, 90].map((sm) => ({ sm, size })));
const options = { targets: [75, 86] };
const built = buildLibrary({
  fatBinaries: [fat(5000), fat(6000), buildFatBinary([{ sm: 90, size: 9000 }])],
  relocations: "relr",
  symbolAt: 0,
});
const source = bytesSource(built.bytes);

let trimmed = Buffer.alloc(0);
beforeAll(async () => {
  const result = await trimLibrary(source, options);
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamParts(source, result?.parts ?? [])) chunks.push(chunk);
  trimmed = Buffer.concat(chunks);
});

describe("trimProblem", () => {
  it("finds nothing wrong with what was trimmed", async () => {
    expect(await problemOf(trimmed)).toBeUndefined();
  });

  const damages: [what: string, damage: (bytes: Buffer) => void, problem: RegExp][] = [
    ["code", (bytes) => flip(bytes, bytes.indexOf("code for sm_86") + 100), /an entry that the original has not/],
    ["the stand-in", (bytes) => flip(bytes, bytes.indexOf(".strtab")), /an entry that the original has not/],
    ["constants", (bytes) => flip(bytes, bytes.indexOf("constants")), /the bytes at 0 to \d+ have changed/],
    [
      "what follows",
      (bytes) => flip(bytes, bytes.indexOf("after the device") + 2000),
      /the bytes at \d+ to \d+ have changed/,
    ],
    ["a compiler's comment", (bytes) => flip(bytes, bytes.indexOf("a compiler")), /have changed/],
    [
      "a registration",
      (bytes) => bytes.copy(bytes, wrapper(bytes, 0), wrapper(bytes, 1), wrapper(bytes, 1) + 8),
      /leads to/,
    ],
    ["a registration's magic number", (bytes) => flip(bytes, wrapper(bytes, 2) - 8), /the wrapper at 48 begins with/],
    [
      "the place of a segment",
      (bytes) => bytes.writeBigUInt64LE(bytes.readBigUInt64LE(segment(bytes, 3) + 8) + 4096n, segment(bytes, 3) + 8),
      /./,
    ],
    [
      "the address of a segment",
      (bytes) => bytes.writeBigUInt64LE(bytes.readBigUInt64LE(segment(bytes, 3) + 16) + 4096n, segment(bytes, 3) + 16),
      /./,
    ],
    [
      "the size of a fat binary",
      (bytes) => bytes.writeBigUInt64LE(0n, bytes.indexOf(Buffer.from("50ed55ba", "hex")) + 8),
      /./,
    ],
  ];
  it.each(damages)("finds a change of %s", async (_, damage, problem) => {
    const bytes = Buffer.from(trimmed);
    damage(bytes);
    expect(bytes.equals(trimmed)).toBe(false);
    expect(await problemOf(bytes)).toMatch(problem);
  });

  it("finds that a target's code is missing", async () => {
    const result = await trimLibrary(source, { targets: [75] });
    const chunks: Uint8Array[] = [];
    for await (const chunk of streamParts(source, result?.parts ?? [])) chunks.push(chunk);
    expect(await problemOf(Buffer.concat(chunks))).toMatch(/fat binary 0 has  for 86, not cubin sm_86/);
  });
});

async function problemOf(bytes: Buffer): Promise<string | undefined> {
  const code = await readDeviceCode(source);
  if (!code) throw new Error("there is device code");
  const references = await readReferences(source, code);
  return trimProblem(source, bytesSource(bytes), { code, references, options }).catch(String);
}

function flip(bytes: Buffer, at: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
}

/** Where a registration's pointer stands in the file. */
function wrapper(bytes: Buffer, index: number): number {
  return bytes.indexOf(Buffer.from("b1436246", "hex")) + index * 24 + 8;
}

/** Where a program header stands in the file. */
function segment(bytes: Buffer, index: number): number {
  return Number(bytes.readBigUInt64LE(32)) + index * 56;
}
