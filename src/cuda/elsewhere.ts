import { sectionFlags } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import { fatSectionNames } from "./device-code.ts";
import { readElfHeaders } from "./elf-headers.ts";
import { fatBinaryMagic, fatHeaderSize } from "./fat-binary.ts";
import { number64, viewOf } from "./little-endian.ts";
import { guarded, readChunks } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";

/** Fat binaries in a section that is not made for them. */
export interface CodeElsewhere {
  section: string;
  binaries: number;
  bytes: number;
}

/**
 * Finds fat binaries that a library keeps among its data and loads by its own means, as cuFFT does. How they are referred to is
 * not known, so they are counted and never changed. Reads all data of the library once.
 *
 * @throws SheafError SHEAF_ELF when the file is broken
 */
export async function findCodeElsewhere(file: RandomAccess): Promise<CodeElsewhere[]> {
  const source = guarded(file);
  const headers = await readElfHeaders(source);
  const found: CodeElsewhere[] = [];
  for (const section of headers?.sections ?? []) {
    if (!mayHold(section) || section.offset + section.size > source.size) continue;
    const sum = await countIn(source, section);
    if (sum.binaries > 0) found.push({ section: section.name, ...sum });
  }
  return found;
}

function mayHold({ name, type, flags }: Section): boolean {
  return type === progbits && (flags & sectionFlags.alloc) !== 0 && !fatSectionNames.includes(name);
}

async function countIn(source: RandomAccess, section: Section): Promise<{ binaries: number; bytes: number }> {
  const sum = { binaries: 0, bytes: 0 };
  const end = section.offset + section.size;
  let next = section.offset;
  for await (const { offset, bytes } of readChunks(source, { ...section, unit: 8 })) {
    const chunk = Buffer.from(bytes);
    for (let at = chunk.indexOf(magic); at >= 0; at = chunk.indexOf(magic, at + 8)) {
      const place = offset + at;
      // Inside of one that was counted already.
      if (place < next || place + fatHeaderSize > end) continue;
      const header = viewOf(await source.read(place, fatHeaderSize));
      const size = fatHeaderSize + number64(header, 8);
      const isOne = header.getUint16(4, true) === 1 && header.getUint16(6, true) === fatHeaderSize;
      if (!isOne || size === fatHeaderSize || place + size > end) continue;
      sum.binaries++;
      sum.bytes += size;
      next = place + size;
    }
  }
  return sum;
}

const magic = Buffer.alloc(4);
magic.writeUInt32LE(fatBinaryMagic);
/** SHT_PROGBITS */
const progbits = 1;
