import { brokenElf } from "../../elf/view.ts";
import { sectionTypes } from "../../elf/read.ts";
import { offsetOfAddress, readElfHeaders } from "../elf-headers.ts";
import type { ElfHeaders } from "../elf-headers.ts";
import { number64, viewOf } from "../little-endian.ts";
import { guarded, readChecked } from "../random-access.ts";
import type { RandomAccess } from "../random-access.ts";
import { readDynamic } from "../relocations.ts";

/** What a shared library offers to those that are linked to it: names, no code. */
export interface LibraryInterface {
  /** e_machine */
  machine: number;
  soname: string;
  /** Symbol versions in the order of their indices from 1 on; the first is the library's own name. Empty without versions. */
  versions: SymbolVersion[];
  /** Sorted as in the library. */
  symbols: ExportedSymbol[];
}

export interface SymbolVersion {
  name: string;
  /** VER_FLG_BASE and VER_FLG_WEAK. */
  flags: number;
  /** Versions that it inherits from. */
  parents: string[];
}

export interface ExportedSymbol {
  name: string;
  /** `absolute` is a symbol that stands for a version. */
  kind: "function" | "object" | "absolute";
  /** Of objects, in bytes. */
  size: number;
  isWeak: boolean;
  /** Index of the version, as .gnu.version has it: bit 15 hides it from those that ask for none. */
  version: number;
}

/**
 * Reads a shared library's interface.
 *
 * @throws SheafError SHEAF_ELF when the file is broken, is no shared library, or exports what a stub can't
 */
export async function readInterface(file: RandomAccess): Promise<LibraryInterface> {
  const source = guarded(file);
  const headers = await readElfHeaders(source);
  const table = headers?.sections.find(({ type }) => type === sectionTypes.dynsym);
  if (!headers || !table) throw brokenElf("it is no shared library for 64-bit Linux with a table of symbols");
  const dynamic = await readDynamic(source, headers);
  const strings = await readStrings(source, { headers, dynamic });
  const symbolBytes = Uint8Array.from(await readChecked(source, { ...table, what: "its table of symbols" }));
  const count = Math.floor(symbolBytes.length / symbolSize);
  if (count > mostSymbols) throw brokenElf(`it has ${count} symbols`);
  const indices = await readVersionIndices(source, { headers, dynamic, count });
  const view = viewOf(symbolBytes);
  const symbols: ExportedSymbol[] = [];
  for (let index = 1; index < count; index++) {
    const symbol = readSymbol(view, { at: index * symbolSize, strings, version: indices?.[index] ?? 1 });
    if (symbol) symbols.push(symbol);
  }
  const soname = dynamic.get(tags.soname);
  if (soname === undefined) throw brokenElf("it has no name of its own (DT_SONAME)");
  const versions = await readVersions(source, { headers, dynamic, strings });
  return { machine: headers.machine, soname: strings(soname), versions, symbols };
}

type Strings = (offset: number) => string;

interface Tables {
  headers: ElfHeaders;
  dynamic: Map<number, number>;
}

async function readStrings(source: RandomAccess, { headers, dynamic }: Tables): Promise<Strings> {
  const size = dynamic.get(tags.stringsSize) ?? 0;
  const bytes = Buffer.from(await readAt(source, headers, { address: dynamic.get(tags.strings) ?? 0, size }));
  return (offset) => {
    const end = bytes.indexOf(0, offset);
    if (offset >= bytes.length || end < 0 || end - offset > longestName)
      throw brokenElf("a name is outside of its table");
    return bytes.toString("latin1", offset, end);
  };
}

/** Bytes at an address. */
async function readAt(
  source: RandomAccess,
  headers: ElfHeaders,
  { address, size }: { address: number; size: number },
): Promise<Uint8Array> {
  const offset = offsetOfAddress(headers.segments, address, size);
  if (offset === undefined) throw brokenElf(`nothing of the file is loaded at address ${address}`);
  return Uint8Array.from(await readChecked(source, { offset, size, what: "a table of the dynamic section" }));
}

function readSymbol(
  view: DataView,
  { at, strings, version }: { at: number; strings: Strings; version: number },
): ExportedSymbol | undefined {
  const info = view.getUint8(at + 4);
  const visibility = view.getUint8(at + 5) & 3;
  const section = view.getUint16(at + 6, true);
  const isGlobal = info >> 4 === 1 || info >> 4 === 2 || info >> 4 === 10;
  // Hidden and internal symbols (2 and 1) can't be bound to.
  if (section === 0 || !isGlobal || visibility === 1 || visibility === 2) return undefined;
  const name = strings(view.getUint32(at, true));
  const kind = section === absoluteSection ? "absolute" : kinds[info & 15];
  if (!kind) throw brokenElf(`${name} is a symbol of type ${info & 15}, which no stub can have`);
  const size = kind === "object" ? number64(view, at + 16) : 0;
  if (size > largestObject) throw brokenElf(`${name} has ${size} bytes`);
  return { name, kind, size, isWeak: info >> 4 === 2, version };
}

async function readVersionIndices(
  source: RandomAccess,
  { headers, dynamic, count }: Tables & { count: number },
): Promise<number[] | undefined> {
  const address = dynamic.get(tags.versionIndices);
  if (address === undefined) return undefined;
  const view = viewOf(await readAt(source, headers, { address, size: count * 2 }));
  return Array.from({ length: count }, (_, index) => view.getUint16(index * 2, true));
}

/** Verdef records, each with its own name and those of its parents. */
async function readVersions(
  source: RandomAccess,
  { headers, dynamic, strings }: Tables & { strings: Strings },
): Promise<SymbolVersion[]> {
  const versions: SymbolVersion[] = [];
  let address = dynamic.get(tags.versions);
  const count = dynamic.get(tags.versionCount) ?? 0;
  if (address === undefined || count === 0) return [];
  if (count > mostVersions) throw brokenElf(`it defines ${count} versions`);
  for (let left = count; left > 0; left--) {
    const record = viewOf(await readAt(source, headers, { address, size: 20 }));
    const index = record.getUint16(4, true);
    const names: string[] = [];
    let name = address + record.getUint32(12, true);
    for (let more = record.getUint16(6, true); more > 0; more--) {
      const aux = viewOf(await readAt(source, headers, { address: name, size: 8 }));
      names.push(strings(aux.getUint32(0, true)));
      name += aux.getUint32(4, true);
    }
    const [own, ...parents] = names;
    if (own === undefined || index < 1 || index > mostVersions) throw brokenElf(`version ${index} has no name`);
    versions[index - 1] = { name: own, flags: record.getUint16(2, true), parents };
    address += record.getUint32(16, true);
  }
  if (versions.includes(undefined as never)) throw brokenElf("the numbers of its versions have gaps");
  return versions;
}

/** STT_NOTYPE and STT_GNU_IFUNC are functions in what compilers write; STT_TLS (6) is left out. */
const kinds: Record<number, ExportedSymbol["kind"] | undefined> = {
  0: "function",
  1: "object",
  2: "function",
  10: "function",
};
const tags = {
  strings: 5,
  stringsSize: 10,
  soname: 14,
  versionIndices: 0x6ffffff0,
  versions: 0x6ffffffc,
  versionCount: 0x6ffffffd,
} as const;
const symbolSize = 24;
const absoluteSection = 0xfff1;
const longestName = 2 ** 14;
const mostSymbols = 100_000;
const mostVersions = 1000;
const largestObject = 2 ** 24;
