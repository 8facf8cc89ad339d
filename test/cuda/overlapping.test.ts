import { describe, expect, it } from "vitest";

import { bytesSource } from "../../src/cuda/random-access.ts";
import { streamedCodeOf } from "../../src/cuda/streamed-code.ts";
import { trimLibrary } from "../../src/cuda/trim.ts";
import { SheafError } from "../../src/errors.ts";
import { buildFatBinary } from "./build-fat-binary.ts";
import { buildLibrary } from "./build-library.ts";

const fat = buildFatBinary([50, 75, 86].map((sm) => ({ sm, size: 6000 })));
const built = () => buildLibrary({ fatBinaries: [fat, fat], relocatable: [fat], relocations: "rela" });

/** The section header of a name, by the order in which the builder writes them; fields as ELF64 has them. */
function sectionAt(
  bytes: Buffer,
  name: string,
): { read: (field: number) => number; write: (field: number, value: number) => void } {
  const table = Number(bytes.readBigUInt64LE(40));
  const count = bytes.readUInt16LE(60);
  const names = Number(bytes.readBigUInt64LE(table + 64 * (count - 1) + 24));
  for (let index = 0; index < count; index++) {
    const header = table + 64 * index;
    const start = names + bytes.readUInt32LE(header);
    if (bytes.toString("latin1", start, bytes.indexOf(0, start)) !== name) continue;
    return {
      read: (field) => Number(bytes.readBigUInt64LE(header + field)),
      write: (field, value) => void bytes.writeBigUInt64LE(BigInt(value), header + field),
    };
  }
  throw new Error(`there is no section ${name}`);
}

const [address, offset, size] = [16, 24, 32];

describe("what lies over something else", () => {
  it.each<[string, (bytes: Buffer) => void]>([
    [
      "two sections of fat binaries in one place",
      (bytes) => {
        const [one, other] = [sectionAt(bytes, ".nv_fatbin"), sectionAt(bytes, "__nv_relfatbin")];
        for (const field of [address, offset]) other.write(field, one.read(field));
      },
    ],
    [
      "a section that reaches into the next",
      (bytes) => {
        const section = sectionAt(bytes, ".nv_fatbin");
        section.write(size, section.read(size) + fat.length);
      },
    ],
    [
      "a section of device code over the program's own constants",
      (bytes) => {
        const [one, other] = [sectionAt(bytes, ".rodata"), sectionAt(bytes, ".nv_fatbin")];
        one.write(size, other.read(offset) - one.read(offset) + 100);
      },
    ],
    [
      "a fat binary that has the next one inside",
      (bytes) => {
        const start = sectionAt(bytes, ".nv_fatbin").read(offset);
        bytes.writeBigUInt64LE(BigInt(2 * fat.length - 16), start + 8);
      },
    ],
    [
      "a fat binary that ends in the middle of the next one",
      (bytes) => {
        const start = sectionAt(bytes, ".nv_fatbin").read(offset);
        bytes.writeBigUInt64LE(BigInt(fat.length - 16 + 800), start + 8);
      },
    ],
    [
      "an entry that reaches over the next",
      (bytes) => {
        const start = sectionAt(bytes, ".nv_fatbin").read(offset);
        bytes.writeBigUInt64LE(BigInt(9000), start + 16 + 8);
      },
    ],
    [
      "a section table over the device code",
      (bytes) => bytes.writeBigUInt64LE(BigInt(sectionAt(bytes, ".nv_fatbin").read(offset)), 40),
    ],
    [
      "program headers over the device code",
      (bytes) => bytes.writeBigUInt64LE(BigInt(sectionAt(bytes, ".nv_fatbin").read(offset)), 32),
    ],
  ])("is left whole or refused: %s", async (_, change) => {
    const { bytes } = built();
    const sound = await trimLibrary(bytesSource(Buffer.from(bytes)), { targets: [86] });
    expect(sound?.parts).toBeDefined();
    change(bytes);
    const result = await trimLibrary(bytesSource(bytes), { targets: [86] }).catch((error: unknown) => {
      expect(error).toBeInstanceOf(SheafError);
      return undefined;
    });
    expect(result?.parts).toBeUndefined();
    if (result) expect(result.leftWhole).not.toEqual([]);
    expect(streamedCodeOf(bytes)?.binaries ?? 0).toBeLessThanOrEqual(3);
  });
});
