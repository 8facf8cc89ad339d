import { readElf, segmentTypes, type Segment } from "../elf/read.ts";

const DT_NULL = 0n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

/**
 * Rewrites DT_RUNPATH and DT_RPATH (System V gABI, "Dynamic Section") of a 64-bit little-endian ELF file in place: each
 * element goes through `map`, undefined drops it. A result longer than what was there is refused, because the string
 * table can't grow; the elements that fit stay.
 *
 * @returns whether anything changed
 */
export function mendRunpath(bytes: Uint8Array, map: (element: string) => string | undefined): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let changed = false;
  for (const { offset, length } of runpaths(view)) {
    const before = view.toString("utf8", offset, offset + length);
    const elements: string[] = [];
    for (const element of before.split(":")) {
      const mapped = map(element);
      if (mapped === undefined || elements.includes(mapped)) continue;
      if (Buffer.byteLength([...elements, mapped].join(":"), "utf8") <= length) elements.push(mapped);
    }
    const after = elements.join(":");
    if (after === before) continue;
    view.fill(0, offset, offset + length);
    view.write(after, offset, "utf8");
    changed = true;
  }
  return changed;
}

interface Range {
  offset: number;
  length: number;
}

/** The NUL-terminated strings of the tags, inside the dynamic string table. */
function runpaths(view: Buffer): Range[] {
  const file = readElf(view);
  // 64-bit little-endian: the machines that Sheaf builds for.
  if (!file || view[4] !== 2 || view[5] !== 1) return [];
  const { segments } = file;
  const dynamic = segments.find((segment) => segment.type === segmentTypes.dynamic);
  if (!dynamic) return [];
  const entries = dynamicEntries(view, dynamic);
  const value = (tag: bigint) => entries.find((entry) => entry.tag === tag)?.value;
  const table = fileOffset(segments, value(DT_STRTAB));
  const size = Number(value(DT_STRSZ) ?? 0n);
  if (table === undefined || table + size > view.length) return [];
  const ranges: Range[] = [];
  for (const { tag, value } of entries) {
    if ((tag !== DT_RPATH && tag !== DT_RUNPATH) || Number(value) >= size) continue;
    const offset = table + Number(value);
    const end = view.indexOf(0, offset);
    if (end < 0 || end >= table + size || ranges.some((range) => range.offset === offset)) continue;
    ranges.push({ offset, length: end - offset });
  }
  return ranges;
}

function dynamicEntries(view: Buffer, { offset, fileSize }: Segment): { tag: bigint; value: bigint }[] {
  const entries: { tag: bigint; value: bigint }[] = [];
  const end = Math.min(offset + fileSize, view.length);
  for (let at = offset; at + 16 <= end; at += 16) {
    const tag = view.readBigUInt64LE(at);
    if (tag === DT_NULL) break;
    entries.push({ tag, value: view.readBigUInt64LE(at + 8) });
  }
  return entries;
}

function fileOffset(segments: Segment[], address: bigint | undefined): number | undefined {
  if (address === undefined) return undefined;
  const at = Number(address);
  const segment = segments.find(
    ({ type, address, fileSize }) => type === segmentTypes.load && at >= address && at < address + fileSize,
  );
  return segment && segment.offset + at - segment.address;
}
