import { segmentTypes } from "../elf/read.ts";
import { offsetOfAddress } from "./elf-headers.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { number64, viewOf } from "./little-endian.ts";
import { readChecked, readChunks } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/** A word that the loader fills with an address of the library itself. */
export interface Pointer {
  /** Address of the word. */
  slot: number;
  /** The address that it will hold, relative to where the library is loaded. */
  target: number;
  /** Offsets in the file at which the target is written, 8 bytes each: the addend, the word itself, or both. */
  fields: number[];
}

/** Addresses, from `start` up to but not including `end`. */
export interface AddressRange {
  start: number;
  end: number;
}

export interface Relocations {
  /** Those into the ranges asked for. */
  pointers: Pointer[];
  /** Addresses of other relocated words inside `watched`, and what relocates them. */
  others: { slot: number; type: number }[];
  /** A form of relocation that is not understood. */
  unknown?: string;
}

/**
 * Reads the relocations that the loader applies (RELA and RELR, System V ABI chapter 5) and returns those that make
 * pointers into the ranges `into`. Words in `watched` that anything else relocates are returned beside them.
 */
export async function readRelocations(
  source: RandomAccess,
  headers: ElfHeaders,
  { into, watched }: { into: readonly AddressRange[]; watched: readonly AddressRange[] },
): Promise<Relocations> {
  const relative = relativeTypes[headers.machine];
  if (relative === undefined) return { pointers: [], others: [], unknown: `machine ${headers.machine}` };
  const dynamic = await readDynamic(source, headers);
  const strange = [...dynamic.keys()].find((tag) => strangeTags.has(tag) && dynamic.get(tag) !== 0);
  if (strange !== undefined) {
    return { pointers: [], others: [], unknown: `relocations of the form 0x${strange.toString(16)}` };
  }
  const found: Relocations = { pointers: [], others: [] };
  for (const table of relaTables(dynamic)) {
    const offset = offsetOfAddress(headers.segments, table.address, table.size);
    if (offset === undefined) return { ...found, unknown: "a relocation table outside of the file" };
    for await (const chunk of readChunks(source, { offset, size: table.size, unit: relaSize })) {
      readRela(chunk, { relative, into, watched, found });
    }
  }
  const isOk = await readRelr(source, headers, { dynamic, into, found });
  if (!isOk) return { ...found, unknown: "a table of relative relocations outside of the file" };
  // The table of the PLT may lie inside the other one.
  const bySlot = new Map(found.pointers.map((pointer) => [pointer.slot, pointer]));
  for (const pointer of bySlot.values()) await addPlace(source, headers, pointer);
  return { ...found, pointers: [...bySlot.values()] };
}

/** The dynamic section's entries; of a tag that is there several times the last. */
export async function readDynamic(source: RandomAccess, headers: ElfHeaders): Promise<Map<number, number>> {
  const entries = new Map<number, number>();
  const segment = headers.segments.find(({ type }) => type === segmentTypes.dynamic);
  if (!segment) return entries;
  const range = { offset: segment.offset, size: Math.min(segment.fileSize, 2 ** 20), what: "the dynamic section" };
  const bytes = await readChecked(source, range);
  const view = viewOf(bytes);
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    const tag = number64(view, at);
    if (tag === 0) break;
    entries.set(tag, number64(view, at + 8));
  }
  return entries;
}

function relaTables(dynamic: Map<number, number>): { address: number; size: number }[] {
  const at = (address: number, size: number) => ({
    address: dynamic.get(address) ?? 0,
    size: dynamic.get(size) ?? 0,
  });
  return [at(tags.rela, tags.relaSize), at(tags.pltRela, tags.pltRelaSize)].filter(({ size }) => size > 0);
}

interface RelaSearch {
  relative: number;
  into: readonly AddressRange[];
  watched: readonly AddressRange[];
  found: Relocations;
}

function readRela(chunk: { offset: number; bytes: Uint8Array }, search: RelaSearch): void {
  const { relative, into, watched, found } = search;
  const view = viewOf(chunk.bytes);
  for (let at = 0; at + relaSize <= chunk.bytes.length; at += relaSize) {
    const type = view.getUint32(at + 8, true);
    // High halves tell most apart without the cost of 64-bit numbers.
    const slot = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
    const target = view.getUint32(at + 20, true) * 2 ** 32 + view.getUint32(at + 16, true);
    if (isWithin(into, slot)) found.unknown = "a relocation changes device code";
    if (type === relative && isWithin(into, target)) {
      found.pointers.push({ slot, target, fields: [chunk.offset + at + 16] });
    } else if (isWithin(watched, slot)) {
      found.others.push({ slot, type });
    }
  }
}

/**
 * RELR: a word with an even number is the address of a pointer, one with an odd number says by its bits which of the
 * next 63 words are pointers too. What they point to stands in the words themselves.
 */
async function readRelr(
  source: RandomAccess,
  headers: ElfHeaders,
  search: { dynamic: Map<number, number>; into: readonly AddressRange[]; found: Relocations },
): Promise<boolean> {
  const { dynamic, into, found } = search;
  const size = dynamic.get(tags.relrSize) ?? 0;
  if (size === 0) return true;
  const offset = offsetOfAddress(headers.segments, dynamic.get(tags.relr) ?? 0, size);
  if (offset === undefined) return false;
  const words = new SlotReader(source, headers);
  let next = 0;
  const add = async (slot: number) => {
    if (isWithin(into, slot)) found.unknown = "a relocation changes device code";
    const word = await words.read(slot);
    if (word && isWithin(into, word.target)) {
      found.pointers.push({ slot, target: word.target, fields: [word.offset] });
    }
  };
  for await (const { bytes } of readChunks(source, { offset, size, unit: 8 })) {
    const copy = Uint8Array.from(bytes);
    const view = new DataView(copy.buffer);
    for (let at = 0; at + 8 <= copy.length; at += 8) {
      const word = view.getBigUint64(at, true);
      if ((word & 1n) === 0n) {
        await add(Number(word));
        next = Number(word) + 8;
        continue;
      }
      for (let bit = 1n, slot = next; bit < 64n; bit++, slot += 8) {
        if ((word >> bit) & 1n) await add(slot);
      }
      next += 63 * 8;
    }
  }
  return true;
}

/** Reads words by address, many of them near one another. */
class SlotReader {
  readonly #source: RandomAccess;
  readonly #headers: ElfHeaders;
  #start = 0;
  #window: DataView = new DataView(new ArrayBuffer(0));

  constructor(source: RandomAccess, headers: ElfHeaders) {
    this.#source = source;
    this.#headers = headers;
  }

  async read(slot: number): Promise<{ offset: number; target: number } | undefined> {
    const offset = offsetOfAddress(this.#headers.segments, slot, 8);
    if (offset === undefined || offset + 8 > this.#source.size) return undefined;
    if (offset < this.#start || offset + 8 > this.#start + this.#window.byteLength) {
      const length = Math.min(windowSize, this.#source.size - offset);
      this.#window = new DataView(Uint8Array.from(await this.#source.read(offset, length)).buffer);
      this.#start = offset;
    }
    return { offset, target: number64(this.#window, offset - this.#start) };
  }
}

/** Some linkers write the target into the word too, which the loader then overwrites. */
async function addPlace(source: RandomAccess, headers: ElfHeaders, pointer: Pointer): Promise<void> {
  const offset = offsetOfAddress(headers.segments, pointer.slot, 8);
  if (offset === undefined || offset + 8 > source.size || pointer.fields.includes(offset)) return;
  const bytes = await source.read(offset, 8);
  const value = number64(viewOf(bytes), 0);
  if (value === pointer.target) pointer.fields.push(offset);
}

function isWithin(ranges: readonly AddressRange[], address: number): boolean {
  return ranges.some(({ start, end }) => address >= start && address < end);
}

export const machines = { x86_64: 62, aarch64: 183 } as const;
/** R_X86_64_RELATIVE and R_AARCH64_RELATIVE */
const relativeTypes: Record<number, number | undefined> = { [machines.x86_64]: 8, [machines.aarch64]: 1027 };
const tags = { rela: 7, relaSize: 8, pltRela: 23, pltRelaSize: 2, relr: 36, relrSize: 35 } as const;
/** DT_REL's size, and Android's packed forms. */
const strangeTags = new Set([18, 0x6000000f, 0x60000010, 0x60000011, 0x60000012, 0x6fffe000, 0x6fffe001]);
const relaSize = 24;
const windowSize = 2 ** 16;
