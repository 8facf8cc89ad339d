import { type Piece, pieceLength } from "../elf/pieces.ts";
import type { Segment } from "../elf/read.ts";
import { brokenElf } from "../elf/view.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { bytesOf64, viewOf } from "./little-endian.ts";
import type { PackedSection } from "./pack-section.ts";
import { lastAtOrBefore } from "./random-access.ts";
import type { References } from "./references.ts";
import { moved, programHeaderSize } from "./shrink.ts";
import type { Layout } from "./shrink.ts";

/** Bytes of the original that are written anew, by their offset in it. */
export interface Patch {
  offset: number;
  bytes: Uint8Array;
}

/** The new file: the original's bytes in their new places, with headers and pointers that say so. */
export function writeLayout(
  headers: ElfHeaders,
  layout: Layout,
  { packed, references, size }: { packed: readonly PackedSection[]; references: References; size: number },
): { parts: Piece[]; patches: Patch[] } {
  const patches = [
    ...headerPatches(headers, layout),
    ...sectionPatches(headers, layout, packed),
    ...pointerPatches(references, packed),
  ].toSorted((a, b) => a.offset - b.offset);
  const parts: Piece[] = [];
  let at = 0;
  for (const cut of layout.cuts) {
    const section = packed.find(({ original }) => original.section === cut.section);
    if (!section) throw new Error(`the content of ${cut.section.name} is missing`);
    const end = cut.section.offset + cut.section.size;
    parts.push(...patched({ start: at, end: cut.section.offset }, patches), ...section.parts);
    const contentEnd = cut.section.offset + section.size;
    const isFirst = cut === layout.cuts[0];
    const table = isFirst ? tableParts(layout, contentEnd) : [];
    const written = table.reduce((sum, part) => sum + pieceLength(part), contentEnd);
    parts.push(...table, { bytes: new Uint8Array(end - cut.shift - written) });
    at = end;
  }
  parts.push(...patched({ start: at, end: size }, patches));
  return { parts: merged(parts), patches };
}

function tableParts({ programHeaders, segments }: Layout, contentEnd: number): Piece[] {
  if (!programHeaders) return [];
  return [{ bytes: new Uint8Array(programHeaders.offset - contentEnd) }, { bytes: programHeaderTable(segments) }];
}

function programHeaderTable(segments: readonly Segment[]): Uint8Array {
  const table = new Uint8Array(segments.length * programHeaderSize);
  const view = viewOf(table);
  segments.forEach((segment, index) => {
    const at = index * programHeaderSize;
    view.setUint32(at, segment.type, true);
    view.setUint32(at + 4, segment.flags, true);
    // Physical addresses mean nothing to a loader; linkers write the virtual ones.
    const { offset, address, fileSize, memorySize, align } = segment;
    [offset, address, address, fileSize, memorySize, align].forEach((value, field) =>
      view.setBigUint64(at + 8 + 8 * field, BigInt(value), true),
    );
  });
  return table;
}

function headerPatches(headers: ElfHeaders, { cuts, programHeaders, segments }: Layout): Patch[] {
  const patches: Patch[] = [];
  if (headers.sectionHeaderOffset > 0) {
    patches.push({ offset: 40, bytes: bytesOf64(moved(cuts, headers.sectionHeaderOffset)) });
  }
  if (!programHeaders) {
    return [...patches, { offset: headers.programHeaderOffset, bytes: programHeaderTable(segments) }];
  }
  const count = new Uint8Array(2);
  viewOf(count).setUint16(0, segments.length, true);
  return [...patches, { offset: 32, bytes: bytesOf64(programHeaders.offset) }, { offset: 56, bytes: count }];
}

function sectionPatches(headers: ElfHeaders, { cuts }: Layout, packed: readonly PackedSection[]): Patch[] {
  const sizes = new Map(packed.map(({ original, size }) => [original.section.index, size]));
  return headers.sections.flatMap(({ index, offset, size }) => {
    const header = headers.sectionHeaderOffset + index * headers.sectionHeaderSize;
    const newOffset = moved(cuts, offset);
    const newSize = sizes.get(index) ?? size;
    return [
      ...(newOffset === offset ? [] : [{ offset: header + 24, bytes: bytesOf64(newOffset) }]),
      ...(newSize === size ? [] : [{ offset: header + 32, bytes: bytesOf64(newSize) }]),
    ];
  });
}

function pointerPatches(references: References, packed: readonly PackedSection[]): Patch[] {
  const patches: Patch[] = [];
  const newAddress = addressMap(packed);
  for (const { target, fields } of references.pointers) {
    const address = newAddress(target);
    if (address !== target) for (const offset of fields) patches.push({ offset, bytes: bytesOf64(address) });
  }
  for (const { address, field } of references.symbols) {
    const value = newAddress(address);
    if (value !== address) patches.push({ offset: field, bytes: bytesOf64(value) });
  }
  return patches;
}

/** Where what was at an address in a section of fat binaries is afterwards. */
function addressMap(packed: readonly PackedSection[]): (address: number) => number {
  const sections = packed.map(({ original, binaries, size }) => ({
    start: original.section.address,
    end: original.section.address + original.section.size,
    size,
    binaries,
    offsets: binaries.map((binary) => binary.original.offset),
  }));
  return (address) => {
    const inside = sections.find(({ start, end }) => address >= start && address < end);
    if (inside) {
      const offset = address - inside.start;
      const binary = inside.binaries[lastAtOrBefore(inside.offsets, offset)];
      return binary ? inside.start + binary.offset + Math.min(offset - binary.original.offset, binary.size) : address;
    }
    // Symbols may stand for the end of a section, where another can begin.
    const ended = sections.find(({ end }) => address === end);
    return ended ? ended.start + ended.size : address;
  };
}

/** A range of the original with the patches that are inside of it. */
function patched({ start, end }: { start: number; end: number }, patches: readonly Patch[]): Piece[] {
  const parts: Piece[] = [];
  let at = start;
  for (const { offset, bytes } of patches) {
    if (offset < start || offset >= end) continue;
    if (offset < at || offset + bytes.length > end) throw brokenElf(`two tables overlap at ${offset}`);
    parts.push({ from: at, length: offset - at }, { bytes });
    at = offset + bytes.length;
  }
  parts.push({ from: at, length: end - at });
  return parts;
}

/** Neighbours in the original as one part; empty ones left out. */
function merged(parts: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const part of parts) {
    if (pieceLength(part) === 0) continue;
    const last = result.at(-1);
    if (last && "from" in last && "from" in part && last.from + last.length === part.from) {
      result[result.length - 1] = { from: last.from, length: last.length + part.length };
    } else {
      result.push(part);
    }
  }
  return result;
}
