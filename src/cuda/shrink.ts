import { sectionTypes, segmentTypes } from "../elf/read.ts";
import type { Section, Segment } from "../elf/read.ts";
import { loadedAt } from "./elf-headers.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { machines } from "./relocations.ts";

/** What is taken out of a file, in offsets of the original. */
export interface Cut {
  section: Section;
  /** What stays of the section, with the program header table where it was put there. */
  contentEnd: number;
  /** From here on the original's bytes go on. */
  resume: number;
  /** By how much they come forward: whole pages. */
  shift: number;
}

export interface Layout {
  /** By offset. */
  cuts: Cut[];
  segments: Segment[];
  /** Offset in the new file; undefined when the table stays. */
  programHeaders: { offset: number; address: number } | undefined;
}

/**
 * Takes the unused ends of sections out of a file. Everything keeps its address: a segment that is loaded is split where
 * pages are missing. The program header table, which grows by that, moves behind the content of the first section.
 *
 * @returns a text when the file's segments are of a form that this does not cover
 */
export function layOut(headers: ElfHeaders, wanted: readonly { section: Section; size: number }[]): Layout | string {
  const loads = headers.segments.filter(({ type }) => type === segmentTypes.load);
  const align = Math.max(pageSize(headers), ...loads.map((segment) => segment.align));
  const problem = segmentProblem(headers, loads, align);
  if (problem) return problem;
  const tableSize = (headers.segments.length + wanted.length) * programHeaderSize;
  const cuts: Cut[] = [];
  let table: Layout["programHeaders"];
  for (const { section, size } of wanted.toSorted((a, b) => a.section.offset - b.section.offset)) {
    const segment = loadedAt(loads, section);
    if (!segment || segment.address - segment.offset !== section.address - section.offset) {
      return `${section.name} is not loaded as one piece`;
    }
    // Only sections that are cut get here, so the first has room for the table.
    const tableAt = Math.ceil((section.offset + size) / 8) * 8;
    const contentEnd = table ? section.offset + size : tableAt + tableSize;
    const cut = cutOf(headers, { section, segment, contentEnd, align });
    if (!cut) continue;
    if (crossesOther(headers, cut)) return `something else has a part of ${section.name}`;
    cuts.push(cut);
    table ??= { offset: tableAt, address: tableAt - section.offset + section.address };
  }
  if (cuts.length === 0) return { cuts, segments: headers.segments, programHeaders: undefined };
  const segments = headers.segments.flatMap((segment) =>
    segment.type === segmentTypes.load ? split(segment, cuts) : [{ ...segment, offset: moved(cuts, segment.offset) }],
  );
  return { cuts, ...placeTable(headers, { segments, table, count: segments.length }) };
}

/** Where a byte of the original is in the new file. */
export function moved(cuts: readonly Cut[], offset: number): number {
  let shift = 0;
  for (const cut of cuts) if (offset >= cut.resume) shift += cut.shift;
  return offset - shift;
}

function cutOf(
  headers: ElfHeaders,
  place: { section: Section; segment: Segment; contentEnd: number; align: number },
): Cut | undefined {
  const { section, segment, contentEnd, align } = place;
  const end = section.offset + section.size;
  const page = pageSize(headers);
  // A segment can go on only at the beginning of a page; what is left of the section on it becomes zeros.
  const resume = end - ((section.address + section.size) % page);
  const goesOn = resume > segment.offset;
  const shift = Math.floor((resume - contentEnd) / align) * align;
  return goesOn && shift > 0 ? { section, contentEnd, resume, shift } : undefined;
}

/** The pieces of a loaded segment around the cuts. */
function split(segment: Segment, cuts: readonly Cut[]): Segment[] {
  const pieces: Segment[] = [];
  const end = segment.offset + segment.fileSize;
  let start = segment.offset;
  const piece = (from: number, size: number, memorySize: number): Segment => ({
    ...segment,
    offset: moved(cuts, from),
    address: segment.address + from - segment.offset,
    fileSize: size,
    memorySize,
  });
  for (const { section, contentEnd, resume } of cuts) {
    if (section.offset < segment.offset || section.offset >= end) continue;
    pieces.push(piece(start, contentEnd - start, contentEnd - start));
    start = resume;
  }
  const memoryEnd = segment.offset + segment.memorySize;
  if (memoryEnd > start) pieces.push(piece(start, end - start, memoryEnd - start));
  return pieces;
}

function placeTable(
  headers: ElfHeaders,
  { segments, table, count }: { segments: Segment[]; table: Layout["programHeaders"]; count: number },
): Pick<Layout, "segments" | "programHeaders"> {
  if (count === headers.segments.length || !table) return { segments, programHeaders: undefined };
  const size = count * programHeaderSize;
  const placed = segments.map((segment) =>
    segment.type === segmentTypes.phdr
      ? { ...segment, offset: table.offset, address: table.address, fileSize: size, memorySize: size }
      : segment,
  );
  return { segments: placed, programHeaders: table };
}

/** What else lies where a section is: another segment, another section, a table of headers. */
function crossesOther(headers: ElfHeaders, { section }: Cut): boolean {
  const { segments, sections } = headers;
  const crosses = (offset: number, size: number) =>
    size > 0 && offset < section.offset + section.size && offset + size > section.offset;
  return (
    segments.some(({ type, offset, fileSize }) => type !== segmentTypes.load && crosses(offset, fileSize)) ||
    sections.some((each) => each.index !== section.index && occupies(each) && crosses(each.offset, each.size)) ||
    crosses(0, elfHeaderSize) ||
    crosses(headers.programHeaderOffset, segments.length * headers.programHeaderSize) ||
    crosses(headers.sectionHeaderOffset, sections.length * headers.sectionHeaderSize)
  );
}

function occupies({ type }: Section): boolean {
  return type !== sectionTypes.null && type !== sectionTypes.nobits;
}

function segmentProblem(headers: ElfHeaders, loads: readonly Segment[], align: number): string | undefined {
  if (headers.programHeaderSize !== programHeaderSize)
    return `its program headers have ${headers.programHeaderSize} bytes`;
  if (headers.segments.length > 1000) return `it has ${headers.segments.length} segments`;
  let address = 0;
  let offset = 0;
  for (const load of loads) {
    if (load.address < address || load.offset < offset) return "its segments are not in the order of their addresses";
    if (load.align < 1 || align % load.align !== 0 || align > largestPage)
      return `a segment is aligned to ${load.align}`;
    if ((load.address - load.offset) % load.align !== 0) return "a segment's address does not fit its offset";
    if (load.offset + load.fileSize > headers.size) return "a segment ends after the file";
    if (load.memorySize < load.fileSize) return "a segment is larger in the file than in memory";
    address = load.address + load.memorySize;
    offset = load.offset + load.fileSize;
  }
  const strange = headers.segments.find(
    ({ type, offset, address, fileSize }) =>
      type !== segmentTypes.load &&
      fileSize > 0 &&
      !loads.some(
        (load) =>
          load.address - load.offset === address - offset &&
          offset >= load.offset &&
          offset + fileSize <= load.offset + load.fileSize,
      ),
  );
  return strange && `a segment of type ${strange.type} is not where it is loaded`;
}

/** The largest page that a kernel for the machine may have. */
export function pageSize({ machine }: Pick<ElfHeaders, "machine">): number {
  return machine === machines.aarch64 ? 65_536 : 4096;
}

export const programHeaderSize = 56;
const elfHeaderSize = 64;
const largestPage = 2 ** 21;
