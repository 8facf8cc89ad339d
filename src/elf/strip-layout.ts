import { sectionFlags, sectionSize, sectionTypes } from "./read.ts";
import type { ElfFile, Section } from "./read.ts";
import { isLoaded } from "./loaded-ranges.ts";
import type { LoadedRanges } from "./loaded-ranges.ts";
import { overlay, type Piece, pieceLength } from "./pieces.ts";

export interface StripPlan {
  ranges: LoadedRanges;
  /** The sections that stay, without that of the names, by index. */
  kept: Section[];
  /** Those of them whose bytes find a new place at the end. */
  free: Set<Section>;
  /** The section that holds the sections' names; written anew. */
  names: Section;
}

/** Lays the file out without what is dropped; undefined when it would not be smaller. */
export function layOutStripped(file: ElfFile, { ranges, kept, free, names }: StripPlan): Piece[] | undefined {
  const moved = (offset: number) => (ranges.cut && offset >= ranges.cut.end ? offset - ranges.cut.shift : offset);
  const placed = new Map<Section, number>();
  let end = moved(ranges.end);
  for (const section of free) {
    const start = alignUp(end, section.align);
    placed.set(section, start);
    end = start + section.size;
  }
  const table = nameTable([...kept, names]);
  const headers = alignUp(end + table.bytes.length, file.view.wordSize);
  const slots = assignSlots(kept);
  const size = headers + (slots.length + 1) * sectionSize(file.view);
  if (size >= file.view.size) return undefined;

  const pieces = new PieceList();
  const { start, end: resume } = ranges.cut ?? { start: ranges.end, end: ranges.end };
  pieces.copy(0, start);
  pieces.padTo(moved(resume));
  pieces.copy(resume, ranges.end);
  for (const [{ offset, size }, at] of placed) {
    pieces.padTo(at);
    pieces.copy(offset, offset + size);
  }
  pieces.add(table.bytes);
  pieces.padTo(headers);
  const slotOf = new Map(slots.flatMap((section, slot) => (section ? [[section.index, slot] as const] : [])));
  const renumber = (index: number) => slotOf.get(index) ?? 0;
  const writer = new HeaderWriter(file, { headers, count: slots.length + 1 });
  slots.forEach((section, slot) => {
    if (!section) return;
    writer.section(slot, section, {
      name: table.offsetOf(section.name),
      offset: placed.get(section) ?? moved(section.offset),
      link: renumber(section.link),
      info: infoIsIndex(section) ? renumber(section.info) : section.info,
    });
  });
  writer.section(slots.length, names, { name: table.offsetOf(names.name), offset: end, size: table.bytes.length });
  pieces.add(writer.sections);
  const whole = overlay(pieces.all, 0, writer.header(ranges.cut ? moved : undefined));
  return ranges.cut ? overlay(whole, moved(file.programHeaderOffset), writer.movedSegments(moved)) : whole;
}

/** A file as it grows. */
class PieceList {
  readonly all: Piece[] = [];
  #size = 0;

  add(bytes: Uint8Array): void {
    this.#push({ bytes });
  }

  copy(from: number, end: number): void {
    this.#push({ from, length: end - from });
  }

  /** Zeros up to an offset. */
  padTo(offset: number): void {
    this.add(new Uint8Array(offset - this.#size));
  }

  #push(piece: Piece): void {
    const length = pieceLength(piece);
    if (length > 0) this.all.push(piece);
    this.#size += length;
  }
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

/** Writes headers: the original's, with the fields that change. */
class HeaderWriter {
  /** The section header table. */
  readonly sections: Uint8Array;
  readonly #file: ElfFile;
  readonly #place: { headers: number; count: number };

  /** @param place where the section header table is in the new file, and how many headers it has */
  constructor(file: ElfFile, place: { headers: number; count: number }) {
    this.#file = file;
    this.#place = place;
    this.sections = new Uint8Array(place.count * sectionSize(file.view));
  }

  section(slot: number, section: Section, changes: HeaderChanges): void {
    const { view, sectionHeaderOffset, sectionHeaderSize } = this.#file;
    const from = sectionHeaderOffset + section.index * sectionHeaderSize;
    const at = slot * sectionSize(view);
    const word = view.wordSize;
    this.sections.set(view.read(from, sectionSize(view)), at);
    const numbers = new Numbers(this.#file, this.sections);
    numbers.u32(at, changes.name);
    if (changes.offset !== undefined && changes.offset !== section.offset)
      numbers.word(at + 8 + 2 * word, changes.offset);
    if (changes.size !== undefined) numbers.word(at + 8 + 3 * word, changes.size);
    if (changes.link !== undefined) numbers.u32(at + 8 + 4 * word, changes.link);
    if (changes.info !== undefined) numbers.u32(at + 12 + 4 * word, changes.info);
  }

  /** e_shoff, e_shentsize, e_shnum and e_shstrndx; the names' section is the last. e_phoff where segments move. */
  header(moved?: (offset: number) => number): Uint8Array {
    const { view, programHeaderOffset } = this.#file;
    const { headers, count } = this.#place;
    const wide = view.class === 64;
    const bytes = Uint8Array.from(view.read(0, wide ? 64 : 52));
    const numbers = new Numbers(this.#file, bytes);
    numbers.word(wide ? 40 : 32, headers);
    [sectionSize(view), count, count - 1].forEach((value, index) => numbers.u16((wide ? 58 : 46) + 2 * index, value));
    if (moved) numbers.word(wide ? 32 : 28, moved(programHeaderOffset));
    return bytes;
  }

  /** The program header table. */
  movedSegments(moved: (offset: number) => number): Uint8Array {
    const { view, programHeaderOffset, programHeaderSize, segments } = this.#file;
    const bytes = Uint8Array.from(view.read(programHeaderOffset, programHeaderSize * segments.length));
    const numbers = new Numbers(this.#file, bytes);
    segments.forEach(({ offset }, index) => {
      const at = index * programHeaderSize + (view.class === 64 ? 8 : 4);
      if (Number.isFinite(offset)) numbers.word(at, moved(offset));
    });
    return bytes;
  }
}

/** Writes numbers as a file has them. */
class Numbers {
  readonly #view: DataView;
  readonly #littleEndian: boolean;
  readonly #wide: boolean;

  constructor({ view }: ElfFile, bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#littleEndian = view.littleEndian;
    this.#wide = view.class === 64;
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(at, value, this.#littleEndian);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, this.#littleEndian);
  }

  word(at: number, value: number): void {
    if (this.#wide) this.#view.setBigUint64(at, BigInt(value), this.#littleEndian);
    else this.#view.setUint32(at, value, this.#littleEndian);
  }
}

interface HeaderChanges {
  name: number;
  offset?: number;
  size?: number;
  link?: number;
  info?: number;
}
