import { sectionFlags, sectionSize, sectionTypes } from "./read.ts";
import type { ElfFile, Section } from "./read.ts";
import { isLoaded } from "./loaded-ranges.ts";
import type { LoadedRanges } from "./loaded-ranges.ts";

export interface StripPlan {
  ranges: LoadedRanges;
  /** The sections that stay, without that of the names, by index. */
  kept: Section[];
  /** Those of them whose bytes find a new place at the end. */
  free: Set<Section>;
  /** The section that holds the sections' names; written anew. */
  names: Section;
}

/** Writes the file without what is dropped; undefined when it would not be smaller. */
export function layOutStripped(file: ElfFile, { ranges, kept, free, names }: StripPlan): Uint8Array | undefined {
  const { bytes } = file.view;
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
  if (size >= bytes.length) return undefined;

  const result = new Uint8Array(size);
  const { start, end: resume } = ranges.cut ?? { start: ranges.end, end: ranges.end };
  result.set(bytes.subarray(0, start));
  result.set(bytes.subarray(resume, ranges.end), moved(resume));
  for (const [{ offset, size }, at] of placed) result.set(bytes.subarray(offset, offset + size), at);
  result.set(table.bytes, end);
  const slotOf = new Map(slots.flatMap((section, slot) => (section ? [[section.index, slot] as const] : [])));
  const renumber = (index: number) => slotOf.get(index) ?? 0;
  const writer = new HeaderWriter(file, { result, headers });
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
  writer.header(slots.length + 1);
  if (ranges.cut) writer.moveSegments(moved);
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

/** Writes headers: the original's, with the fields that change. */
class HeaderWriter {
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
    if (changes.offset !== undefined && changes.offset !== section.offset)
      this.#word(at + 8 + 2 * word, changes.offset);
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

  moveSegments(moved: (offset: number) => number): void {
    const { view, programHeaderOffset, programHeaderSize, segments } = this.#file;
    const wide = view.class === 64;
    this.#word(wide ? 32 : 28, moved(programHeaderOffset));
    segments.forEach(({ offset }, index) => {
      const at = moved(programHeaderOffset) + index * programHeaderSize;
      if (Number.isFinite(offset)) this.#word(at + (wide ? 8 : 4), moved(offset));
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
