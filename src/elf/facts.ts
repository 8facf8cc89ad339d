import type { ByteSource } from "../archive/byte-source.ts";
import { readElfImage, segmentTypes } from "./read.ts";
import type { ElfImage, Segment } from "./read.ts";
import { brokenElf } from "./view.ts";

/** What the dynamic linker reads of an ELF file, as JSON. */
export interface ElfFacts {
  /** The kernel's name: `x86_64`, `aarch64`, …, `elf-machine-190` for one without. */
  machine: string;
  class: 32 | 64;
  /** `other` stands for types of an operating system or processor. */
  type: "dyn" | "exec" | "rel" | "core" | "other";
  soname?: string;
  /** DT_NEEDED in order. */
  needed: string[];
  /** DT_RPATH and DT_RUNPATH, split at colons, as written: `$ORIGIN/../lib`. */
  rpath: string[];
  runpath: string[];
  /** PT_INTERP: `/lib64/ld-linux-x86-64.so.2`. */
  interpreter?: string;
  /** Symbol versions that the file demands of others, weak ones left out: their absence is no error. */
  versionsNeeded: { file: string; versions: string[] }[];
  /** Symbol versions that it offers; the first is its own name. */
  versionsDefined: string[];
  /** The C library that it was linked to; absent when it needs none. */
  libc?: "glibc" | "musl";
}

/**
 * Reads the dynamic section through the program headers, as the dynamic linker does; section headers play no part.
 *
 * @returns undefined when the file does not begin with the ELF magic
 * @throws SheafError SHEAF_ELF when it does but is broken
 */
export function elfFacts(bytes: Uint8Array | ByteSource): ElfFacts | undefined {
  const file = readElfImage(bytes);
  if (!file) return undefined;
  const entries = readDynamic(file);
  const names = stringTable(file, entries);
  const all = (tag: number) => entries.filter((entry) => entry.tag === tag).map((entry) => names(entry.value));
  const [soname] = all(tags.soname);
  const interpreter = readInterpreter(file);
  const facts: ElfFacts = {
    machine: machineName(file),
    class: file.view.class,
    type: typeNames[file.type] ?? "other",
    ...(soname === undefined ? {} : { soname }),
    needed: all(tags.needed),
    rpath: all(tags.rpath).flatMap(splitPaths),
    runpath: all(tags.runpath).flatMap(splitPaths),
    ...(interpreter === undefined ? {} : { interpreter }),
    versionsNeeded: readVersionsNeeded(file, entries, names),
    versionsDefined: readVersionsDefined(file, entries, names),
  };
  const libc = libcOf(facts);
  return libc ? { ...facts, libc } : facts;
}

interface DynamicEntry {
  tag: number;
  value: number;
}

type Names = (offset: number) => string;

const tags = {
  needed: 1,
  stringTable: 5,
  stringTableSize: 10,
  soname: 14,
  rpath: 15,
  runpath: 29,
  versionDefinitions: 0x6ffffffc,
  versionDefinitionCount: 0x6ffffffd,
  versionNeeds: 0x6ffffffe,
  versionNeedCount: 0x6fffffff,
} as const;

function readDynamic({ view, segments }: ElfImage): DynamicEntry[] {
  const dynamic = segments.find((segment) => segment.type === segmentTypes.dynamic);
  if (!dynamic || dynamic.fileSize === 0) return [];
  view.check(dynamic.offset, dynamic.fileSize, "the dynamic section");
  const entries: DynamicEntry[] = [];
  const size = 2 * view.wordSize;
  for (let at = dynamic.offset; at + size <= dynamic.offset + dynamic.fileSize; at += size) {
    const tag = view.word(at);
    if (tag === 0) break;
    if (entries.length >= mostEntries) throw brokenElf("its dynamic section has no end");
    entries.push({ tag, value: view.word(at + view.wordSize) });
  }
  return entries;
}

function stringTable(file: ElfImage, entries: DynamicEntry[]): Names {
  const address = valueOf(entries, tags.stringTable);
  const size = valueOf(entries, tags.stringTableSize) ?? 0;
  return (offset) => {
    if (address === undefined || offset >= size) throw brokenElf("a name is outside the dynamic string table");
    const start = fileOffset(file, address);
    return file.view.string(start + offset, start + size);
  };
}

/** The file offset of an address, through the segments that are loaded. */
function fileOffset({ segments }: ElfImage, address: number): number {
  const covers = ({ type, address: start, fileSize }: Segment) =>
    type === segmentTypes.load && address >= start && address < start + fileSize;
  const segment = segments.find(covers);
  if (!segment) throw brokenElf(`address ${address} is in no loaded segment`);
  return address - segment.address + segment.offset;
}

function readInterpreter({ view, segments }: ElfImage): string | undefined {
  const interp = segments.find((segment) => segment.type === segmentTypes.interp);
  // Debug-only companions (objcopy --only-keep-debug) keep the header without the bytes.
  if (!interp || interp.fileSize === 0) return undefined;
  return view.string(interp.offset, interp.offset + interp.fileSize);
}

function readVersionsNeeded(file: ElfImage, entries: DynamicEntry[], names: Names): ElfFacts["versionsNeeded"] {
  const { view } = file;
  const found: ElfFacts["versionsNeeded"] = [];
  let total = 0;
  const table = { address: tags.versionNeeds, count: tags.versionNeedCount };
  for (const at of chain(file, entries, table)) {
    const versions: string[] = [];
    let aux = at + view.u32(at + 8);
    for (let left = view.u16(at + 2); left > 0; left--) {
      if (++total > mostEntries) throw brokenElf("it needs more symbol versions than any file has");
      if ((view.u16(aux + 4) & weakVersion) === 0) versions.push(names(view.u32(aux + 8)));
      const next = view.u32(aux + 12);
      if (next === 0) break;
      aux += next;
    }
    if (versions.length > 0) found.push({ file: names(view.u32(at + 4)), versions });
  }
  return found;
}

function readVersionsDefined(file: ElfImage, entries: DynamicEntry[], names: Names): string[] {
  const table = { address: tags.versionDefinitions, count: tags.versionDefinitionCount };
  return chain(file, entries, table).map((at) => names(file.view.u32(at + file.view.u32(at + 12))));
}

/** The file offsets of a version table's records. Verneed and Verdef both have the way to the next in their last field. */
function chain(file: ElfImage, entries: DynamicEntry[], table: { address: number; count: number }): number[] {
  const address = valueOf(entries, table.address);
  const count = valueOf(entries, table.count) ?? 0;
  if (address === undefined || count === 0) return [];
  if (count > mostEntries) throw brokenElf(`a version table counts ${count} records`);
  const nextField = table.address === tags.versionNeeds ? 12 : 16;
  const offsets: number[] = [];
  let at = fileOffset(file, address);
  for (let left = count; left > 0; left--) {
    offsets.push(at);
    const next = file.view.u32(at + nextField);
    if (next === 0) break;
    at += next;
  }
  return offsets;
}

function valueOf(entries: DynamicEntry[], tag: number): number | undefined {
  return entries.find((entry) => entry.tag === tag)?.value;
}

function splitPaths(text: string): string[] {
  return text.split(":").filter((path) => path !== "");
}

function libcOf({ needed, interpreter = "" }: ElfFacts): ElfFacts["libc"] {
  if (interpreter.includes("/ld-musl-")) return "musl";
  if (needed.some((soname) => soname === "libc.so" || soname.startsWith("libc.musl-"))) return "musl";
  const loads = (pattern: RegExp) => pattern.test(interpreter) || needed.some((soname) => pattern.test(soname));
  return loads(/^libc\.so\.6(?:\.1)?$/) || loads(/(?:^|\/)ld(?:-linux[\w.-]*|64)\.so\.\d$/) ? "glibc" : undefined;
}

function machineName({ machine, view }: ElfImage): string {
  if (machine === 21) return view.littleEndian ? "ppc64le" : "ppc64";
  return machines[machine] ?? `elf-machine-${machine}`;
}

const machines: Record<number, string | undefined> = {
  3: "i386",
  8: "mips",
  20: "ppc",
  22: "s390x",
  40: "arm",
  62: "x86_64",
  183: "aarch64",
  243: "riscv64",
  258: "loongarch64",
};

const typeNames: Record<number, ElfFacts["type"] | undefined> = { 1: "rel", 2: "exec", 3: "dyn", 4: "core" };
/** VER_FLG_WEAK */
const weakVersion = 2;
const mostEntries = 4096;
