import { elfTypes, sectionFlags, sectionTypes } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import { codeReferences } from "./code-references.ts";
import type { DeviceCode, FatSection } from "./device-code.ts";
import { number64, viewOf } from "./little-endian.ts";
import { lastAtOrBefore, readChecked, readChunks } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";
import { readRelocations } from "./relocations.ts";
import type { Pointer } from "./relocations.ts";

/** How a library finds its fat binaries. */
export interface References {
  /** Every pointer into a section of fat binaries. */
  pointers: Pointer[];
  /** Addresses of the fat binaries that a wrapper points at: only these are known to be read by the driver alone. */
  registered: Set<number>;
  /** Symbols in those sections. */
  symbols: SymbolPlace[];
  /** Places that something refers to in a way that can't be rewritten: what is there must stay where it is. */
  fixed: { address: number; reason: string }[];
  /** The registrations, in order: what `__cudaRegisterFatBinary` is given. */
  wrappers: { address: number; target: number }[];
  /** Why the references can't be told at all. */
  unknown?: string;
}

export interface SymbolPlace {
  /** Where its value stands in the file. */
  field: number;
  address: number;
  isLoaded: boolean;
}

export const wrapperSectionName = ".nvFatBinSegment";
export const wrapperSize = 24;
const wrapperMagic = 0x466243b1;

/**
 * Finds everything that refers to a library's fat binaries: the wrappers in `.nvFatBinSegment`, other relocated
 * pointers, symbols, and instructions that compute an address.
 */
export async function readReferences(source: RandomAccess, code: DeviceCode): Promise<References> {
  const { headers, sections } = code;
  const wrapperSections = headers.sections.filter(({ name, size }) => name === wrapperSectionName && size > 0);
  const relocations = await readRelocations(source, headers, {
    into: sections.map(({ section }) => ({ start: section.address, end: section.address + section.size })),
    watched: wrapperSections.map(({ address, size }) => ({ start: address, end: address + size })),
  });
  const references: References = {
    pointers: relocations.pointers,
    registered: new Set(),
    symbols: [],
    fixed: [],
    wrappers: [],
  };
  if (relocations.unknown !== undefined) return { ...references, unknown: relocations.unknown };
  // Code that is linked to a fixed address has it in its instructions, where no relocation tells of it.
  if (headers.type !== elfTypes.dyn) return { ...references, unknown: "it is linked to a fixed address" };
  if (headers.sections.some(isLinkTimeRelocation)) return { ...references, unknown: "it keeps link-time relocations" };
  const bySlot = new Map(relocations.pointers.map((pointer) => [pointer.slot, pointer]));
  for (const section of wrapperSections) {
    const problem = await readWrappers(source, section, { references, bySlot });
    if (problem) return { ...references, unknown: problem };
  }
  const wrapperSlots = new Set(references.wrappers.map(({ address }) => address + 8));
  const strange = relocations.others.find(({ slot }) => wrapperSlots.has(slot));
  if (strange) return { ...references, unknown: `a wrapper with a relocation of type ${strange.type}` };
  for (const { section } of sections) await readSymbols(source, { code, section, references });
  const starts = sections.flatMap(({ section, binaries }) => binaries.map(({ offset }) => section.address + offset));
  for (const address of await codeReferences(source, headers, new Set(starts))) {
    references.fixed.push({ address, reason: "code refers to a fat binary directly" });
  }
  return references;
}

/** Static relocations (--emit-relocs) would no longer say the truth. */
function isLinkTimeRelocation({ type, flags, size }: Section): boolean {
  return (type === sectionTypes.rela || type === sectionTypes.rel) && (flags & sectionFlags.alloc) === 0 && size > 0;
}

/** The wrappers: magic, version (1, or 2 for linked device code), the fat binary's address, and one more pointer. */
async function readWrappers(
  source: RandomAccess,
  section: Section,
  { references, bySlot }: { references: References; bySlot: Map<number, Pointer> },
): Promise<string | undefined> {
  if (section.type === sectionTypes.nobits || section.size % wrapperSize !== 0) {
    return `${wrapperSectionName} has ${section.size} bytes`;
  }
  const bytes = await readChecked(source, { ...section, what: wrapperSectionName });
  const view = viewOf(Uint8Array.from(bytes));
  for (let at = 0; at < section.size; at += wrapperSize) {
    const magic = view.getUint32(at, true);
    const version = view.getUint32(at + 4, true);
    const address = section.address + at;
    if (magic !== wrapperMagic || (version !== 1 && version !== 2)) {
      return `the wrapper at ${at} begins with 0x${magic.toString(16)}, version ${version}`;
    }
    const pointer = bySlot.get(address + 8);
    if (!pointer) return `the wrapper at ${at} points to no fat binary that is known`;
    references.wrappers.push({ address, target: pointer.target });
    references.registered.add(pointer.target);
  }
  return undefined;
}

async function readSymbols(
  source: RandomAccess,
  { code, section, references }: { code: DeviceCode; section: Section; references: References },
): Promise<void> {
  for (const table of code.headers.sections) {
    if (table.type !== sectionTypes.symtab && table.type !== sectionTypes.dynsym) continue;
    await readChecked(source, { offset: table.offset + Math.max(0, table.size - 1), size: 1, what: "a symbol table" });
    for await (const { offset, bytes } of readChunks(source, { ...table, unit: symbolSize })) {
      const view = viewOf(bytes);
      for (let at = 0; at + symbolSize <= bytes.length; at += symbolSize) {
        if (view.getUint16(at + 6, true) !== section.index) continue;
        references.symbols.push({
          field: offset + at + 8,
          address: number64(view, at + 8),
          isLoaded: (table.flags & sectionFlags.alloc) !== 0,
        });
      }
    }
  }
}

/**
 * Up to where a section must stay as it is, from its start, with the reasons; 0 when all of it may move.
 * What no wrapper registers is found by means that are not known, so it keeps its place too.
 */
export function fixedPart(
  { section, binaries }: FatSection,
  references: References,
): { end: number; reasons: string[]; registered: number } {
  const starts = new Set(binaries.map(({ offset }) => section.address + offset));
  const offsets = binaries.map(({ offset }) => offset);
  const reasons = new Set<string>();
  const inside = (address: number) => address >= section.address && address < section.address + section.size;
  let end = 0;
  const fix = (address: number, reason: string) => {
    const binary = binaries[lastAtOrBefore(offsets, address - section.address)];
    end = Math.max(end, binary ? binary.offset + binary.size : 0);
    reasons.add(reason);
  };
  for (const { address, reason } of references.fixed) if (inside(address)) fix(address, reason);
  for (const { target } of references.pointers) {
    if (inside(target) && !starts.has(target)) fix(target, "a pointer leads into the middle of a fat binary");
  }
  for (const { address, isLoaded } of references.symbols) {
    if (isLoaded && inside(address) && !starts.has(address)) fix(address, "a symbol is in the middle of a fat binary");
  }
  const pointedAt = new Set(references.pointers.map(({ target }) => target));
  let registered = 0;
  for (const { offset } of binaries) {
    const address = section.address + offset;
    if (references.registered.has(address)) registered++;
    if (!pointedAt.has(address)) fix(address, "nothing that is known refers to a fat binary");
  }
  return { end, reasons: [...reasons], registered };
}

const symbolSize = 24;
