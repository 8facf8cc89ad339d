import { segmentTypes } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import { architectureName } from "./architecture.ts";
import { compareRanges } from "./compare-ranges.ts";
import type { ByteRange } from "./compare-ranges.ts";
import { readDeviceCode } from "./device-code.ts";
import type { DeviceCode, FatSection } from "./device-code.ts";
import { offsetOfAddress } from "./elf-headers.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { fatHeaderSize } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
import { bytesSource } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";
import { readReferences } from "./references.ts";
import type { References } from "./references.ts";
import { imagesFor } from "./select.ts";
import type { SelectOptions } from "./select.ts";
import { pageSize } from "./shrink.ts";
import { placeholderEntry } from "./write-fat-binary.ts";

interface Original {
  code: DeviceCode;
  references: References;
  options: SelectOptions;
}

/**
 * Reads a trimmed library again and holds it against the original: every pointer leads to the fat binary that it led to,
 * every fat binary has the code that each target needs, entries that stayed are the same bytes, each address that is
 * loaded has its bytes, and all else in the file is the same.
 *
 * @returns the first thing that is wrong, undefined when nothing is
 */
export async function trimProblem(
  before: RandomAccess,
  after: RandomAccess,
  original: Original,
): Promise<string | undefined> {
  const { code, references, options } = original;
  const trimmed = await readDeviceCode(after);
  if (!trimmed || trimmed.sections.length !== code.sections.length) return "its sections of device code are gone";
  const found = await readReferences(after, trimmed);
  if (found.unknown !== undefined) return found.unknown;
  for (const [index, section] of code.sections.entries()) {
    const counterpart = trimmed.sections[index];
    const problem = counterpart
      ? (sectionProblem(section, counterpart, options) ??
        (await entriesProblem([before, section], [after, counterpart])))
      : "a section is missing";
    if (problem) return `${section.section.name}: ${problem}`;
  }
  return (
    headersProblem(code.headers, trimmed.headers, after.size) ??
    pointersProblem([code, references], [trimmed, found]) ??
    (await restProblem([before, original], [after, trimmed]))
  );
}

/** Whether each fat binary still has the same code for each target. */
function sectionProblem(before: FatSection, after: FatSection, options: SelectOptions): string | undefined {
  if (before.unknown !== after.unknown || before.binaries.length !== after.binaries.length) {
    return `${before.binaries.length} fat binaries became ${after.binaries.length}`;
  }
  for (const [index, binary] of before.binaries.entries()) {
    const trimmed = after.binaries[index];
    for (const target of options.targets) {
      const [wanted, left] = [binary, trimmed].map((each) => imageNames(each, target, options.lowerMinors === true));
      if (wanted !== left) return `fat binary ${index} has ${left} for ${target}, not ${wanted}`;
    }
  }
  return undefined;
}

function imageNames(binary: FatBinary | undefined, target: number, lowerMinors: boolean): string {
  const images = (binary?.entries ?? []).flatMap((entry) => entry.images);
  return imagesFor(images, target, lowerMinors)
    .map(({ kind, architecture, identifier }) => `${kind} ${architectureName(architecture)} ${identifier}`)
    .join(", ");
}

type Side = readonly [file: RandomAccess, section: FatSection];

/** Entries that stayed must be the original's, in its order, byte for byte. */
async function entriesProblem([before, original]: Side, [after, trimmed]: Side): Promise<string | undefined> {
  for (const [index, binary] of trimmed.binaries.entries()) {
    const old = original.binaries[index];
    if (!old) return `fat binary ${index} is new`;
    const from = original.section.offset + old.offset;
    const to = trimmed.section.offset + binary.offset;
    if (binary.unknown !== undefined || old.unknown !== undefined) {
      const isSame =
        binary.size === old.size && (await compareRanges([before, from], [after, to], { length: old.size }));
      if (!isSame) return `fat binary ${index}, of an unknown form, has changed`;
      continue;
    }
    if (binary.entries.length === 0 && old.entries.length > 0) return `fat binary ${index} is empty`;
    const placeholder = placeholderEntry(old);
    const isEmptied =
      binary.size === fatHeaderSize + placeholder.length &&
      (await compareRanges([after, to + fatHeaderSize], [bytesSource(placeholder), 0], { length: placeholder.length }));
    // That no target had code there either, the section's own check has seen.
    if (isEmptied) continue;
    let next = 0;
    for (const { offset, size } of binary.entries) {
      for (; ; next++) {
        const candidate = old.entries[next];
        if (!candidate) return `fat binary ${index} has an entry that the original has not`;
        const places = [[before, from + candidate.offset] as const, [after, to + offset] as const] as const;
        if (candidate.size === size && (await compareRanges(...places, { length: size }))) break;
      }
      next++;
    }
  }
  return undefined;
}

function headersProblem(before: ElfHeaders, after: ElfHeaders, size: number): string | undefined {
  if (before.type !== after.type || before.machine !== after.machine) return "its kind has changed";
  const describe = ({ name, type, flags, address, link, info, align, entrySize }: Section) =>
    [name, type, flags, address, link, info, align, entrySize].join(" ");
  if (before.sections.map(describe).join("\n") !== after.sections.map(describe).join("\n")) {
    return "its sections have changed";
  }
  let address = 0;
  for (const load of after.segments.filter(({ type }) => type === segmentTypes.load)) {
    if (load.offset + load.fileSize > size) return "a segment ends after the file";
    if ((load.address - load.offset) % Math.max(1, load.align) !== 0) return "a segment is not aligned";
    const page = load.address - (load.address % pageSize(after));
    if (load.address < address) return "two segments overlap";
    if (page < address && isSplit(before, load.address)) return "a segment begins in another's page";
    address = load.address + load.memorySize;
  }
  return undefined;
}

/** Whether a segment begins here that the original has not. */
function isSplit({ segments }: ElfHeaders, address: number): boolean {
  return !segments.some((segment) => segment.type === segmentTypes.load && segment.address === address);
}

type Found = readonly [code: DeviceCode, references: References];

function pointersProblem([before, old]: Found, [after, found]: Found): string | undefined {
  const targets = new Map(found.pointers.map(({ slot, target }) => [slot, target]));
  const addresses = newAddresses(before, after);
  if (old.pointers.length !== found.pointers.length) return "the number of pointers to device code has changed";
  for (const { slot, target } of old.pointers) {
    const wanted = addresses.get(target) ?? target;
    if (targets.get(slot) !== wanted) return `the pointer at ${slot} leads to ${targets.get(slot)}, not ${wanted}`;
  }
  const wrappers = found.wrappers.map(({ address }) => address).join();
  if (wrappers !== old.wrappers.map(({ address }) => address).join()) return "its registrations have changed";
  return undefined;
}

/** The addresses, in the trimmed library, of the fat binaries that begin at those of the original. */
function newAddresses(before: DeviceCode, after: DeviceCode): Map<number, number> {
  const addresses = new Map<number, number>();
  for (const [index, { section, binaries }] of before.sections.entries()) {
    for (const [position, { offset }] of binaries.entries()) {
      const binary = after.sections[index]?.binaries[position];
      if (binary) addresses.set(section.address + offset, section.address + binary.offset);
    }
  }
  return addresses;
}

/**
 * Whether everything but the device code is the same. Between sections of device code the file's bytes are the original's,
 * come forward; what may differ are the tables' own numbers and the pointers, which other checks read.
 */
async function restProblem(
  [before, { code, references }]: readonly [RandomAccess, Original],
  [after, trimmed]: readonly [RandomAccess, DeviceCode],
): Promise<string | undefined> {
  const { headers } = code;
  const masks = maskedRanges(headers, references);
  const ranges = restOf(before, code).map((range) => ({ ...range, to: newPlace(range, [after, before], trimmed) }));
  for (const { start, end, to } of ranges) {
    const isSame = to >= 0 && to + end - start <= after.size;
    if (!isSame || !(await compareRanges([before, start], [after, to], { length: end - start, masks }))) {
      return `the bytes at ${start} to ${end} have changed`;
    }
  }
  for (const load of headers.segments.filter(({ type }) => type === segmentTypes.load)) {
    for (const range of ranges) {
      const start = Math.max(range.start, load.offset);
      const end = Math.min(range.end, load.offset + load.fileSize);
      if (start >= end) continue;
      const address = load.address + start - load.offset;
      if (offsetOfAddress(trimmed.headers.segments, address, end - start) !== range.to + start - range.start) {
        return `address ${address} is loaded from another place`;
      }
    }
  }
  return undefined;
}

/** The ranges of the file between sections of device code. */
function restOf({ size }: RandomAccess, { sections }: DeviceCode): (ByteRange & { next: number | undefined })[] {
  const ordered = [...sections.entries()].sort(([, a], [, b]) => a.section.offset - b.section.offset);
  let start = 0;
  const ranges = ordered.map(([index, { section }]) => {
    const range = { start, end: section.offset, next: index };
    start = section.offset + section.size;
    return range;
  });
  return [...ranges, { start, end: size, next: undefined }];
}

/** What is before a section ends where the section begins; what is last ends with the file. */
function newPlace(
  { start, end, next }: ByteRange & { next: number | undefined },
  [after, before]: readonly [RandomAccess, RandomAccess],
  trimmed: DeviceCode,
): number {
  const newEnd = next === undefined ? after.size : (trimmed.sections[next]?.section.offset ?? 0);
  return next === undefined ? newEnd - (before.size - start) : newEnd - (end - start);
}

/** Fields that trimming writes: places in the headers, pointers, symbols' values. */
function maskedRanges(headers: ElfHeaders, references: References): ByteRange[] {
  const field = (offset: number, size = 8) => ({ start: offset, end: offset + size });
  const sectionFields = headers.sections.map(({ index }) =>
    field(headers.sectionHeaderOffset + index * headers.sectionHeaderSize + 24, 16),
  );
  const tableSize = headers.segments.length * headers.programHeaderSize;
  return [
    field(32, 16),
    field(56, 2),
    field(headers.programHeaderOffset, tableSize),
    ...sectionFields,
    ...references.pointers.flatMap(({ fields }) => fields.map((offset) => field(offset))),
    ...references.symbols.map((symbol) => field(symbol.field)),
  ].toSorted((a, b) => a.start - b.start);
}
