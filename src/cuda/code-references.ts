import { sectionTypes } from "../elf/read.ts";
import type { Section } from "../elf/read.ts";
import type { ElfHeaders } from "./elf-headers.ts";
import { viewOf } from "./little-endian.ts";
import { readChunks } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";
import { machines } from "./relocations.ts";

/**
 * Which of the addresses instructions compute relative to themselves: `lea` on x86-64, `adrp` with an `add` on aarch64.
 * The toolkit's own code goes through relocated pointers; a library that doesn't can't be laid out anew.
 */
export async function codeReferences(
  source: RandomAccess,
  headers: ElfHeaders,
  addresses: ReadonlySet<number>,
): Promise<number[]> {
  const scan = scanners[headers.machine];
  const found = new Set<number>();
  for (const section of headers.sections) {
    if (!scan || (section.flags & executable) === 0 || section.type === sectionTypes.nobits) continue;
    if (section.offset + section.size > source.size) continue;
    for await (const chunk of overlappingChunks(source, section)) {
      scan(chunk.bytes, chunk.address, (address) => {
        if (addresses.has(address)) found.add(address);
      });
    }
  }
  return [...found].sort((a, b) => a - b);
}

type Scan = (code: Buffer, address: number, visit: (address: number) => void) => void;

/** lea r64, [rip + disp32]: REX.W, 8D, and a ModRM byte without a base register. */
const scanX86: Scan = (code, address, visit) => {
  const view = viewOf(code);
  for (let at = code.indexOf(0x8d, 1); at >= 0 && at + 6 <= code.length; at = code.indexOf(0x8d, at + 1)) {
    if (((code[at - 1] ?? 0) & 0xf8) !== 0x48 || ((code[at + 1] ?? 0) & 0xc7) !== 0x05) continue;
    visit(address + at + 6 + view.getInt32(at + 2, true));
  }
};

/** adrp takes the page, an add soon after it the offset in the page, of the register that adrp has set. */
const scanAarch64: Scan = (code, address, visit) => {
  const view = viewOf(code);
  for (let at = 0; at + 4 <= code.length; at += 4) {
    const word = view.getUint32(at, true);
    if ((word & 0x9f000000) >>> 0 !== 0x90000000) continue;
    const pages = (((word << 8) >> 13) << 2) | ((word >>> 29) & 3);
    const page = Math.floor((address + at) / 4096) * 4096 + pages * 4096;
    for (let next = at + 4; next < at + 4 * addDistance && next + 4 <= code.length; next += 4) {
      const add = view.getUint32(next, true);
      // add Xd, Xn, #imm12, without the shift by 12
      if ((add & 0xffc00000) >>> 0 !== 0x91000000 || ((add >>> 5) & 31) !== (word & 31)) continue;
      visit(page + ((add >>> 10) & 0xfff));
    }
  }
};

const scanners: Record<number, Scan | undefined> = {
  [machines.x86_64]: scanX86,
  [machines.aarch64]: scanAarch64,
};
/** SHF_EXECINSTR */
const executable = 4;
const addDistance = 16;

/** Chunks that share some bytes with the next, so that no instruction is cut in two for all of them. */
async function* overlappingChunks(
  source: RandomAccess,
  section: Section,
): AsyncGenerator<{ address: number; bytes: Buffer }> {
  let tail = Buffer.alloc(0);
  for await (const { offset, bytes } of readChunks(source, { ...section, unit: 4 })) {
    const joined = Buffer.concat([tail, bytes]);
    yield { address: section.address + offset - section.offset - tail.length, bytes: joined };
    tail = Buffer.from(joined.subarray(Math.max(0, joined.length - 4 * addDistance)));
  }
}
