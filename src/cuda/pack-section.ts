import type { Piece } from "../elf/pieces.ts";
import { fatHeaderSize } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
import { fatBinaryHeader, placeholderEntry } from "./write-fat-binary.ts";
import type { FatSection } from "./device-code.ts";
import { fixedPart } from "./references.ts";
import type { References } from "./references.ts";
import { selectEntries } from "./select.ts";
import type { SelectOptions } from "./select.ts";

/** A section of fat binaries with what is left of them, back to back. */
export interface PackedSection {
  original: FatSection;
  /** The bytes, from the section's start. */
  parts: Piece[];
  size: number;
  /** In the original's order. */
  binaries: PackedBinary[];
  /** What was left whole, and why. */
  leftWhole: string[];
}

export interface PackedBinary {
  original: FatBinary;
  /** From the section's start. */
  offset: number;
  size: number;
  /** Targets that the fat binary has no code for. */
  unserved: number[];
}

/** Chooses what stays of a section, all of which is understood, and lays it out. Nothing is read: what stays is copied as it is stored. */
export function packSection(original: FatSection, references: References, options: SelectOptions): PackedSection {
  const { section, binaries } = original;
  const { end: fixed, reasons } = fixedPart(original, references);
  const leftWhole = new Set(reasons);
  const alignment = Math.max(8, section.align);
  const parts: Piece[] = fixed > 0 ? [{ from: section.offset, length: fixed }] : [];
  const packed: PackedBinary[] = [];
  let at = fixed;
  for (const binary of binaries) {
    if (binary.offset < fixed) {
      packed.push({ original: binary, offset: binary.offset, size: binary.size, unserved: [] });
      continue;
    }
    // What it was aligned to it stays aligned to.
    const padding = (((binary.offset - at) % alignment) + alignment) % alignment;
    if (padding > 0) parts.push({ bytes: new Uint8Array(padding) });
    at += padding;
    const isRegistered = references.registered.has(section.address + binary.offset);
    if (binary.unknown !== undefined) leftWhole.add(binary.unknown);
    else if (!isRegistered) leftWhole.add("a pointer that is no registration leads to a fat binary");
    const trimmed = trim(section.offset, binary, isRegistered ? options : undefined);
    parts.push(...trimmed.parts);
    packed.push({ original: binary, offset: at, size: trimmed.size, unserved: trimmed.unserved });
    at += trimmed.size;
  }
  return { original, parts, size: at, binaries: packed, leftWhole: [...leftWhole] };
}

function trim(
  sectionOffset: number,
  binary: FatBinary,
  options: SelectOptions | undefined,
): { parts: Piece[]; size: number; unserved: number[] } {
  const start = sectionOffset + binary.offset;
  const same: { parts: Piece[]; size: number; unserved: number[] } = {
    parts: [{ from: start, length: binary.size }],
    size: binary.size,
    unserved: [],
  };
  if (!options || binary.unknown !== undefined) return same;
  const selection = selectEntries(binary, options);
  const placeholder = selection.kept.length === 0 ? placeholderEntry(binary) : new Uint8Array();
  const content = selection.kept.reduce((sum, { size }) => sum + size, placeholder.length);
  // What a fat binary of nothing but a small entry would win is no reason to write one anew.
  if (fatHeaderSize + content >= binary.size) return { ...same, unserved: selection.unserved };
  const parts: Piece[] = [{ bytes: fatBinaryHeader(content) }, { bytes: placeholder }];
  for (const { offset, size } of selection.kept) parts.push({ from: start + offset, length: size });
  return { parts, size: fatHeaderSize + content, unserved: selection.unserved };
}
