/** A library as ld.so would have it in memory at address 0, with its relocations applied. */
export class MemoryImage {
  readonly #segments: { address: number; bytes: Buffer }[] = [];

  constructor(file: Uint8Array) {
    const bytes = Buffer.from(file);
    const table = Number(bytes.readBigUInt64LE(32));
    const count = bytes.readUInt16LE(56);
    let dynamic = 0;
    for (let at = table; at < table + count * 56; at += 56) {
      const [offset, address, , size, memory, align] = [8, 16, 24, 32, 40, 48].map((field) =>
        Number(bytes.readBigUInt64LE(at + field)),
      ) as [number, number, number, number, number, number];
      const type = bytes.readUInt32LE(at);
      if (type === 2) dynamic = address;
      if (type !== 1) continue;
      if (offset + size > bytes.length) throw new Error("a segment ends after the file");
      if ((address - offset) % align !== 0) throw new Error("a segment is not aligned");
      const last = this.#segments.at(-1);
      if (last && address < last.address + last.bytes.length) throw new Error("segments overlap");
      // As much as no test makes; a loader would refuse it, or not find the memory.
      if (memory > 2 ** 24) throw new Error("a segment is absurdly large");
      const content = Buffer.alloc(memory);
      bytes.copy(content, 0, offset, offset + size);
      this.#segments.push({ address, bytes: content });
    }
    if (dynamic === 0) throw new Error("there is no dynamic section");
    this.#relocate(dynamic);
  }

  has(address: number): boolean {
    return this.#segments.some((each) => address >= each.address && address < each.address + each.bytes.length);
  }

  read(address: number, size: number): Buffer {
    const segment = this.#segments.find(
      (each) => address >= each.address && address + size <= each.address + each.bytes.length,
    );
    if (!segment) throw new Error(`nothing is loaded at ${address.toString(16)}, ${size} bytes`);
    return segment.bytes.subarray(address - segment.address, address - segment.address + size);
  }

  u64(address: number): number {
    return Number(this.read(address, 8).readBigUInt64LE());
  }

  #relocate(dynamic: number): void {
    const entries = new Map<number, number>();
    for (let at = dynamic; this.u64(at) !== 0; at += 16) entries.set(this.u64(at), this.u64(at + 8));
    const rela = entries.get(7) ?? 0;
    for (let at = rela; at < rela + (entries.get(8) ?? 0); at += 24) {
      this.read(this.u64(at), 8).writeBigUInt64LE(BigInt(this.u64(at + 16)));
    }
    // RELR adds the load address, which is 0 here; the slots must be there.
    const relr = entries.get(36) ?? 0;
    let next = 0;
    for (let at = relr; at < relr + (entries.get(35) ?? 0); at += 8) {
      const word = this.read(at, 8).readBigUInt64LE();
      if ((word & 1n) === 0n) {
        this.read(Number(word), 8);
        next = Number(word) + 8;
        continue;
      }
      for (let bit = 1; bit < 64; bit++) if ((word >> BigInt(bit)) & 1n) this.read(next + (bit - 1) * 8, 8);
      next += 63 * 8;
    }
  }
}

/** Code that a driver finds in the fat binary at an address, for a GPU; written for tests, after the programming guide. */
export function driverLoads(memory: MemoryImage, address: number, gpu: number): string {
  const header = memory.read(address, 16);
  if (header.readUInt32LE(0) !== 0xba55ed50) return "no fat binary";
  const end = address + 16 + Number(header.readBigUInt64LE(8));
  const found: { rank: number; text: string }[] = [];
  for (let at = address + 16; at < end;) {
    const entry = memory.read(at, 64);
    const headerSize = entry.readUInt32LE(4);
    const size = Number(entry.readBigUInt64LE(8));
    const sm = entry.readUInt32LE(28);
    const flags = entry.readUInt32LE(40);
    const isOnly = (flags & 0x100000) !== 0;
    const isFamily = (flags & 0x200000) !== 0;
    const payload = memory.read(at + headerSize, size).toString("latin1");
    const sameMajor = Math.floor(sm / 10) === Math.floor(gpu / 10);
    const runs = isOnly ? sm === gpu : isFamily || entry.readUInt16LE(0) === 2 ? sameMajor && sm <= gpu : sm <= gpu;
    const rank = (entry.readUInt16LE(0) === 2 ? 10_000 : 0) + sm * 10 + (isOnly ? 2 : isFamily ? 1 : 0);
    // What is compressed together has a list of its own, which this reader leaves to other tests.
    if (runs && entry.readUInt16LE(0) < 3) found.push({ rank, text: `${entry.readUInt16LE(0)} ${sm} ${payload}` });
    if (headerSize + size === 0) throw new Error("an entry has no end");
    at += headerSize + size;
  }
  return found.sort((a, b) => b.rank - a.rank)[0]?.text ?? "nothing";
}
