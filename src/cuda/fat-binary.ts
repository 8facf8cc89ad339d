import type { Architecture } from "./architecture.ts";
import { number64, viewOf } from "./little-endian.ts";
import type { RandomAccess } from "./random-access.ts";

/**
 * A fat binary: a header of 16 bytes and its entries, each with device code for one architecture, in
 * `.nv_fatbin` or `__nv_relfatbin`. Little-endian throughout.
 */
export interface FatBinary {
  /** From the section's start. */
  offset: number;
  /** With its header. */
  size: number;
  entries: FatEntry[];
  /** Why its entries are not understood; such a fat binary is left whole. */
  unknown?: string;
}

/** One image of device code. Several are one entry when the toolkit has compressed them together (`concatenated`). */
export interface FatEntry {
  /** From the fat binary's start, and with the entry's header. */
  offset: number;
  size: number;
  headerSize: number;
  kind: "ptx" | "cubin" | "concatenated";
  /** What its code is for; more than one for `concatenated` alone. */
  images: FatImage[];
  storage: "raw" | "lz4" | "zstd";
  /** Of the payload as stored, without padding, and decompressed. */
  storedSize: number;
  unpackedSize: number;
  debug: boolean;
}

export interface FatImage {
  kind: "ptx" | "cubin";
  architecture: Architecture;
  /** Which of the object files that were linked it belongs to; empty in nearly all. */
  identifier: string;
}

/** What was read of a section: fat binaries back to back. */
export interface FatSectionContent {
  binaries: FatBinary[];
  /** Why the rest of the section could not be read; the section is then left whole. */
  unknown?: string;
}

export const fatBinaryMagic = 0xba55ed50;
export const fatHeaderSize = 16;

/**
 * Reads the headers of a section's fat binaries; payloads are touched at their first bytes only.
 * Never throws for what is in them: a form that is not known is described instead.
 */
export async function readFatBinaries(
  source: RandomAccess,
  section: { offset: number; size: number },
): Promise<FatSectionContent> {
  const binaries: FatBinary[] = [];
  let entries = 0;
  for (let at = 0; at < section.size;) {
    if (section.size - at < fatHeaderSize) return { binaries, unknown: `${section.size - at} bytes are left over` };
    const view = viewOf(await source.read(section.offset + at, fatHeaderSize));
    const magic = view.getUint32(0, true);
    if (magic === 0 && isPadding(view)) {
      at += 8;
      continue;
    }
    const binary = await answer(source, readFatBinary({ start: section.offset, at, end: section.size }));
    if (typeof binary === "string") return { binaries, unknown: binary };
    entries += binary.entries.length + 1;
    if (entries > mostEntries) return { binaries, unknown: `it has more than ${mostEntries} entries` };
    binaries.push(binary);
    at += binary.size;
  }
  return { binaries };
}

/** Bytes that reading goes on with. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** A way of reading that asks for bytes, wherever they come from: a file that is there, or one that passes by. */
export type Reading<Result> = Generator<ByteRange, Result, Uint8Array>;

async function answer<Result>(source: RandomAccess, reading: Reading<Result>): Promise<Result> {
  let step = reading.next();
  while (!step.done) step = reading.next(await source.read(step.value.offset, step.value.length));
  return step.value;
}

/**
 * Reads the headers of the fat binary that begins at `at`, counted from `start` as `end` is; at least `fatHeaderSize` bytes are there.
 * Asks for bytes in their order, and goes back at most to the beginning of an entry.
 *
 * @returns why there is none, for one whose end can't be told
 */
export function* readFatBinary(place: { start: number; at: number; end: number }): Reading<FatBinary | string> {
  const { start, at, end } = place;
  const view = viewOf(yield { offset: start + at, length: fatHeaderSize });
  const problem = headerProblem(view);
  if (problem) return `${problem} at ${at}`;
  const size = fatHeaderSize + number64(view, 8);
  if (at + size > end) return `the fat binary at ${at} ends after its section`;
  const { broken, ...binary } = yield* readEntries({ start: start + at, size });
  return broken === undefined ? { offset: at, size, ...binary } : `${broken} in the fat binary at ${at}`;
}

/** Linkers fill up to the alignment of the next object's section. */
function isPadding(view: DataView): boolean {
  return view.getUint32(4, true) === 0;
}

function headerProblem(view: DataView): string | undefined {
  if (view.getUint32(0, true) !== fatBinaryMagic) return "no fat binary begins";
  const version = view.getUint16(4, true);
  if (version !== 1) return `version ${version} of the format`;
  const headerSize = view.getUint16(6, true);
  if (headerSize !== fatHeaderSize) return `a header of ${headerSize} bytes`;
  return number64(view, 8) % 8 === 0 ? undefined : "a size that is no multiple of 8";
}

function* readEntries({
  start,
  size,
}: {
  start: number;
  size: number;
}): Reading<Pick<FatBinary, "entries" | "unknown"> & { broken?: string }> {
  const entries: FatEntry[] = [];
  for (let at = fatHeaderSize; at < size;) {
    const left = size - at;
    if (left < entryHeaderSize) return { entries, broken: `${left} bytes after the last entry` };
    const first = yield { offset: start + at, length: Math.min(left, firstRead) };
    const header = viewOf(first);
    const headerSize = header.getUint32(4, true);
    if (headerSize < entryHeaderSize || headerSize + number64(header, 8) > left)
      return { entries, broken: "an entry that ends elsewhere" };
    const entry = yield* readEntryFrom(first, { start, offset: at, left });
    if (typeof entry === "string") return { entries, unknown: `${entry} (entry ${entries.length})` };
    if (entries.length >= mostEntries) return { entries, unknown: `more than ${mostEntries} entries` };
    entries.push(entry);
    at += entry.size;
  }
  return { entries };
}

/** Reads an entry from its first bytes, and from more of them where only those tell how its payload is stored. */
function* readEntryFrom(
  first: Uint8Array,
  place: { start: number; offset: number; left: number },
): Reading<FatEntry | string> {
  const { start, offset, left } = place;
  const headerSize = viewOf(first).getUint32(4, true);
  if (headerSize > largestHeader) return `an entry header of ${headerSize} bytes`;
  let entry: FatEntry | string = undecided;
  for (const payload of payloadStarts) {
    const size = Math.min(left, headerSize + payload);
    entry = readEntry(size <= first.length ? first : yield { offset: start + offset, length: size }, place);
    if (entry !== undecided) break;
  }
  return entry;
}

/** Reads one entry's header; a text says what is unknown about it. */
function readEntry(bytes: Uint8Array, place: { offset: number; left: number }): FatEntry | string {
  const view = viewOf(bytes);
  const kind = view.getUint16(0, true);
  const version = view.getUint16(2, true);
  const headerSize = view.getUint32(4, true);
  const payload = number64(view, 8);
  if (version !== 0x101) return `an entry of version 0x${version.toString(16)}`;
  if (headerSize < entryHeaderSize || headerSize > largestHeader || headerSize % 8 !== 0) {
    return `an entry header of ${headerSize} bytes`;
  }
  if (payload % 8 !== 0) return `a payload of ${payload} bytes, no multiple of 8`;
  const kindName = kindNames[kind];
  if (!kindName) return `device code of kind ${kind}`;
  const flags = number64(view, 40);
  const storage = storageOf(flags);
  if (!storage) return `flags 0x${flags.toString(16)}`;
  const storedSize = storage === "raw" ? payload : view.getUint32(16, true);
  if (storedSize > payload) return "a compressed size above the stored one";
  const header = bytes.subarray(0, headerSize);
  const images = kindName === "concatenated" ? readConcatenated(header) : readImage(header, kindName);
  if (typeof images === "string") return images;
  const start = bytes.subarray(headerSize, headerSize + payload);
  const begins = startsAs(start, { kind: kindName, storage });
  if (begins === undefined) return undecided;
  if (!begins) return `a ${storage} payload that does not begin as one`;
  return {
    offset: place.offset,
    size: headerSize + payload,
    headerSize,
    kind: kindName,
    images,
    storage,
    storedSize,
    unpackedSize: storage === "raw" ? payload : number64(view, 56),
    debug: (flags & flagBits.debug) !== 0,
  };
}

function readImage(header: Uint8Array, kind: "ptx" | "cubin"): FatImage[] | string {
  const image = imageOf(header, kind);
  return typeof image === "string" ? image : [image];
}

/**
 * The header goes on with a count, the length of the list in bytes, and for each image a header like an entry's, in
 * which the second number is the image's offset in the decompressed payload. Written by the toolkit's
 * `fatbinary --concat`, since CUDA 13.
 */
function readConcatenated(header: Uint8Array): FatImage[] | string {
  const view = viewOf(header);
  const unknown = "a list of concatenated images of another form";
  const list = view.getUint32(20, true);
  if (list < entryHeaderSize || list + 8 > header.length) return unknown;
  const count = view.getUint32(list, true);
  const end = list + view.getUint32(list + 4, true);
  if (count === 0 || count > mostConcatenated || end > header.length) return unknown;
  const images: FatImage[] = [];
  let at = list + 8;
  for (let index = 0; index < count; index++) {
    if (at + entryHeaderSize > end) return unknown;
    const image = header.subarray(at, end);
    const kind = kindNames[view.getUint16(at, true)];
    if ((kind !== "cubin" && kind !== "ptx") || view.getUint16(at + 2, true) !== 0x101) return unknown;
    const read = imageOf(image, kind);
    if (typeof read === "string") return read;
    images.push(read);
    at += entryHeaderSize;
    if (viewOf(image).getUint32(20, true) === 0) continue;
    if (at + 8 > end) return unknown;
    // Options are text with a NUL at its end, filled up to 8 bytes.
    at += 8 + Math.ceil((view.getUint32(at + 4, true) + 1) / 8) * 8;
  }
  return at === end ? images : unknown;
}

function imageOf(header: Uint8Array, kind: "ptx" | "cubin"): FatImage | string {
  const view = viewOf(header);
  const sm = view.getUint32(28, true);
  const flags = number64(view, 40);
  if (sm < 10 || sm > 999) return `architecture ${sm}`;
  if (!storageOf(flags)) return `flags 0x${flags.toString(16)}`;
  const isA = (flags & flagBits.architectureSpecific) !== 0;
  const isF = (flags & flagBits.familySpecific) !== 0;
  if (isA && isF) return `flags 0x${flags.toString(16)}`;
  const nameAt = view.getUint32(32, true);
  const nameSize = view.getUint32(36, true);
  if (nameSize > 0 && nameAt + nameSize > header.length) return "a name outside of its header";
  return {
    kind,
    architecture: { sm, variant: isA ? "a" : isF ? "f" : "" },
    identifier: Buffer.from(header.subarray(nameAt, nameAt + nameSize)).toString("latin1"),
  };
}

/** How the payload is stored; undefined when a flag is set that is not known. */
function storageOf(flags: number): FatEntry["storage"] | undefined {
  if (flags > 0xffffffff || (flags & ~knownFlags) !== 0) return undefined;
  const lz4 = (flags & flagBits.lz4) !== 0;
  const zstd = (flags & flagBits.zstd) !== 0;
  if (lz4 && zstd) return undefined;
  return lz4 ? "lz4" : zstd ? "zstd" : "raw";
}

/**
 * Whether a payload is stored as its flags say: the beginning of an ELF file, of PTX text, or of a zstd frame; undefined
 * when more of it must be seen.
 */
function startsAs(start: Uint8Array, { kind, storage }: Pick<FatEntry, "kind" | "storage">): boolean | undefined {
  if (storage === "zstd") return start.length >= 4 && viewOf(start).getUint32(0, true) === 0xfd2fb528;
  if (kind !== "cubin") return start.length > 0;
  // An LZ4 block begins with a token; with 15 and more literals, their number goes on in further bytes.
  let at = 0;
  if (storage === "lz4") {
    const literals = (start[at++] ?? 0) >> 4;
    if (literals < 4) return false;
    if (literals === 15) while (start[at++] === 255);
    if (at + 4 > start.length) return undefined;
  }
  return start[at] === 0x7f && start[at + 1] === 0x45 && start[at + 2] === 0x4c && start[at + 3] === 0x46;
}

const kindNames: Record<number, FatEntry["kind"] | undefined> = { 1: "ptx", 2: "cubin", 256: "concatenated" };

/** As `fatbinary` of CUDA 11 to 13 sets them. */
export const flagBits = {
  wide: 0x1,
  debug: 0x2,
  cuda: 0x4,
  opencl: 0x8,
  linux: 0x10,
  mac: 0x20,
  windows: 0x40,
  lz4: 0x2000,
  zstd: 0x8000,
  architectureSpecific: 0x100000,
  familySpecific: 0x200000,
  /** A cubin of sm_100 and later, which carries a second form of its code. */
  capsule: 0x1000000,
} as const;
const knownFlags = Object.values(flagBits).reduce((all, bit) => all | bit, 0);

export const entryHeaderSize = 64;
/** Headers have up to 120 bytes in what the toolkit writes, but for long lists of options or images. */
const largestHeader = 2 ** 16;
const firstRead = 256;
/** Nearly always the first few bytes will do; literals in the tens of megabytes are counted in 256 KiB. */
const payloadStarts = [64, 2 ** 18];
const undecided = "a payload whose beginning can't be told";
const mostConcatenated = 1024;
/** Of one library. */
export const mostEntries = 2 ** 18;
