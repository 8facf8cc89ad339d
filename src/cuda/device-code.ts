import type { ByteSource } from "../archive/byte-source.ts";
import { readElf, sectionTypes } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import { readElfHeaders } from "./elf-headers.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { readFatBinaries } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
import { number64, viewOf } from "./little-endian.ts";
import { guarded } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/** The device code of a library. */
export interface DeviceCode {
  headers: ElfHeaders;
  sections: FatSection[];
}

/** A section of fat binaries. */
export interface FatSection {
  section: Section;
  binaries: FatBinary[];
  /** Why the section could not be read to its end. */
  unknown?: string;
}

/** Fat binaries that are registered as the program starts, and those that linking device code consumes. */
export const fatSectionNames: readonly string[] = [".nv_fatbin", "__nv_relfatbin"];

/**
 * Reads which device code a library carries, without its payloads.
 *
 * @returns undefined for files that have none in the sections that the toolkit writes
 * @throws SheafError SHEAF_ELF when the file is broken
 */
export async function readDeviceCode(file: RandomAccess): Promise<DeviceCode | undefined> {
  const source = guarded(file);
  const headers = await readElfHeaders(source);
  const found = headers?.sections.filter(isFatSection) ?? [];
  if (!headers || found.length === 0) return undefined;
  const sections: FatSection[] = [];
  for (const section of found) {
    if (section.offset + section.size > source.size) {
      sections.push({ section, binaries: [], unknown: "it ends after the file" });
      continue;
    }
    const { binaries, unknown } = await readFatBinaries(source, section);
    sections.push({ section, binaries, ...(unknown === undefined ? {} : { unknown }) });
  }
  return { headers, sections };
}

/** Whether an ELF file that is at hand names a section for fat binaries; nothing else of it is looked at. */
export function hasFatSection(bytes: Uint8Array): boolean {
  if (bytes.length < 64) return false;
  const view = viewOf(bytes);
  const [table, entrySize, names] = [number64(view, 40), view.getUint16(58, true), view.getUint16(62, true)];
  const entry = table + names * entrySize;
  if (entrySize < 64 || entry + 64 > bytes.length) return false;
  const [start, size] = [number64(view, entry + 24), number64(view, entry + 32)];
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(start, start + size);
  return fatSectionNames.some((name) => text.includes(name));
}

/**
 * Whether a file has device code in the sections that the toolkit writes, as far as its tables tell.
 *
 * @throws SheafError SHEAF_ELF when they are broken
 */
export function hasDeviceCode(file: Uint8Array | ByteSource): boolean {
  return readElf(file)?.sections.some(isFatSection) ?? false;
}

function isFatSection({ name, type, size }: Section): boolean {
  return fatSectionNames.includes(name) && type !== sectionTypes.nobits && size > 0;
}
