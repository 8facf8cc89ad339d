import { sectionFlags, sectionTypes, segmentTypes } from "./read.ts";
import type { ElfFile, Section } from "./read.ts";

/** Which bytes of a file a loader may rely on. */
export interface LoadedRanges {
  /** Where the last of them ends. */
  end: number;
  /** The largest gap between them, when it holds whole pages, and by how much what follows it can come forward. */
  cut?: { start: number; end: number; shift: number };
}

/** The bytes that headers, segments and loaded sections cover. */
export function loadedRanges(file: ElfFile): LoadedRanges {
  const header = file.view.class === 64 ? 64 : 52;
  const table = file.programHeaderOffset;
  const ranges = [
    { start: 0, end: header },
    { start: table, end: table + file.programHeaderSize * file.segments.length },
    ...file.segments.map(({ offset, fileSize }) => ({ start: offset, end: offset + fileSize })),
    ...file.sections
      .filter((section) => isLoaded(section))
      .map((section) => ({ start: section.offset, end: endOf(section) })),
  ];
  let end = 0;
  let gap = { start: 0, end: 0 };
  for (const range of ranges.filter((range) => range.end > range.start).toSorted((a, b) => a.start - b.start)) {
    if (range.start - end > gap.end - gap.start) gap = { start: end, end: range.start };
    end = Math.max(end, range.end);
  }
  const page = pageAfter(file, gap.end);
  const shift = page === undefined ? 0 : Math.floor((gap.end - gap.start) / page) * page;
  return shift > 0 ? { end, cut: { ...gap, shift } } : { end };
}

export function isLoaded(section: Section): boolean {
  return (section.flags & sectionFlags.alloc) !== 0;
}

/** Where a section's bytes in the file end; 0 for sections that have none. */
export function endOf(section: Section): number {
  const empty = section.type === sectionTypes.nobits || section.type === sectionTypes.null;
  return empty ? 0 : section.offset + section.size;
}

/** What the segments after an offset must be moved by multiples of, so that offsets and addresses stay congruent. */
function pageAfter({ segments }: ElfFile, offset: number): number | undefined {
  const aligns = segments
    .filter((segment) => segment.type === segmentTypes.load && segment.offset >= offset)
    .map((segment) => segment.align);
  const page = Math.max(4096, ...aligns);
  // Powers of two divide one another; anything else is no page size.
  return aligns.every((align) => align > 0 && page % align === 0) && page <= largestPage ? page : undefined;
}

const largestPage = 2 ** 21;
