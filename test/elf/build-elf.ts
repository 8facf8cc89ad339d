/** What a small but well-formed ELF file says. All of it is in one loaded segment, sections follow. */
export interface ElfSpec {
  class?: 32 | 64;
  littleEndian?: boolean;
  /** e_machine, 62 (x86-64) unless given. */
  machine?: number;
  type?: "rel" | "exec" | "dyn";
  needed?: string[];
  soname?: string;
  rpath?: string;
  runpath?: string;
  interpreter?: string;
  versionsNeeded?: { file: string; versions: string[] }[];
  versionsDefined?: string[];
  /** Bytes of .debug_info and .symtab together with .strtab; none without. */
  debug?: number;
  /** Sections that are not loaded and no debug information either, by name. */
  notes?: Record<string, string>;
  /** False leaves the section header table out. */
  sections?: boolean;
  /** A loaded segment after the debug sections, as patchelf appends one. */
  trailingSegment?: Uint8Array;
}

interface SectionSpec {
  name: string;
  type: number;
  flags?: number;
  offset: number;
  size: number;
  link?: number;
  align?: number;
}

/** Builds an ELF file in memory whose addresses are its offsets. */
export function buildElf(spec: ElfSpec = {}): Uint8Array {
  const writer = new Writer(spec);
  const { wide } = writer;
  const names = new Strings();
  const dynamic = dynamicEntries(spec, names);
  const header = wide ? 64 : 52;
  const segmentSize = wide ? 56 : 32;
  const segmentCount = 2 + (spec.interpreter === undefined ? 0 : 1) + (spec.trailingSegment ? 1 : 0);
  let at = header + segmentSize * segmentCount;

  const interpreter = Buffer.from(`${spec.interpreter ?? ""}\0`);
  const interpreterAt = at;
  at = align(at + interpreter.length);
  const needs = writer.versionNeeds(spec.versionsNeeded ?? [], names);
  const needsAt = at;
  at = align(at + needs.length);
  const definitions = writer.versionDefinitions(spec.versionsDefined ?? [], names);
  const definitionsAt = at;
  at = align(at + definitions.length);
  const strings = names.bytes();
  const stringsAt = at;
  at = align(at + strings.length);
  if (needs.length > 0) dynamic.push([0x6ffffffe, needsAt], [0x6fffffff, spec.versionsNeeded?.length ?? 0]);
  if (definitions.length > 0)
    dynamic.push([0x6ffffffc, definitionsAt], [0x6ffffffd, spec.versionsDefined?.length ?? 0]);
  dynamic.push([5, stringsAt], [10, strings.length], [0, 0]);
  const dynamicAt = at;
  const table = Buffer.concat(dynamic.flatMap(([tag, value]) => [writer.word(tag), writer.word(value)]));
  at += table.length;
  const loadedEnd = at;

  const sections: SectionSpec[] = [
    { name: ".dynstr", type: 3, flags: 2, offset: stringsAt, size: strings.length },
    { name: ".dynamic", type: 6, flags: 3, offset: dynamicAt, size: table.length, link: 1, align: 8 },
  ];
  const chunks = [interpreter, needs, definitions, strings, table];
  const offsets = [interpreterAt, needsAt, definitionsAt, stringsAt, dynamicAt];
  const add = (section: Omit<SectionSpec, "offset" | "size">, bytes: Uint8Array) => {
    at = align(at);
    chunks.push(Buffer.from(bytes));
    offsets.push(at);
    sections.push({ ...section, offset: at, size: bytes.length });
    at += bytes.length;
  };
  if (spec.debug) {
    add({ name: ".debug_info", type: 1 }, Buffer.alloc(spec.debug, "debug information "));
    add({ name: ".symtab", type: 2, link: sections.length + 2 }, Buffer.alloc(wide ? 24 : 16));
    add({ name: ".strtab", type: 3 }, Buffer.from("\0"));
  }
  for (const [name, text] of Object.entries(spec.notes ?? {})) add({ name, type: 1 }, Buffer.from(text));
  let trailingAt = 0;
  if (spec.trailingSegment) {
    at = Math.ceil(at / 4096) * 4096;
    trailingAt = at;
    add({ name: ".moved", type: 1, flags: 2 }, spec.trailingSegment);
  }
  const sectionNames = new Strings();
  for (const { name } of sections) sectionNames.add(name);
  sectionNames.add(".shstrtab");
  add({ name: ".shstrtab", type: 3 }, sectionNames.bytes());
  at = align(at);

  const withSections = spec.sections !== false;
  const sectionTable = [writer.section({ name: "", type: 0, offset: 0, size: 0 }, 0)].concat(
    sections.map((section) => writer.section(section, sectionNames.add(section.name))),
  );
  const result = Buffer.alloc(withSections ? at + Buffer.concat(sectionTable).length : at);
  writer.header({ sectionsAt: withSections ? at : 0, sectionCount: sectionTable.length, segmentCount }).copy(result);
  const segments = [writer.segment({ type: 1, offset: 0, size: loadedEnd })];
  segments.push(writer.segment({ type: 2, offset: dynamicAt, size: table.length }));
  if (spec.interpreter !== undefined)
    segments.push(writer.segment({ type: 3, offset: interpreterAt, size: interpreter.length }));
  if (spec.trailingSegment)
    segments.push(writer.segment({ type: 1, offset: trailingAt, size: spec.trailingSegment.length }));
  Buffer.concat(segments).copy(result, header);
  chunks.forEach((chunk, index) => chunk.copy(result, offsets[index]));
  if (withSections) Buffer.concat(sectionTable).copy(result, at);
  return result;
}

function dynamicEntries(spec: ElfSpec, names: Strings): [tag: number, value: number][] {
  const entries: [number, number][] = (spec.needed ?? []).map((soname) => [1, names.add(soname)]);
  if (spec.soname !== undefined) entries.push([14, names.add(spec.soname)]);
  if (spec.rpath !== undefined) entries.push([15, names.add(spec.rpath)]);
  if (spec.runpath !== undefined) entries.push([29, names.add(spec.runpath)]);
  return entries;
}

function align(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}

class Strings {
  #text = "\0";

  add(text: string): number {
    const known = this.#text.indexOf(`\0${text}\0`);
    if (known >= 0) return known + 1;
    this.#text += `${text}\0`;
    return this.#text.length - text.length - 1;
  }

  bytes(): Buffer {
    return Buffer.from(this.#text, "latin1");
  }
}

class Writer {
  readonly #spec: ElfSpec;
  readonly wide: boolean;
  readonly #little: boolean;

  constructor(spec: ElfSpec) {
    this.#spec = spec;
    this.wide = spec.class !== 32;
    this.#little = spec.littleEndian !== false;
  }

  u16(value: number): Buffer {
    const bytes = Buffer.alloc(2);
    if (this.#little) bytes.writeUInt16LE(value);
    else bytes.writeUInt16BE(value);
    return bytes;
  }

  u32(value: number): Buffer {
    const bytes = Buffer.alloc(4);
    if (this.#little) bytes.writeUInt32LE(value);
    else bytes.writeUInt32BE(value);
    return bytes;
  }

  word(value: number): Buffer {
    if (!this.wide) return this.u32(value);
    const bytes = Buffer.alloc(8);
    if (this.#little) bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  }

  header(counts: { sectionsAt: number; sectionCount: number; segmentCount: number }): Buffer {
    const { sectionsAt, sectionCount, segmentCount } = counts;
    const { type = "dyn", machine = 62 } = this.#spec;
    const size = this.wide ? 64 : 52;
    const identity = Buffer.alloc(16);
    identity.set([0x7f, 0x45, 0x4c, 0x46, this.wide ? 2 : 1, this.#little ? 1 : 2, 1]);
    return Buffer.concat([
      identity,
      this.u16({ rel: 1, exec: 2, dyn: 3 }[type]),
      this.u16(machine),
      this.u32(1),
      this.word(0),
      this.word(size),
      this.word(sectionsAt),
      this.u32(0),
      ...[size, this.wide ? 56 : 32, segmentCount].map((value) => this.u16(value)),
      ...[this.wide ? 64 : 40, sectionsAt === 0 ? 0 : sectionCount, sectionsAt === 0 ? 0 : sectionCount - 1].map(
        (value) => this.u16(value),
      ),
    ]);
  }

  segment({ type, offset, size }: { type: number; offset: number; size: number }): Buffer {
    const numbers = [offset, offset, offset, size, size].map((value) => this.word(value));
    const tail = this.word(type === 1 ? 4096 : 1);
    if (this.wide) return Buffer.concat([this.u32(type), this.u32(5), ...numbers, tail]);
    return Buffer.concat([this.u32(type), ...numbers, this.u32(5), tail]);
  }

  section(section: SectionSpec, name: number): Buffer {
    const address = (section.flags ?? 0) === 0 ? 0 : section.offset;
    const words = [section.flags ?? 0, address, section.offset, section.size].map((value) => this.word(value));
    const tail = [this.word(section.align ?? 1), this.word(0)];
    return Buffer.concat([
      this.u32(name),
      this.u32(section.type),
      ...words,
      this.u32(section.link ?? 0),
      this.u32(0),
      ...tail,
    ]);
  }

  versionNeeds(needs: { file: string; versions: string[] }[], names: Strings): Buffer {
    const records = needs.map(({ file, versions }, index) => {
      const size = 16 + 16 * versions.length;
      const next = index === needs.length - 1 ? 0 : size;
      const auxiliaries = versions.map((version, position) => [
        this.u32(0),
        this.u16(0),
        this.u16(2),
        this.u32(names.add(version)),
        this.u32(position === versions.length - 1 ? 0 : 16),
      ]);
      const head = [this.u16(1), this.u16(versions.length), this.u32(names.add(file)), this.u32(16), this.u32(next)];
      return Buffer.concat([...head, ...auxiliaries.flat()]);
    });
    return Buffer.concat(records);
  }

  versionDefinitions(versions: string[], names: Strings): Buffer {
    const records = versions.map((version, index) => {
      const last = index === versions.length - 1;
      const head = [this.u16(1), this.u16(index === 0 ? 1 : 0), this.u16(index + 1), this.u16(1), this.u32(0)];
      return Buffer.concat([...head, this.u32(20), this.u32(last ? 0 : 28), this.u32(names.add(version)), this.u32(0)]);
    });
    return Buffer.concat(records);
  }
}
