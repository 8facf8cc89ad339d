import { isElf, readElf } from "../elf/read.ts";
import type { ElfFile, Segment } from "../elf/read.ts";
import { brokenElf } from "../elf/view.ts";
import { number64 } from "./little-endian.ts";
import { readChecked } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/** The headers of a 64-bit little-endian ELF file; its contents stay where they are. */
export interface ElfHeaders extends Omit<ElfFile, "view"> {
  /** Bytes of the file. */
  size: number;
}

/**
 * Reads the tables of a file too large to be held.
 *
 * @returns undefined for what is no ELF file, or none of the only form that CUDA's libraries for Linux have
 * @throws SheafError SHEAF_ELF when a table is impossible
 */
export async function readElfHeaders(source: RandomAccess): Promise<ElfHeaders | undefined> {
  if (source.size < headerSize) return undefined;
  const header = Uint8Array.from(await source.read(0, headerSize));
  if (!isElf(header) || header[4] !== 2 || header[5] !== 1) return undefined;
  const view = new DataView(header.buffer);
  const programs = await readTable(source, tableAt(view, { offset: 32, entry: 54 }));
  const sections = await readTable(source, tableAt(view, { offset: 40, entry: 58 }));
  const names = await readNames(source, { view, sections: sections.bytes });

  // The tables alone, one after another, make a small ELF file that the ordinary reader understands.
  const small = Buffer.concat([header, programs.bytes, sections.bytes, names.bytes]);
  const place = (field: number, table: Table, at: number) =>
    small.writeBigUInt64LE(table.bytes.length > 0 ? BigInt(at) : 0n, field);
  place(32, programs, headerSize);
  place(40, sections, headerSize + programs.bytes.length);
  if (names.field !== undefined) {
    const namesAt = headerSize + programs.bytes.length + sections.bytes.length;
    small.writeBigUInt64LE(BigInt(namesAt), headerSize + programs.bytes.length + names.field);
  }
  const file = readElf(small);
  if (!file) return undefined;
  for (const { offset, address, fileSize, memorySize, align } of file.segments) {
    if (!isPlausible([offset, address, fileSize, memorySize, align])) throw brokenElf("a segment has absurd numbers");
  }
  for (const { name, offset, address, size, align } of file.sections) {
    if (!isPlausible([offset, address, size, align])) throw brokenElf(`the section ${name} has absurd numbers`);
  }
  return {
    size: source.size,
    type: file.type,
    machine: file.machine,
    programHeaderOffset: programs.offset,
    programHeaderSize: file.programHeaderSize,
    segments: file.segments,
    sectionHeaderOffset: sections.offset,
    sectionHeaderSize: file.sectionHeaderSize,
    namesIndex: file.namesIndex,
    sections: file.sections.map((section) =>
      section.index === file.namesIndex && names.field !== undefined ? { ...section, offset: names.offset } : section,
    ),
  };
}

/** Sums of a few of them are exact. */
function isPlausible(numbers: readonly number[]): boolean {
  return numbers.every((number) => number < 2 ** 50);
}

interface Table {
  offset: number;
  bytes: Uint8Array;
}

function tableAt(view: DataView, fields: { offset: number; entry: number }): { offset: number; size: number } {
  const offset = number64(view, fields.offset);
  const entrySize = view.getUint16(fields.entry, true);
  const count = view.getUint16(fields.entry + 2, true);
  // Tables that do not fit these numbers (PN_XNUM, section 0) are in no library that a loader maps.
  if (fields.offset === 32 && count === 0xffff) throw brokenElf("it has 65535 program headers");
  return { offset, size: offset === 0 ? 0 : entrySize * count };
}

async function readTable(source: RandomAccess, { offset, size }: { offset: number; size: number }): Promise<Table> {
  const bytes = await readChecked(source, { offset, size, what: "a header table" });
  return { offset, bytes: Uint8Array.from(bytes) };
}

/** The sections' names, and where in the section header table their offset stands. */
async function readNames(
  source: RandomAccess,
  { view, sections }: { view: DataView; sections: Uint8Array },
): Promise<Table & { field: number | undefined }> {
  const entrySize = view.getUint16(58, true);
  const index = view.getUint16(62, true);
  const at = index * entrySize;
  if (index === 0 || at + 64 > sections.length) return { offset: 0, bytes: new Uint8Array(), field: undefined };
  const section = new DataView(sections.buffer, sections.byteOffset + at, 64);
  const [offset, size] = [number64(section, 24), number64(section, 32)];
  if (size > largestNames) throw brokenElf(`the names of its sections have ${size} bytes`);
  return { ...(await readTable(source, { offset, size })), field: at + 24 };
}

/** The segment that is loaded and has all of a range of the file; undefined when none has. */
export function loadedAt(segments: readonly Segment[], range: { offset: number; size: number }): Segment | undefined {
  return segments.find(
    ({ type, offset, fileSize }) =>
      type === 1 && range.offset >= offset && range.offset + range.size <= offset + fileSize,
  );
}

/** The file offset of an address, undefined when no loaded segment has `size` bytes of the file there. */
export function offsetOfAddress(segments: readonly Segment[], address: number, size = 1): number | undefined {
  const segment = segments.find(
    (each) => each.type === 1 && address >= each.address && address + size <= each.address + each.fileSize,
  );
  return segment && address - segment.address + segment.offset;
}

const headerSize = 64;
const largestNames = 2 ** 24;
