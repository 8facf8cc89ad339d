import { type ByteSource, memorySource } from "../archive/byte-source.ts";
import { brokenElf, ElfView } from "./view.ts";

/** What a loader reads of an ELF file (System V ABI, chapters 4 and 5). Offsets, sizes and addresses in bytes. */
export interface ElfImage {
  view: ElfView;
  /** e_type */
  type: number;
  /** e_machine */
  machine: number;
  programHeaderOffset: number;
  programHeaderSize: number;
  segments: Segment[];
}

/** The same with what linkers and debuggers read. */
export interface ElfFile extends ElfImage {
  sectionHeaderOffset: number;
  sectionHeaderSize: number;
  /** Index of the section that holds the sections' names; 0 when there is none. */
  namesIndex: number;
  /** Empty for files without a section header table. */
  sections: Section[];
}

/** A program header. */
export interface Segment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileSize: number;
  memorySize: number;
  align: number;
}

/** A section header. */
export interface Section {
  index: number;
  name: string;
  type: number;
  flags: number;
  address: number;
  offset: number;
  size: number;
  link: number;
  info: number;
  align: number;
  entrySize: number;
}

export const elfTypes = { rel: 1, exec: 2, dyn: 3, core: 4 } as const;
export const segmentTypes = { load: 1, dynamic: 2, interp: 3, note: 4, phdr: 6 } as const;
export const sectionTypes = {
  null: 0,
  symtab: 2,
  strtab: 3,
  rela: 4,
  nobits: 8,
  rel: 9,
  dynsym: 11,
  group: 17,
} as const;
export const sectionFlags = { alloc: 2, infoLink: 0x40 } as const;

export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads headers and tables, not contents.
 *
 * @returns undefined when the file does not begin with the ELF magic
 * @throws SheafError SHEAF_ELF when it does but a table is impossible
 */
export function readElf(file: Uint8Array | ByteSource): ElfFile | undefined {
  const view = viewOf(file);
  if (!view) return undefined;
  const header = readHeader(view);
  return { ...imageOf(header), ...header.sectionTable, sections: nameSections(header, readSections(header)) };
}

/** Reads what a loader reads: a file whose section headers are broken or absent is as good as any other. */
export function readElfImage(file: Uint8Array | ByteSource): ElfImage | undefined {
  const view = viewOf(file);
  return view && imageOf(readHeader(view));
}

interface Header {
  view: ElfView;
  type: number;
  machine: number;
  programHeaderOffset: number;
  programHeaderSize: number;
  programHeaderCount: number;
  sectionTable: Pick<ElfFile, "sectionHeaderOffset" | "sectionHeaderSize" | "namesIndex">;
  sectionCount: number;
}

function readHeader(view: ElfView): Header {
  const wide = view.class === 64;
  view.check(0, wide ? 64 : 52, "the ELF header");
  const at = wide ? 0 : -12;
  return {
    view,
    type: view.u16(16),
    machine: view.u16(18),
    programHeaderOffset: view.word(wide ? 32 : 28),
    programHeaderSize: view.u16(54 + at),
    programHeaderCount: view.u16(56 + at),
    sectionTable: {
      sectionHeaderOffset: view.word(wide ? 40 : 32),
      sectionHeaderSize: view.u16(58 + at),
      namesIndex: view.u16(62 + at),
    },
    sectionCount: view.u16(60 + at),
  };
}

function imageOf(header: Header): ElfImage {
  const { view, type, machine, programHeaderOffset, programHeaderSize, programHeaderCount } = header;
  // PN_XNUM: the count is too big for the header and stands in section 0.
  const count = programHeaderCount === 0xffff ? readSection(header, 0).info : programHeaderCount;
  const segments = readSegments(header, count);
  return { view, type, machine, programHeaderOffset, programHeaderSize, segments };
}

/** Undefined when the file does not begin with the ELF magic. */
function viewOf(file: Uint8Array | ByteSource): ElfView | undefined {
  const source = file instanceof Uint8Array ? memorySource(file) : file;
  const head = source.read(0, Math.min(6, source.size));
  if (!isElf(head)) return undefined;
  const [, , , , size, order] = head;
  if (size !== 1 && size !== 2) throw brokenElf(`its class is ${size}, neither 32 nor 64 bit`);
  if (order !== 1 && order !== 2) throw brokenElf(`its byte order is ${order}, neither little nor big`);
  return new ElfView(source, { class: size === 2 ? 64 : 32, littleEndian: order === 1 });
}

function readSegments({ view, programHeaderOffset: table, programHeaderSize: size }: Header, count: number): Segment[] {
  if (table === 0 || count === 0) return [];
  const wide = view.class === 64;
  if (size < (wide ? 56 : 32)) throw brokenElf(`its program headers have ${size} bytes`);
  if (count > mostSegments) throw brokenElf(`it counts ${count} program headers`);
  view.check(table, size * count, "the program header table");
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    const type = view.u32(at);
    if (wide) {
      return {
        type,
        flags: view.u32(at + 4),
        offset: view.u64(at + 8),
        address: view.u64(at + 16),
        fileSize: view.u64(at + 32),
        memorySize: view.u64(at + 40),
        align: view.u64(at + 48),
      };
    }
    return {
      type,
      offset: view.u32(at + 4),
      address: view.u32(at + 8),
      fileSize: view.u32(at + 16),
      memorySize: view.u32(at + 20),
      flags: view.u32(at + 24),
      align: view.u32(at + 28),
    };
  });
}

/** The kernel takes a thousand. */
const mostSegments = 0xffff;

type UnnamedSection = Omit<Section, "name"> & { nameOffset: number };

function readSections(header: Header): UnnamedSection[] {
  const { view, sectionTable } = header;
  const { sectionHeaderOffset: table, sectionHeaderSize: size } = sectionTable;
  if (table === 0) return [];
  // A count that is too big for the header stands in section 0.
  const count = header.sectionCount || readSection(header, 0).size;
  if (count > mostSections) throw brokenElf(`it has ${count} sections`);
  if (count > 0 && size < sectionSize(view)) throw brokenElf(`its section headers have ${size} bytes`);
  view.check(table, size * count, "the section header table");
  return Array.from({ length: count }, (_, index) => readSection(header, index));
}

function readSection({ view, sectionTable }: Header, index: number): UnnamedSection {
  const at = sectionTable.sectionHeaderOffset + index * sectionTable.sectionHeaderSize;
  view.check(at, sectionSize(view), "a section header");
  const word = view.wordSize;
  const tail = at + 8 + 4 * word;
  return {
    index,
    nameOffset: view.u32(at),
    type: view.u32(at + 4),
    flags: view.word(at + 8),
    address: view.word(at + 8 + word),
    offset: view.word(at + 8 + 2 * word),
    size: view.word(at + 8 + 3 * word),
    link: view.u32(tail),
    info: view.u32(tail + 4),
    align: view.word(tail + 8),
    entrySize: view.word(tail + 8 + word),
  };
}

function nameSections({ view, sectionTable }: Header, sections: UnnamedSection[]): Section[] {
  // SHN_XINDEX: the index is too big for the header and stands in section 0.
  const { namesIndex } = sectionTable;
  const names = sections[namesIndex === 0xffff ? (sections[0]?.link ?? 0) : namesIndex];
  return sections.map(({ nameOffset, ...section }) => {
    if (!names || names.index === 0) return { ...section, name: "" };
    return { ...section, name: view.string(names.offset + nameOffset, names.offset + names.size) };
  });
}

/** Bytes of a section header. */
export function sectionSize(view: ElfView): 40 | 64 {
  return view.class === 64 ? 64 : 40;
}

const mostSections = 0xffff;
