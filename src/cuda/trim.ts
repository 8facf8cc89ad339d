import type { Piece } from "../elf/pieces.ts";
import { readDeviceCode } from "./device-code.ts";
import type { DeviceCode } from "./device-code.ts";
import { packSection } from "./pack-section.ts";
import type { PackedSection } from "./pack-section.ts";
import { guarded, partsSource } from "./random-access.ts";
import type { RandomAccess } from "./random-access.ts";
import { readReferences } from "./references.ts";
import type { SelectOptions } from "./select.ts";
import { layOut } from "./shrink.ts";
import { trimProblem } from "./verify-trim.ts";
import { writeLayout } from "./write-layout.ts";

/** What became of a library. Sizes in bytes. */
export interface TrimResult {
  before: number;
  after: number;
  /** The new file for `streamParts`; undefined when the library stays as it is. */
  parts: Piece[] | undefined;
  sections: TrimmedSection[];
  /** Why the library, or fat binaries of it, were left whole: one sentence each, without a full stop. */
  leftWhole: string[];
}

export interface TrimmedSection {
  name: string;
  binaries: number;
  before: number;
  after: number;
  /** How many of its fat binaries have no code for a target, before and after, by target. */
  unserved: { target: number; binaries: number }[];
}

/**
 * Takes the device code that no target uses out of a library, and the bytes out of the file. The result is read again
 * and compared with the original before it is returned; a form that is not known is left as it is, with the reason.
 * Headers and relocations are held in memory, contents are not. The same library and options give the same bytes.
 *
 * @returns undefined for files without device code
 * @throws SheafError SHEAF_ELF when the file is broken
 */
export async function trimLibrary(file: RandomAccess, options: SelectOptions): Promise<TrimResult | undefined> {
  const source = guarded(file);
  const code = await readDeviceCode(source);
  if (!code) return undefined;
  const references = await readReferences(source, code);
  const whole = (leftWhole: string[]) => resultOf(source, { code, packed: [], leftWhole });
  if (references.unknown !== undefined) return whole([references.unknown]);
  // Where the structure itself is not understood, something may read on into what comes after it.
  const strange = code.sections.filter(({ unknown }) => unknown !== undefined);
  if (strange.length > 0) return whole(strange.map(({ section, unknown }) => `${section.name}: ${unknown}`));
  const unaligned = code.sections.find(({ section }) => !alignments.has(section.align));
  if (unaligned) return whole([`${unaligned.section.name} is aligned to ${unaligned.section.align}`]);
  const all = code.sections.map((section) => packSection(section, references, options));
  const leftWhole = [...new Set(all.flatMap((section) => section.leftWhole))];
  const smaller = all.filter(({ original, size }) => size < original.section.size);
  const layout = layOut(
    code.headers,
    smaller.map(({ original, size }) => ({ section: original.section, size })),
  );
  if (typeof layout === "string") return whole([layout]);
  const packed = smaller.filter(({ original }) => layout.cuts.some(({ section }) => section === original.section));
  if (packed.length === 0) return whole(leftWhole);
  const { parts } = writeLayout(code.headers, layout, { packed, references, size: source.size });
  const problem = await trimProblem(source, partsSource(source, parts), { code, references, options });
  if (problem !== undefined) return whole([`the smaller library did not pass its check: ${problem}`]);
  return { ...resultOf(source, { code, packed, leftWhole }), parts, after: partsSource(source, parts).size };
}

/** Of sections: powers of two up to a page. */
const alignments = new Set(Array.from({ length: 13 }, (_, exponent) => 2 ** exponent));

function resultOf(
  source: RandomAccess,
  { code, packed, leftWhole }: { code: DeviceCode; packed: readonly PackedSection[]; leftWhole: string[] },
): TrimResult {
  const sections = code.sections.map(({ section, binaries }): TrimmedSection => {
    const found = packed.find(({ original }) => original.section === section);
    return {
      name: section.name,
      binaries: binaries.length,
      before: section.size,
      after: found?.size ?? section.size,
      unserved: countUnserved(found),
    };
  });
  return { before: source.size, after: source.size, parts: undefined, sections, leftWhole };
}

function countUnserved(packed: PackedSection | undefined): TrimmedSection["unserved"] {
  const counts = new Map<number, number>();
  for (const { unserved } of packed?.binaries ?? []) {
    for (const target of unserved) counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  return [...counts].map(([target, binaries]) => ({ target, binaries })).sort((a, b) => a.target - b.target);
}
