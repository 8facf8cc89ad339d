import { crc32, deflateRawSync } from "node:zlib";

import { text } from "./oracle.ts";

/** One entry as it shall be written; everything that can lie may be overridden, in both headers or in one. */
export interface ZipSpec {
  path: string;
  content?: Uint8Array;
  stored?: boolean;
  /** Unix mode with the file type. */
  mode?: number;
  flags?: number;
  rawName?: Uint8Array;
  payload?: Uint8Array;
  central?: Overrides;
  local?: Overrides;
  /** Writes sizes behind the payload, with flag bit 3. */
  descriptor?: boolean;
  zip64?: boolean;
  /** Uses the local header and payload of an earlier entry. */
  sharesWith?: number;
}

interface Overrides {
  name?: string;
  method?: number;
  crc32?: number;
  size?: number;
  compressedSize?: number;
  offset?: number;
  flags?: number;
}

interface ArchiveSpec {
  comment?: string;
  /** Writes the zip64 end records although they aren't needed. */
  zip64?: boolean;
  prefix?: Uint8Array;
}

/** A zip archive with whatever defects a test asks for. */
export function buildZip(entries: ZipSpec[], archive: ArchiveSpec = {}): Uint8Array {
  const parts: Uint8Array[] = archive.prefix ? [archive.prefix] : [];
  const central: Uint8Array[] = [];
  const offsets: number[] = [];
  const sizeSoFar = () => parts.reduce((sum, part) => sum + part.length, 0);
  for (const spec of entries) {
    const content = spec.content ?? new Uint8Array();
    const payload = spec.payload ?? (spec.stored ? content : deflateRawSync(content));
    const facts = {
      method: spec.stored ? 0 : 8,
      crc32: crc32(content),
      size: content.length,
      compressedSize: payload.length,
      flags: (spec.flags ?? 0) | (spec.descriptor ? 8 : 0),
    };
    const offset = spec.sharesWith === undefined ? sizeSoFar() : (offsets[spec.sharesWith] ?? 0);
    offsets.push(offset);
    if (spec.sharesWith === undefined) {
      const hidden = spec.descriptor ? { crc32: 0, size: 0, compressedSize: 0 } : {};
      parts.push(header("local", spec, { ...facts, ...hidden, ...spec.local }), payload);
      if (spec.descriptor) parts.push(words(0x08074b50, facts.crc32, facts.compressedSize, facts.size));
    }
    central.push(header("central", spec, { ...facts, offset, ...spec.central }));
  }
  const directoryOffset = sizeSoFar();
  const directory = Buffer.concat(central);
  parts.push(directory);
  parts.push(...endRecords({ count: entries.length, offset: directoryOffset, size: directory.length }, archive));
  return Buffer.concat(parts);
}

function header(
  kind: "local" | "central",
  spec: ZipSpec,
  facts: Required<Omit<Overrides, "name" | "offset">> & Overrides,
): Uint8Array {
  const name = facts.name === undefined ? (spec.rawName ?? text(spec.path)) : text(facts.name);
  const isCentral = kind === "central";
  const extra = spec.zip64
    ? zip64Extra(isCentral ? [facts.size, facts.compressedSize, facts.offset ?? 0] : [facts.size, facts.compressedSize])
    : new Uint8Array();
  const bytes = Buffer.alloc(isCentral ? 46 : 30);
  bytes.writeUInt32LE(isCentral ? 0x02014b50 : 0x04034b50, 0);
  if (isCentral) bytes.writeUInt16LE((3 << 8) | 45, 4);
  const at = isCentral ? 6 : 4;
  bytes.writeUInt16LE(45, at);
  bytes.writeUInt16LE(facts.flags, at + 2);
  bytes.writeUInt16LE(facts.method, at + 4);
  bytes.writeUInt32LE(facts.crc32, at + 10);
  bytes.writeUInt32LE(spec.zip64 ? 0xffffffff : facts.compressedSize, at + 14);
  bytes.writeUInt32LE(spec.zip64 ? 0xffffffff : facts.size, at + 18);
  bytes.writeUInt16LE(name.length, at + 22);
  bytes.writeUInt16LE(extra.length, at + 24);
  if (isCentral) {
    bytes.writeUInt32LE(((spec.mode ?? 0) << 16) >>> 0, 38);
    bytes.writeUInt32LE(spec.zip64 ? 0xffffffff : (facts.offset ?? 0), 42);
  }
  return Buffer.concat([bytes, name, extra]);
}

function zip64Extra(values: number[]): Uint8Array {
  const bytes = Buffer.alloc(4 + 8 * values.length);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(8 * values.length, 2);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 4 + 8 * index);
  return bytes;
}

function endRecords(
  { count, offset, size }: { count: number; offset: number; size: number },
  archive: ArchiveSpec,
): Uint8Array[] {
  const comment = text(archive.comment ?? "");
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(archive.zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(archive.zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(archive.zip64 ? 0xffffffff : size, 12);
  end.writeUInt32LE(archive.zip64 ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  if (!archive.zip64) return [end, comment];
  const wide = Buffer.alloc(56);
  wide.writeUInt32LE(0x06064b50, 0);
  wide.writeBigUInt64LE(44n, 4);
  for (const [at, value] of [
    [24, count],
    [32, count],
    [40, size],
    [48, offset],
  ] as const)
    wide.writeBigUInt64LE(BigInt(value), at);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return [wide, locator, end, comment];
}

function words(...values: number[]): Uint8Array {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, index * 4);
  return bytes;
}
