import { elfTypes, readElf, sectionFlags, sectionSize, sectionTypes } from "./read.ts";
import type { ElfFile, Section } from "./read.ts";

/**
 * Drops the symbol table and the debug sections of an executable or shared object, as `strip --strip-unneeded` does.
 * Every byte that a program header or a loaded section covers keeps its offset, so the file loads as before; only what
 * follows the last such byte is laid out anew. Indices of loaded sections stay, because .dynsym refers to them.
 *
 * @returns undefined when nothing is won, and for forms that are better left whole: relocatable objects, files with
 *   appended data, files whose remaining sections depend on dropped ones
 * @throws SheafError SHEAF_ELF when the file is broken
 */
export function stripElf(bytes: Uint8Array): Uint8Array | undefined {
  const file = readElf(bytes);
  if (!file || (file.type !== elfTypes.dyn && file.type !== elfTypes.exec)) return undefined;
  if (file.sections.length === 0 || file.segments.length === 0) return undefined;
  const names = file.sections[file.namesIndex];
  if (!names || file.namesIndex === 0 || isLoaded(names) || isExtended(file)) return undefined;
  const fixedEnd = endOfFixedBytes(file);
  const dropped = droppedSections(file);
  if (![...dropped].some((section) => endOf(section) > fixedEnd)) return undefined;
  if (hasUnknownBytes(file, fixedEnd)) return undefined;
  const kept = file.sections.filter((section) => !dropped.has(section) && section !== names);
  if (dependsOn(kept, dropped)) return undefined;
  if (kept.some((section) => section.offset < fixedEnd && endOf(section) > fixedEnd)) return undefined;
  return layOut(file, { fixedEnd, kept, names });
}

function isLoaded(section: Section): boolean {
  return (section.flags & sectionFlags.alloc) !== 0;
}

/** Section numbers that do not fit the header stand in section 0: no shared object of a wheel has so many. */
function isExtended({ view, namesIndex }: ElfFile): boolean {
  return namesIndex === 0xffff || view.u16(view.class === 64 ? 60 : 48) === 0;
}

/** The end of everything whose place a loader may rely on. */
function endOfFixedBytes(file: ElfFile): number {
  const header = file.view.class === 64 ? 64 : 52;
  const programHeaders = file.programHeaderOffset + file.programHeaderSize * file.segments.length;
  const segments = file.segments.map(({ offset, fileSize }) => (fileSize === 0 ? 0 : offset + fileSize));
  const sections = file.sections.filter(isLoaded).map((section) => endOf(section));
  return [...segments, ...sections, programHeaders].reduce((end, next) => Math.max(end, next), header);
}

function endOf(section: Section): number {
  const empty = section.type === sectionTypes.nobits || section.type === sectionTypes.null;
  return empty ? 0 : section.offset + section.size;
}

function droppedSections({ sections }: ElfFile): Set<Section> {
  const symbols = sections.filter((section) => section.type === sectionTypes.symtab && !isLoaded(section));
  const ofSymbols = new Set(symbols.flatMap(({ index, link }) => [index, link]));
  const isDropped = (section: Section): boolean => {
    if (section.index === 0 || isLoaded(section)) return false;
    if (ofSymbols.has(section.index) || section.type === symbolIndices) return true;
    return debugSection.test(section.name);
  };
  return new Set(sections.filter(isDropped));
}

/** Names as in binutils' own test for debugging sections, with the compiler's comment beside them. */
const debugSection =
  /^(?:\.rela?)?\.(?:z?debug_|debug$|gdb_index$|stab|line$|comment$|gnu\.debuglto_|gnu\.build\.attributes|gnu_debuglink$|gnu_debugaltlink$|gnu_debugdata$)/;
/** SHT_SYMTAB_SHNDX */
const symbolIndices = 18;

/** Whether a section that stays needs one that goes, as static relocations (--emit-relocs) need the symbol table. */
function dependsOn(kept: Section[], dropped: Set<Section>): boolean {
  const gone = new Set([...dropped].map((section) => section.index));
  return kept.some((section) => gone.has(section.link) || section.type === sectionTypes.group);
}

/** Whether bytes after the fixed ones belong to no table: archives and programs append data that they find by offset. */
function hasUnknownBytes(file: ElfFile, fixedEnd: number): boolean {
  const table = {
    start: file.sectionHeaderOffset,
    end: file.sectionHeaderOffset + file.sectionHeaderSize * file.sections.length,
  };
  const known = file.sections
    .filter((section) => endOf(section) > fixedEnd)
    .map((section) => ({ start: section.offset, end: endOf(section) }))
    .concat(table)
    .toSorted((a, b) => a.start - b.start);
  let at = fixedEnd;
  const { bytes } = file.view;
  for (const { start, end } of [...known, { start: bytes.length, end: bytes.length }]) {
    if (start > at && bytes.subarray(at, start).some((byte) => byte !== 0)) return true;
    at = Math.max(at, end);
  }
  return at > bytes.length;
}

interface Plan {
  fixedEnd: number;
  kept: Section[];
  names: Section;
}

function layOut(file: ElfFile, { fixedEnd, kept, names }: Plan): Uint8Array | undefined {
  const { bytes } = file.view;
  const placed = new Map<Section, number>();
  let end = fixedEnd;
  for (const section of kept) {
    if (endOf(section) <= fixedEnd) continue;
    const start = alignUp(end, section.align);
    placed.set(section, start);
    end = start + section.size;
  }
  const table = nameTable([...kept, names]);
  const headers = alignUp(end + table.bytes.length, file.view.wordSize);
  const slots = assignSlots(kept);
  const size = headers + (slots.length + 1) * sectionSize(file.view);
  if (size >= bytes.length) return undefined;

  const result = new Uint8Array(size);
  result.set(bytes.subarray(0, fixedEnd));
  for (const [{ offset, size }, start] of placed) result.set(bytes.subarray(offset, offset + size), start);
  result.set(table.bytes, end);
  const slotOf = new Map(slots.flatMap((section, slot) => (section ? [[section.index, slot] as const] : [])));
  const renumber = (index: number) => slotOf.get(index) ?? 0;
  const writer = new SectionWriter(file, { result, headers });
  slots.forEach((section, slot) => {
    if (!section) return;
    writer.section(slot, section, {
      name: table.offsetOf(section.name),
      offset: placed.get(section),
      link: renumber(section.link),
      info: infoIsIndex(section) ? renumber(section.info) : section.info,
    });
  });
  writer.section(slots.length, names, { name: table.offsetOf(names.name), offset: end, size: table.bytes.length });
  writer.header(slots.length + 1);
  return result;
}

function infoIsIndex(section: Section): boolean {
  if ((section.flags & sectionFlags.infoLink) !== 0) return true;
  return section.type === sectionTypes.rel || section.type === sectionTypes.rela;
}

/** Loaded sections keep their index; gaps before the last of them become null headers, the others follow. */
function assignSlots(kept: Section[]): (Section | undefined)[] {
  const lastLoaded = kept.findLast(isLoaded)?.index ?? 0;
  const slots: (Section | undefined)[] = Array.from({ length: lastLoaded + 1 });
  for (const section of kept) {
    if (section.index <= lastLoaded) slots[section.index] = section;
    else slots.push(section);
  }
  return slots;
}

function nameTable(sections: Section[]): { bytes: Uint8Array; offsetOf: (name: string) => number } {
  const offsets = new Map<string, number>([["", 0]]);
  const parts = [Buffer.of(0)];
  let length = 1;
  for (const { name } of sections) {
    if (offsets.has(name)) continue;
    offsets.set(name, length);
    const part = Buffer.from(`${name}\0`, "utf8");
    parts.push(part);
    length += part.length;
  }
  return { bytes: Buffer.concat(parts), offsetOf: (name) => offsets.get(name) ?? 0 };
}

function alignUp(offset: number, alignment: number): number {
  const step = Number.isSafeInteger(alignment) && alignment > 1 && alignment <= 4096 ? alignment : 1;
  return Math.ceil(offset / step) * step;
}

/** Writes section headers: the original's, with the fields that change. */
class SectionWriter {
  readonly #file: ElfFile;
  readonly #result: Uint8Array;
  readonly #view: DataView;
  readonly #headers: number;

  constructor(file: ElfFile, { result, headers }: { result: Uint8Array; headers: number }) {
    this.#file = file;
    this.#result = result;
    this.#view = new DataView(result.buffer);
    this.#headers = headers;
  }

  section(slot: number, section: Section, changes: HeaderChanges): void {
    const { view, sectionHeaderOffset, sectionHeaderSize } = this.#file;
    const from = sectionHeaderOffset + section.index * sectionHeaderSize;
    const at = this.#headers + slot * sectionSize(view);
    const word = view.wordSize;
    this.#result.set(view.bytes.subarray(from, from + sectionSize(view)), at);
    this.#u32(at, changes.name);
    if (changes.offset !== undefined) this.#word(at + 8 + 2 * word, changes.offset);
    if (changes.size !== undefined) this.#word(at + 8 + 3 * word, changes.size);
    if (changes.link !== undefined) this.#u32(at + 8 + 4 * word, changes.link);
    if (changes.info !== undefined) this.#u32(at + 12 + 4 * word, changes.info);
  }

  /** e_shoff, e_shentsize, e_shnum and e_shstrndx; the names' section is the last. */
  header(count: number): void {
    const wide = this.#file.view.class === 64;
    this.#word(wide ? 40 : 32, this.#headers);
    [sectionSize(this.#file.view), count, count - 1].forEach((value, index) => {
      this.#view.setUint16((wide ? 58 : 46) + 2 * index, value, this.#file.view.littleEndian);
    });
  }

  #u32(at: number, value: number): void {
    this.#view.setUint32(at, value, this.#file.view.littleEndian);
  }

  #word(at: number, value: number): void {
    const { littleEndian } = this.#file.view;
    if (this.#file.view.class === 64) this.#view.setBigUint64(at, BigInt(value), littleEndian);
    else this.#view.setUint32(at, value, littleEndian);
  }
}

interface HeaderChanges {
  name: number;
  offset?: number;
  size?: number;
  link?: number;
  info?: number;
}
