/** A shared library with fat binaries, as the toolkit and a linker would lay it out. */
export interface LibrarySpec {
  /** e_machine: 62 (x86-64) unless given, or 183 (aarch64). */
  machine?: number;
  /** e_type: 3 (a shared object) unless given. */
  type?: number;
  /** p_align of loaded segments, and sh_addralign of the device code. */
  align?: number;
  fatAlign?: number;
  /** Contents of .nv_fatbin; each is registered by a wrapper unless it is named in `unregistered`. */
  fatBinaries: Buffer[];
  /** Contents of __nv_relfatbin. */
  relocatable?: Buffer[];
  unregistered?: number[];
  relocations?: "rela" | "relr" | "both";
  /** Pointers to fat binaries beside the wrappers: offsets from the start of .nv_fatbin. */
  otherPointers?: number[];
  /** Bytes that go into .text as they are, told the addresses of .text and .nv_fatbin. */
  code?: (addresses: { text: number; fatbin: number }) => Buffer;
  /** An exported symbol at this offset of .nv_fatbin. */
  exportedAt?: number;
  /** A symbol in .symtab at this offset. */
  symbolAt?: number;
  /** Bytes of .after, which follows the device code in its segment. */
  after?: number;
  wrapperMagic?: number;
  bss?: number;
}

export interface BuiltLibrary {
  bytes: Buffer;
  /** Addresses of sections. */
  address: Record<string, number>;
  wrappers: number;
}

interface Piece {
  name: string;
  type: number;
  flags: number;
  bytes: Buffer;
  align?: number;
  entrySize?: number;
  link?: number;
  info?: number;
  memory?: number;
}

/** Builds the library; its addresses differ from its offsets from the second segment on. */
export function buildLibrary(spec: LibrarySpec): BuiltLibrary {
  // Laid out twice: the second time with the addresses that the first one gave.
  const first = layOut(spec, {});
  return layOut(spec, first.address);
}

function layOut(spec: LibrarySpec, known: Record<string, number>): BuiltLibrary {
  const { align = 4096, machine = 62, fatBinaries, relocatable = [], unregistered = [], otherPointers = [] } = spec;
  const at = (name: string) => known[name] ?? 0;
  const offsets = startsOf(fatBinaries, spec.fatAlign);
  const fat = at(".nv_fatbin");
  const targets = [
    ...offsets.filter((_, index) => !unregistered.includes(index)).map((offset) => fat + offset),
    ...startsOf(relocatable).map((offset) => at("__nv_relfatbin") + offset),
  ];
  const wrapperSlots = targets.map((_, index) => at(".nvFatBinSegment") + index * 24 + 8);
  const pointers = [
    ...targets.map((target, index) => ({ slot: wrapperSlots[index] ?? 0, target })),
    ...otherPointers.map((offset, index) => ({ slot: at(".data") + index * 8, target: fat + offset })),
    { slot: at(".data") + otherPointers.length * 8, target: at(".rodata") },
  ];
  const form = spec.relocations ?? "rela";
  const isRelr = (index: number) => form === "relr" || (form === "both" && index % 2 === 1);
  const relr = pointers.filter((_, index) => isRelr(index)).toSorted((a, b) => a.slot - b.slot);
  const rela = pointers.filter((_, index) => !isRelr(index));
  const inPlace = (slot: number) => relr.find((pointer) => pointer.slot === slot)?.target ?? 0;

  const strings = Buffer.from("\0libsynthetic.so\0fat_symbol\0code\0");
  const symbols = Buffer.concat([
    Buffer.alloc(24),
    ...(spec.exportedAt === undefined ? [] : [symbol(17, { info: 0x11, section: 7, value: fat + spec.exportedAt })]),
    symbol(28, { info: 0x12, section: 5, value: at(".text") }),
  ]);
  const symbolCount = symbols.length / 24;
  const wrappers = Buffer.concat(
    targets.map((_, index) => {
      const wrapper = Buffer.alloc(24);
      wrapper.writeUInt32LE(spec.wrapperMagic ?? 0x466243b1, 0);
      wrapper.writeUInt32LE(1, 4);
      wrapper.writeBigUInt64LE(BigInt(inPlace(wrapperSlots[index] ?? 0)), 8);
      return wrapper;
    }),
  );
  const data = Buffer.alloc((otherPointers.length + 1) * 8 + 100, "data ");
  for (let index = 0; index <= otherPointers.length; index++) {
    data.writeBigUInt64LE(BigInt(inPlace(at(".data") + index * 8)), index * 8);
  }
  const code = spec.code?.({ text: at(".text"), fatbin: fat }) ?? Buffer.alloc(0);
  const relaBytes = Buffer.concat(rela.map((pointer) => relaEntry(machine, pointer)));
  const relrBytes = relrTable(relr.map(({ slot }) => slot));
  const dynamic = [
    [14, 1],
    [4, at(".hash")],
    [5, at(".dynstr")],
    [6, at(".dynsym")],
    [10, strings.length],
    [11, 24],
    ...(relaBytes.length > 0
      ? [
          [7, at(".rela.dyn")],
          [8, relaBytes.length],
          [9, 24],
        ]
      : []),
    ...(relrBytes.length > 0
      ? [
          [36, at(".relr.dyn")],
          [35, relrBytes.length],
          [37, 8],
        ]
      : []),
    [0, 0],
  ];
  const groups: { flags: number; pieces: Piece[] }[] = [
    {
      flags: 4,
      pieces: [
        { name: ".hash", type: 5, flags: 2, bytes: hashTable(symbolCount), link: 2, align: 8, entrySize: 4 },
        { name: ".dynsym", type: 11, flags: 2, bytes: symbols, link: 3, info: 1, align: 8, entrySize: 24 },
        { name: ".dynstr", type: 3, flags: 2, bytes: strings },
        { name: ".rela.dyn", type: 4, flags: 2, bytes: relaBytes, link: 2, align: 8, entrySize: 24 },
      ],
    },
    {
      flags: 5,
      pieces: [{ name: ".text", type: 1, flags: 6, bytes: Buffer.concat([code, returns(machine)]), align: 16 }],
    },
    {
      flags: 4,
      pieces: [
        { name: ".rodata", type: 1, flags: 2, bytes: Buffer.alloc(777, "constants "), align: 32 },
        { name: ".nv_fatbin", type: 1, flags: 2, bytes: joined(fatBinaries, spec.fatAlign), align: spec.fatAlign ?? 8 },
        { name: "__nv_relfatbin", type: 1, flags: 2, bytes: Buffer.concat(relocatable), align: 8 },
        {
          name: ".after",
          type: 1,
          flags: 2,
          bytes: Buffer.alloc(spec.after ?? 5000, "after the device code "),
          align: 4,
        },
      ],
    },
    {
      flags: 6,
      pieces: [
        { name: ".data", type: 1, flags: 3, bytes: data, align: 8 },
        { name: ".nvFatBinSegment", type: 1, flags: 3, bytes: wrappers, align: 8 },
        { name: ".relr.dyn", type: 19, flags: 2, bytes: relrBytes, align: 8, entrySize: 8 },
        {
          name: ".dynamic",
          type: 6,
          flags: 3,
          bytes: pairs(dynamic as [number, number][]),
          link: 3,
          align: 8,
          entrySize: 16,
        },
        { name: ".bss", type: 8, flags: 3, bytes: Buffer.alloc(0), memory: spec.bss ?? 9000, align: 32 },
      ],
    },
  ];
  return write({ spec, machine, align, groups, fat, wrappers: targets.length });
}

function write(plan: {
  spec: LibrarySpec;
  machine: number;
  align: number;
  groups: { flags: number; pieces: Piece[] }[];
  fat: number;
  wrappers: number;
}): BuiltLibrary {
  const { spec, machine, align, groups } = plan;
  const address: Record<string, number> = {};
  const placed: (Piece & { offset: number; address: number; size: number })[] = [];
  const headers: Buffer[] = [];
  const programCount = groups.length + 3;
  let offset = 64 + 56 * programCount;
  groups.forEach(({ flags, pieces }, group) => {
    const base = group * align;
    const start = group === 0 ? 0 : offset;
    let memory = 0;
    for (const piece of pieces) {
      const step = piece.align ?? 1;
      offset = Math.ceil(offset / step) * step;
      address[piece.name] = base + offset;
      placed.push({ ...piece, offset, address: base + offset, size: piece.memory ?? piece.bytes.length });
      offset += piece.bytes.length;
      memory = piece.memory ?? memory;
    }
    headers.push(
      programHeader(1, { flags, offset: start, address: base + start, size: offset - start, memory, align }),
    );
  });
  const dynamic = placed.find(({ name }) => name === ".dynamic");
  const after = placed.find(({ name }) => name === ".after");
  const range = (each: typeof dynamic) => ({
    offset: each?.offset ?? 0,
    address: each?.address ?? 0,
    size: each?.size ?? 0,
  });
  headers.push(programHeader(2, { flags: 6, ...range(dynamic), memory: 0, align: 8 }));
  headers.push(programHeader(0x6474e550, { flags: 4, ...range(after), memory: 0, align: 4 }));
  headers.push(programHeader(0x6474e551, { flags: 6, offset: 0, address: 0, size: 0, memory: 0, align: 16 }));
  const notLoaded = (piece: Omit<Piece, "flags">) => {
    offset = Math.ceil(offset / 8) * 8;
    placed.push({ ...piece, flags: 0, offset, address: 0, size: piece.bytes.length });
    offset += piece.bytes.length;
  };
  notLoaded({ name: ".comment", type: 1, bytes: Buffer.from("a compiler") });
  const staticSymbols =
    spec.symbolAt === undefined ? [] : [symbol(1, { info: 1, section: 7, value: plan.fat + spec.symbolAt })];
  notLoaded({
    name: ".symtab",
    type: 2,
    bytes: Buffer.concat([Buffer.alloc(24), ...staticSymbols]),
    link: placed.length + 2,
    info: 1 + staticSymbols.length,
    entrySize: 24,
    align: 8,
  });
  notLoaded({ name: ".strtab", type: 3, bytes: Buffer.from("\0fatbinData\0") });
  const names = ["", ...placed.map(({ name }) => name), ".shstrtab"];
  notLoaded({ name: ".shstrtab", type: 3, bytes: Buffer.from(`${names.join("\0")}\0`) });
  const sectionsAt = Math.ceil(offset / 8) * 8;
  const bytes = Buffer.alloc(sectionsAt + 64 * (placed.length + 1));
  elfHeader({ type: spec.type ?? 3, machine, programCount, sectionsAt, sectionCount: placed.length + 1 }).copy(bytes);
  Buffer.concat(headers).copy(bytes, 64);
  let nameAt = 1;
  placed.forEach((each, index) => {
    each.bytes.copy(bytes, each.offset);
    sectionHeader(nameAt, each).copy(bytes, sectionsAt + 64 * (index + 1));
    nameAt += each.name.length + 1;
  });
  return { bytes, address, wrappers: plan.wrappers };
}

function startsOf(parts: readonly Buffer[], step = 1): number[] {
  let at = 0;
  return parts.map((part) => {
    const start = Math.ceil(at / step) * step;
    at = start + part.length;
    return start;
  });
}

function joined(parts: readonly Buffer[], step = 1): Buffer {
  const starts = startsOf(parts, step);
  const bytes = Buffer.alloc((starts.at(-1) ?? 0) + (parts.at(-1)?.length ?? 0));
  parts.forEach((part, index) => part.copy(bytes, starts[index]));
  return bytes;
}

function symbol(name: number, { info, section, value }: { info: number; section: number; value: number }): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(name, 0);
  bytes.writeUInt8(info, 4);
  bytes.writeUInt16LE(section, 6);
  bytes.writeBigUInt64LE(BigInt(value), 8);
  return bytes;
}

function relaEntry(machine: number, { slot, target }: { slot: number; target: number }): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(BigInt(slot), 0);
  bytes.writeBigUInt64LE(machine === 183 ? 1027n : 8n, 8);
  bytes.writeBigUInt64LE(BigInt(target), 16);
  return bytes;
}

/** Addresses and bitmaps, as linkers write them (-z pack-relative-relocs). */
function relrTable(slots: readonly number[]): Buffer {
  const wordsOut: bigint[] = [];
  let index = 0;
  while (index < slots.length) {
    const start = slots[index++] ?? 0;
    wordsOut.push(BigInt(start));
    let base = start + 8;
    for (;;) {
      let bits = 0n;
      while (index < slots.length && (slots[index] ?? 0) < base + 63 * 8 && ((slots[index] ?? 0) - base) % 8 === 0) {
        bits |= 1n << BigInt(((slots[index] ?? 0) - base) / 8);
        index++;
      }
      if (bits === 0n) break;
      wordsOut.push((bits << 1n) | 1n);
      base += 63 * 8;
    }
  }
  const bytes = Buffer.alloc(wordsOut.length * 8);
  wordsOut.forEach((word, position) => bytes.writeBigUInt64LE(word, position * 8));
  return bytes;
}

/** One bucket with all symbols in a chain. */
function hashTable(symbolCount: number): Buffer {
  const numbers = [
    1,
    symbolCount,
    symbolCount - 1,
    ...Array.from({ length: symbolCount }, (_, index) => Math.max(0, index - 1)),
  ];
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}

function returns(machine: number): Buffer {
  return machine === 183 ? Buffer.from([0xc0, 0x03, 0x5f, 0xd6]) : Buffer.from([0xc3, 0x90, 0x90, 0x90]);
}

function pairs(entries: readonly [number, number][]): Buffer {
  const bytes = Buffer.alloc(entries.length * 16);
  entries.forEach(([tag, value], index) => {
    bytes.writeBigUInt64LE(BigInt(tag), index * 16);
    bytes.writeBigUInt64LE(BigInt(value), index * 16 + 8);
  });
  return bytes;
}

function programHeader(
  type: number,
  header: { flags: number; offset: number; address: number; size: number; memory: number; align: number },
): Buffer {
  const { flags, offset, address, size, memory, align } = header;
  const bytes = Buffer.alloc(56);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(flags, 4);
  [offset, address, address, size, size + memory, align].forEach((value, index) =>
    bytes.writeBigUInt64LE(BigInt(value), 8 + index * 8),
  );
  return bytes;
}

function sectionHeader(name: number, piece: Piece & { offset: number; address: number; size: number }): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(name, 0);
  bytes.writeUInt32LE(piece.type, 4);
  [piece.flags, piece.address, piece.offset, piece.size].forEach((value, index) =>
    bytes.writeBigUInt64LE(BigInt(value), 8 + index * 8),
  );
  bytes.writeUInt32LE(piece.link ?? 0, 40);
  bytes.writeUInt32LE(piece.info ?? 0, 44);
  bytes.writeBigUInt64LE(BigInt(piece.align ?? 1), 48);
  bytes.writeBigUInt64LE(BigInt(piece.entrySize ?? 0), 56);
  return bytes;
}

function elfHeader(counts: {
  type: number;
  machine: number;
  programCount: number;
  sectionsAt: number;
  sectionCount: number;
}): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(counts.type, 16);
  bytes.writeUInt16LE(counts.machine, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeBigUInt64LE(BigInt(counts.sectionsAt), 40);
  [64, 56, counts.programCount, 64, counts.sectionCount, counts.sectionCount - 1].forEach((value, index) =>
    bytes.writeUInt16LE(value, 52 + index * 2),
  );
  return bytes;
}
