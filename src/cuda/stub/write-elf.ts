import { elfTypes, sectionTypes, segmentTypes } from "../../elf/read.ts";
import { viewOf } from "../little-endian.ts";
import { StringTable } from "./dynamic-tables.ts";

/** What a small shared library consists of; each table has its final size. */
export interface SharedLibrary {
  machine: number;
  pageSize: number;
  /** Offset of its name in `strings`. */
  soname: number;
  tables: {
    hash: Uint8Array;
    symbols: Uint8Array;
    strings: Uint8Array;
    /** .gnu.version and .gnu.version_d */
    indices?: Uint8Array;
    versions?: Uint8Array;
    texts: Uint8Array;
  };
  versionCount: number;
  code: Uint8Array;
  /** Size of what is zero at first and can be written to. */
  zeros: number;
  /** Told the addresses before anything is copied. */
  finish(addresses: { texts: number; code: number; zeros: number }): void;
}

/** Which sections symbols are in. */
export const sectionIndices = { code: 5, zeros: 7 } as const;

interface SectionPlan {
  name: string;
  type: number;
  flags: number;
  address: number;
  offset: number;
  bytes: Uint8Array;
  size: number;
  align: number;
  link?: number;
  info?: number;
  entrySize?: number;
}

/**
 * Puts a shared library together: read-only tables, code, the dynamic section with what can be written to, and section
 * headers for tools. Segments follow one another in the file; their addresses are pages apart (System V ABI, chapter 5).
 */
export function writeElf(library: SharedLibrary): Uint8Array {
  const { tables, pageSize } = library;
  const sections: SectionPlan[] = [];
  let offset = headerSize + programCount * programSize;
  let base = 0;
  const add = (section: Omit<SectionPlan, "address" | "offset" | "size">, size = section.bytes.length) => {
    offset = Math.ceil(offset / section.align) * section.align;
    const placed = { ...section, size, offset, address: base + offset };
    sections.push(placed);
    offset += section.bytes.length;
    return placed;
  };
  const readOnly = (section: Omit<SectionPlan, "address" | "offset" | "size" | "flags" | "align">) =>
    add({ ...section, flags: flags.alloc, align: 8 });
  const hash = readOnly({ name: ".hash", type: types.hash, bytes: tables.hash, link: 2, entrySize: 4 });
  const symbols = readOnly({
    name: ".dynsym",
    type: sectionTypes.dynsym,
    bytes: tables.symbols,
    link: 3,
    info: 1,
    entrySize: 24,
  });
  const strings = readOnly({ name: ".dynstr", type: sectionTypes.strtab, bytes: tables.strings });
  const texts = readOnly({ name: ".rodata", type: types.progbits, bytes: tables.texts });
  const { indices, versions } = tables;
  // Two sections that symbols don't refer to come last in the table of sections, wherever they are.
  const indicesAt =
    indices && readOnly({ name: ".gnu.version", type: types.versionIndices, bytes: indices, link: 2, entrySize: 2 });
  const versionsAt =
    versions &&
    readOnly({ name: ".gnu.version_d", type: types.versions, bytes: versions, link: 3, info: library.versionCount });
  const readOnlyEnd = offset;

  base += pageSize;
  const code = add({
    name: ".text",
    type: types.progbits,
    bytes: library.code,
    flags: flags.alloc | flags.execute,
    align: 16,
  });
  const codeEnd = offset;
  base += pageSize;
  const entries: [tag: number, value: number][] = [
    [tags.soname, library.soname],
    [tags.hash, hash.address],
    [tags.strings, strings.address],
    [tags.symbols, symbols.address],
    [tags.stringsSize, strings.size],
    [tags.symbolSize, 24],
  ];
  if (indicesAt && versionsAt) {
    entries.push([tags.indices, indicesAt.address], [tags.versions, versionsAt.address]);
    entries.push([tags.versionCount, library.versionCount]);
  }
  const dynamic = add({
    name: ".dynamic",
    type: types.dynamic,
    bytes: dynamicBytes([...entries, [0, 0]]),
    flags: flags.alloc | flags.write,
    align: 8,
    link: 3,
    entrySize: 16,
  });
  const zeros = add(
    { name: ".bss", type: sectionTypes.nobits, bytes: new Uint8Array(), flags: flags.alloc | flags.write, align: 64 },
    library.zeros,
  );
  library.finish({ texts: texts.address, code: code.address, zeros: zeros.address });

  const isLast = ({ name }: SectionPlan) => name.startsWith(".gnu.version");
  const ordered = [...sections.filter((each) => !isLast(each)), ...sections.filter(isLast)];
  const names = new StringTable();
  for (const { name } of ordered) names.add(name);
  names.add(".shstrtab");
  const namesBytes = names.bytes();
  const namesAt = offset;
  const sectionsAt = Math.ceil((namesAt + namesBytes.length) / 8) * 8;
  const file = new Uint8Array(sectionsAt + sectionSize * (ordered.length + 2));
  file.set(elfHeader({ machine: library.machine, sectionsAt, sectionCount: ordered.length + 2 }));
  const segment = (
    type: number,
    first: SectionPlan | undefined,
    rest: { end: number; memory?: number; flags: number },
  ) => {
    const start = first?.offset ?? 0;
    const size = rest.end - start;
    const align = type === segmentTypes.load ? pageSize : type === segmentTypes.dynamic ? 8 : 16;
    return programHeader({
      type,
      flags: rest.flags,
      values: [start, first?.address ?? 0, first?.address ?? 0, size, size + (rest.memory ?? 0), align],
    });
  };
  const dynamicEnd = dynamic.offset + dynamic.size;
  const bss = zeros.address + zeros.size - (dynamic.address + dynamic.size);
  [
    segment(segmentTypes.load, undefined, { end: readOnlyEnd, flags: 4 }),
    segment(segmentTypes.load, code, { end: codeEnd, flags: 5 }),
    segment(segmentTypes.load, dynamic, { end: dynamicEnd, memory: bss, flags: 6 }),
    segment(segmentTypes.dynamic, dynamic, { end: dynamicEnd, flags: 6 }),
    segment(stackSegment, undefined, { end: 0, flags: 6 }),
  ].forEach((header, index) => file.set(header, headerSize + index * programSize));
  for (const section of sections) file.set(section.bytes, section.offset);
  file.set(namesBytes, namesAt);
  ordered.forEach((section, index) => {
    file.set(sectionHeader(names.add(section.name), section), sectionsAt + sectionSize * (index + 1));
  });
  const own = { type: sectionTypes.strtab, flags: 0, address: 0, offset: namesAt, size: namesBytes.length, align: 1 };
  file.set(sectionHeader(names.add(".shstrtab"), own), sectionsAt + sectionSize * (ordered.length + 1));
  return file;
}

function elfHeader({
  machine,
  sectionsAt,
  sectionCount,
}: {
  machine: number;
  sectionsAt: number;
  sectionCount: number;
}) {
  const header = new Uint8Array(headerSize);
  const view = viewOf(header);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, elfTypes.dyn, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(headerSize), true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  [headerSize, programSize, programCount, sectionSize, sectionCount, sectionCount - 1].forEach((value, index) =>
    view.setUint16(52 + 2 * index, value, true),
  );
  return header;
}

function programHeader({ type, flags, values }: { type: number; flags: number; values: number[] }): Uint8Array {
  const header = new Uint8Array(programSize);
  const view = viewOf(header);
  view.setUint32(0, type, true);
  view.setUint32(4, flags, true);
  values.forEach((value, index) => view.setBigUint64(8 + 8 * index, BigInt(value), true));
  return header;
}

function sectionHeader(name: number, section: Omit<SectionPlan, "name" | "bytes">): Uint8Array {
  const header = new Uint8Array(sectionSize);
  const view = viewOf(header);
  const { type, flags, address, offset, size, link = 0, info = 0, align, entrySize = 0 } = section;
  view.setUint32(0, name, true);
  view.setUint32(4, type, true);
  [flags, address, offset, size].forEach((value, index) => view.setBigUint64(8 + 8 * index, BigInt(value), true));
  view.setUint32(40, link, true);
  view.setUint32(44, info, true);
  view.setBigUint64(48, BigInt(align), true);
  view.setBigUint64(56, BigInt(entrySize), true);
  return header;
}

function dynamicBytes(entries: readonly [tag: number, value: number][]): Uint8Array {
  const bytes = new Uint8Array(entries.length * 16);
  const view = viewOf(bytes);
  entries.forEach(([tag, value], index) => {
    view.setBigUint64(index * 16, BigInt(tag), true);
    view.setBigUint64(index * 16 + 8, BigInt(value), true);
  });
  return bytes;
}

const headerSize = 64;
const programSize = 56;
const programCount = 5;
const sectionSize = 64;
const stackSegment = 0x6474e551;
const flags = { write: 1, alloc: 2, execute: 4 } as const;
const types = { progbits: 1, hash: 5, dynamic: 6, versions: 0x6ffffffd, versionIndices: 0x6fffffff } as const;
const tags = {
  hash: 4,
  strings: 5,
  symbols: 6,
  stringsSize: 10,
  symbolSize: 11,
  soname: 14,
  indices: 0x6ffffff0,
  versions: 0x6ffffffc,
  versionCount: 0x6ffffffd,
} as const;
