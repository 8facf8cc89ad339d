import { type ByteSource, memorySource } from "../archive/byte-source.ts";
import { elfTypes, readElf, sectionTypes, segmentTypes } from "./read.ts";
import type { ElfFile, Section } from "./read.ts";
import { endOf, isLoaded, loadedRanges } from "./loaded-ranges.ts";
import type { LoadedRanges } from "./loaded-ranges.ts";
import { layOutStripped } from "./strip-layout.ts";
import { type Piece, readPieces } from "./pieces.ts";
import type { ElfView } from "./view.ts";

/**
 * Drops the symbol table and the debug sections of an executable or shared object, as `strip --strip-unneeded` does.
 * Every byte that a program header or a loaded section covers keeps its address and its content, so the file loads as
 * before. They keep their offsets too, save where patchelf has moved segments behind the debug sections: those come
 * forward by whole pages. Indices of loaded sections stay, because .dynsym refers to them.
 *
 * @returns undefined when nothing is won, and for forms that are better left whole: relocatable objects, files with
 *   appended data, files whose remaining sections depend on dropped ones
 * @throws SheafError SHEAF_ELF when the file is broken
 */
export function stripElf(bytes: Uint8Array): Uint8Array | undefined {
  const source = memorySource(bytes);
  const stripped = strippedPieces(source);
  return stripped && Buffer.concat([...readPieces(source, stripped)]);
}

/**
 * The same for a file that is read in places.
 *
 * @returns the pieces of the stripped file, in order: ranges of the original, or bytes of their own
 */
export function strippedPieces(source: ByteSource): Piece[] | undefined {
  const file = readElf(source);
  if (!file || (file.type !== elfTypes.dyn && file.type !== elfTypes.exec)) return undefined;
  // Companions of stripped files (objcopy --only-keep-debug) load nothing and are all debug information.
  if (!file.segments.some(({ type, fileSize }) => type === segmentTypes.load && fileSize > 0)) return undefined;
  const names = file.sections[file.namesIndex];
  if (!names || file.namesIndex === 0 || isLoaded(names) || isExtended(file)) return undefined;
  const ranges = loadedRanges(file);
  const dropped = droppedSections(file);
  if (![...dropped].some((section) => isFree(section, ranges)) || hasUnknownBytes(file, ranges)) return undefined;
  const kept = file.sections.filter((section) => !dropped.has(section) && section !== names);
  if (dependsOn(kept, dropped)) return undefined;
  const free = kept.filter((section) => !isLoaded(section) && isFree(section, ranges));
  if (free.some((section) => !isInside(section, ranges))) return undefined;
  return layOutStripped(file, { ranges, kept, free: new Set(free), names });
}

/** Section numbers that do not fit the header stand in section 0: no shared object of a wheel has so many. */
function isExtended({ view, namesIndex }: ElfFile): boolean {
  return namesIndex === 0xffff || view.u16(view.class === 64 ? 60 : 48) === 0;
}

/** Whether any of a section's bytes are where the file is laid out anew. */
function isFree(section: Section, { end, cut }: LoadedRanges): boolean {
  const last = endOf(section);
  return last > end || (cut !== undefined && last > cut.start && section.offset < cut.end);
}

/** Whether all of them are. */
function isInside(section: Section, { end, cut }: LoadedRanges): boolean {
  if (section.offset >= end) return true;
  return cut !== undefined && section.offset >= cut.start && endOf(section) <= cut.end;
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

/**
 * Whether there are bytes outside of all tables: programs append data that they find by its offset. Where patchelf has
 * moved segments, the section header table before its work may be left over.
 */
function hasUnknownBytes(file: ElfFile, { end, cut }: LoadedRanges): boolean {
  const { view } = file;
  const table = file.sectionHeaderOffset;
  const tableSize = file.sectionHeaderSize * file.sections.length;
  const known = file.sections
    .map((section) => ({ start: section.offset, end: endOf(section) }))
    .concat({ start: table, end: table + tableSize })
    .toSorted((a, b) => a.start - b.start);
  if (end > view.size || known.some((range) => range.end > view.size)) return true;
  const unknownIn = (from: number, to: number): number => {
    let at = from;
    let unknown = 0;
    for (const range of [...known, { start: to, end: to }]) {
      if (range.start > at) unknown += extentOf(view, at, Math.min(range.start, to));
      at = Math.max(at, range.end);
    }
    return unknown;
  };
  if (unknownIn(end, view.size) > 0) return true;
  return cut !== undefined && unknownIn(cut.start, cut.end) > tableSize;
}

/** Bytes from the first to the last that is not zero. */
function extentOf(view: ElfView, from: number, to: number): number {
  let first = -1;
  let last = -1;
  for (let at = from; at < to; at += chunkSize) {
    const bytes = view.read(at, Math.min(chunkSize, to - at));
    const start = bytes.findIndex((byte) => byte !== 0);
    if (start < 0) continue;
    if (first < 0) first = at + start;
    last = at + bytes.findLastIndex((byte) => byte !== 0);
  }
  return first < 0 ? 0 : last + 1 - first;
}

const chunkSize = 2 ** 20;
