import { sectionTypes } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import { readElfHeaders } from "./elf-headers.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { readFatBinaries } from "./fat-binary.ts";
import type { FatBinary } from "./fat-binary.ts";
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

function isFatSection({ name, type, size }: Section): boolean {
  return fatSectionNames.includes(name) && type !== sectionTypes.nobits && size > 0;
}
