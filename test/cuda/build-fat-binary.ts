/** What a fat binary for a test holds: the entries that a compiler would write, with payloads of nothing but a pattern. */
export interface ImageSpec {
  kind?: "cubin" | "ptx" | number;
  sm: number;
  variant?: "" | "a" | "f";
  storage?: "raw" | "lz4" | "zstd";
  /** Bytes of the payload, decompressed. */
  size?: number;
  identifier?: string;
  /** Bits beside those that follow from the rest. */
  flags?: number;
  /** Replaces what would be written, for broken ones. */
  headerSize?: number;
  payload?: Uint8Array;
}

export function buildFatBinary(images: readonly (ImageSpec | ImageSpec[])[]): Buffer {
  const entries = Buffer.concat(images.map((each) => (Array.isArray(each) ? concatenated(each) : entry(each))));
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(entries.length), 8);
  return Buffer.concat([header, entries]);
}

/** The payload of an image, decompressed: an ELF file for CUDA's machine, or PTX. */
export function payloadOf({ kind = "cubin", sm, variant = "", size = 400 }: ImageSpec): Buffer {
  if (kind === "ptx") return Buffer.alloc(size, `// sm_${sm}${variant} .target\n`);
  const bytes = Buffer.alloc(Math.max(64, size), `code for sm_${sm}${variant} `);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0x33, 7, 0, 0, 0, 0, 0, 0, 0]).copy(bytes);
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(190, 18);
  bytes.writeUInt32LE((sm << 16) | 0x500 | sm, 48);
  return bytes;
}

function entry(spec: ImageSpec): Buffer {
  const { storage = "raw" } = spec;
  const unpacked = payloadOf(spec);
  const stored = spec.payload ?? store(unpacked, storage);
  const name = spec.identifier ? Buffer.from(spec.identifier) : Buffer.alloc(0);
  const headerSize = spec.headerSize ?? 64 + Math.ceil(name.length / 8) * 8;
  const size = Math.ceil(stored.length / 8) * 8;
  const header = Buffer.alloc(Math.max(64, headerSize));
  writeHeader(header, spec);
  header.writeUInt32LE(headerSize, 4);
  header.writeBigUInt64LE(BigInt(size), 8);
  header.writeUInt32LE(storage === "raw" ? 0 : stored.length, 16);
  if (name.length > 0) {
    header.writeUInt32LE(64, 32);
    header.writeUInt32LE(name.length, 36);
    name.copy(header, 64);
  }
  header.writeBigUInt64LE(storage === "raw" ? 0n : BigInt(unpacked.length), 56);
  return Buffer.concat([header, stored, Buffer.alloc(size - stored.length)]);
}

/** Kind, version, architecture and flags, as each header has them. */
function writeHeader(header: Buffer, spec: ImageSpec): void {
  const { kind = "cubin", sm, variant = "", storage = "raw", flags = 0 } = spec;
  header.writeUInt16LE(typeof kind === "number" ? kind : kind === "ptx" ? 1 : 2, 0);
  header.writeUInt16LE(0x101, 2);
  header.writeUInt16LE(7, 24);
  header.writeUInt16LE(1, 26);
  header.writeUInt32LE(sm, 28);
  const stored = { raw: 0, lz4: 0x2000, zstd: 0x8000 }[storage];
  const special = { "": 0, a: 0x100000, f: 0x200000 }[variant];
  header.writeBigUInt64LE(BigInt(0x11 | stored | special | flags), 40);
}

/** Several images in one entry, as `fatbinary --concat` writes them. */
function concatenated(images: readonly ImageSpec[]): Buffer {
  const [{ storage = "lz4" } = {}] = images;
  const payloads = images.map(payloadOf);
  const unpacked = Buffer.concat(payloads);
  const stored = store(unpacked, storage);
  let offset = 0;
  const list = images.map((image, index) => {
    const header = Buffer.alloc(64);
    writeHeader(header, { ...image, storage: "raw" });
    header.writeUInt32LE(offset, 4);
    header.writeBigUInt64LE(BigInt(payloads[index]?.length ?? 0), 8);
    offset += payloads[index]?.length ?? 0;
    if (image.variant !== "f") return header;
    const options = Buffer.alloc(56);
    options.writeUInt32LE(72, 0);
    options.writeUInt32LE(44, 4);
    header.writeUInt32LE(64, 20);
    return Buffer.concat([header, options]);
  });
  const head = Buffer.alloc(72);
  const body = Buffer.concat(list);
  const size = Math.ceil(stored.length / 8) * 8;
  writeHeader(head, { sm: 0, kind: 256, storage });
  head.writeUInt32LE(72 + body.length, 4);
  head.writeBigUInt64LE(BigInt(size), 8);
  head.writeUInt32LE(stored.length, 16);
  head.writeUInt32LE(64, 20);
  head.writeBigUInt64LE(BigInt(unpacked.length), 56);
  head.writeUInt32LE(images.length, 64);
  head.writeUInt32LE(body.length + 8, 68);
  return Buffer.concat([head, body, stored, Buffer.alloc(size - stored.length)]);
}

function store(bytes: Buffer, storage: "raw" | "lz4" | "zstd"): Buffer {
  if (storage === "raw") return bytes;
  return storage === "lz4" ? lz4Literals(bytes) : zstdRaw(bytes);
}

/** A block of one sequence of literals: valid LZ4 that compresses nothing. */
function lz4Literals(bytes: Buffer): Buffer {
  if (bytes.length < 15) return Buffer.concat([Buffer.of(bytes.length << 4), bytes]);
  const rest = bytes.length - 15;
  const length = Buffer.alloc(Math.floor(rest / 255) + 1, 255);
  length[length.length - 1] = rest % 255;
  return Buffer.concat([Buffer.of(0xf0), length, bytes]);
}

/** A frame of one raw block (RFC 8878): single segment, a content size of four bytes. */
function zstdRaw(bytes: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(0xfd2fb528, 0);
  header.writeUInt8(0xa0, 4);
  header.writeUInt32LE(bytes.length, 5);
  header.writeUIntLE((bytes.length << 3) | 1, 9, 3);
  return Buffer.concat([header, bytes]);
}
