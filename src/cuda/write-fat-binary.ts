import { sectionTypes } from "../elf/read.ts";
import { byArchitecture } from "./architecture.ts";
import { entryHeaderSize, fatBinaryMagic, fatHeaderSize, flagBits } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
import { viewOf } from "./little-endian.ts";

/** The header of a fat binary: magic, version 1, its own size, and that of the entries. */
export function fatBinaryHeader(content: number): Uint8Array {
  const header = new Uint8Array(fatHeaderSize);
  const view = viewOf(header);
  view.setUint32(0, fatBinaryMagic, true);
  view.setUint16(4, 1, true);
  view.setUint16(6, fatHeaderSize, true);
  view.setBigUint64(8, BigInt(content), true);
  return header;
}

/**
 * Stands for the code of a fat binary that no target can run: an entry for an architecture that the fat binary had, with
 * an ELF file without code. The driver finds what it found before, code for other GPUs only, and says so in the same
 * way; a fat binary without entries would be a form that no compiler writes.
 */
export function placeholderEntry({ entries }: Pick<FatBinary, "entries">): Uint8Array {
  const [architecture] = entries
    .flatMap(({ images }) => images.map((image) => image.architecture))
    .sort(byArchitecture);
  if (!architecture) return new Uint8Array();
  const { sm, variant } = architecture;
  const cubin = emptyCubin(sm);
  const entry = new Uint8Array(entryHeaderSize + cubin.length);
  const view = viewOf(entry);
  view.setUint16(0, 2, true);
  view.setUint16(2, 0x101, true);
  view.setUint32(4, entryHeaderSize, true);
  view.setBigUint64(8, BigInt(cubin.length), true);
  view.setUint16(24, 7, true);
  view.setUint16(26, 1, true);
  view.setUint32(28, sm, true);
  const special = variant === "a" ? flagBits.architectureSpecific : variant === "f" ? flagBits.familySpecific : 0;
  view.setBigUint64(40, BigInt(flagBits.wide | flagBits.linux | special), true);
  entry.set(cubin, entryHeaderSize);
  return entry;
}

/** An ELF file as CUDA 12 writes device code, with the sections that every one has and nothing in them. */
function emptyCubin(sm: number): Uint8Array {
  const names = Buffer.from("\0.shstrtab\0.strtab\0.symtab\0\0\0\0\0\0", "latin1");
  const symbols = new Uint8Array(24);
  const sectionsAt = elfHeaderSize + names.length + symbols.length;
  const header = new Uint8Array(elfHeaderSize);
  const view = viewOf(header);
  // 64-bit, little-endian, version 1, the ABI of CUDA, its version 7.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0x33, 7]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 190, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  // The architecture twice, real and virtual, and 64-bit addresses.
  view.setUint32(48, ((sm & 0xff) << 16) | 0x500 | (sm & 0xff), true);
  [elfHeaderSize, 56, 0, sectionHeaderSize, 4, 1].forEach((value, index) =>
    view.setUint16(52 + 2 * index, value, true),
  );
  return Buffer.concat([
    header,
    names,
    symbols,
    new Uint8Array(sectionHeaderSize),
    sectionHeader({ name: 1, type: sectionTypes.strtab, offset: elfHeaderSize, size: names.length }),
    sectionHeader({ name: 11, type: sectionTypes.strtab, offset: elfHeaderSize, size: 1 }),
    sectionHeader({
      name: 19,
      type: sectionTypes.symtab,
      offset: elfHeaderSize + names.length,
      size: symbols.length,
      link: 2,
      entrySize: 24,
    }),
  ]);
}

interface SectionFields {
  name: number;
  type: number;
  offset: number;
  size: number;
  link?: number;
  entrySize?: number;
}

function sectionHeader({ name, type, offset, size, link = 0, entrySize = 0 }: SectionFields): Uint8Array {
  const header = new Uint8Array(sectionHeaderSize);
  const view = viewOf(header);
  view.setUint32(0, name, true);
  view.setUint32(4, type, true);
  view.setBigUint64(24, BigInt(offset), true);
  view.setBigUint64(32, BigInt(size), true);
  view.setUint32(40, link, true);
  view.setUint32(44, type === sectionTypes.symtab ? 1 : 0, true);
  view.setBigUint64(48, type === sectionTypes.symtab ? 8n : 1n, true);
  view.setBigUint64(56, BigInt(entrySize), true);
  return header;
}

const elfHeaderSize = 64;
const sectionHeaderSize = 64;
