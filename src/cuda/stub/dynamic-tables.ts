import { viewOf } from "../little-endian.ts";
import type { SymbolVersion } from "./interface.ts";

/** Strings one after another, each once; the first is the empty one. */
export class StringTable {
  readonly #offsets = new Map<string, number>([["", 0]]);
  readonly #parts: Buffer[] = [Buffer.of(0)];
  #size = 1;

  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#size;
    const part = Buffer.from(`${text}\0`, "latin1");
    this.#offsets.set(text, offset);
    this.#parts.push(part);
    this.#size += part.length;
    return offset;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** The hash table of the System V ABI (DT_HASH) for the symbols from index 1 on. */
export function symbolHash(names: readonly string[]): Uint8Array {
  const bucketCount = Math.max(1, Math.floor(names.length / 2));
  const count = names.length + 1;
  const table = new Uint32Array(2 + bucketCount + count);
  table[0] = bucketCount;
  table[1] = count;
  names.forEach((name, position) => {
    const bucket = 2 + (hashOf(name) % bucketCount);
    table[2 + bucketCount + position + 1] = table[bucket] ?? 0;
    table[bucket] = position + 1;
  });
  const bytes = new Uint8Array(table.length * 4);
  const view = viewOf(bytes);
  table.forEach((value, index) => view.setUint32(index * 4, value, true));
  return bytes;
}

/** The records of .gnu.version_d, with their hashes; undefined for libraries without versions. */
export function versionDefinitions(versions: readonly SymbolVersion[], names: StringTable): Uint8Array | undefined {
  if (versions.length === 0) return undefined;
  return Buffer.concat(
    versions.map(({ name, flags, parents }, position) => {
      const all = [name, ...parents];
      const record = new Uint8Array(20 + 8 * all.length);
      const view = viewOf(record);
      [1, flags, position + 1, all.length].forEach((value, index) => view.setUint16(index * 2, value, true));
      view.setUint32(8, hashOf(name), true);
      view.setUint32(12, 20, true);
      view.setUint32(16, position === versions.length - 1 ? 0 : record.length, true);
      all.forEach((each, index) => {
        view.setUint32(20 + 8 * index, names.add(each), true);
        view.setUint32(24 + 8 * index, index === all.length - 1 ? 0 : 8, true);
      });
      return record;
    }),
  );
}

/** The hash function of the System V ABI, chapter 5. */
function hashOf(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name, "latin1")) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf0000000;
    if (high !== 0) hash ^= high >>> 24;
    hash = (hash & ~high) >>> 0;
  }
  return hash;
}
