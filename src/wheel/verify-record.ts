import { SheafError } from "../errors.ts";
import { readOptional } from "./archive.ts";
import type { WheelArchive } from "./archive.ts";
import { algorithmOf, parseRecord, recordHash } from "./record.ts";
import type { RecordAlgorithm, RecordRow } from "./record.ts";

/** Compares a wheel's files with its RECORD, one at a time, so that each is inflated once. */
export class RecordCheck {
  readonly #rows: Map<string, RecordRow>;
  readonly #archive: WheelArchive;

  /** @throws SheafError SHEAF_WHEEL_RECORD when RECORD is missing, unreadable or contradicts itself */
  constructor(archive: WheelArchive) {
    this.#archive = archive;
    const bytes = readOptional(archive, "RECORD");
    if (!bytes) throw broken(`the wheel has no ${archive.distInfo}/RECORD`, archive.distInfo);
    this.#rows = new Map();
    for (const row of parseRecord(new TextDecoder().decode(bytes))) {
      const known = this.#rows.get(row.path);
      if (known && (known.hash !== row.hash || known.size !== row.size)) {
        throw broken(`RECORD has two different rows for ${row.path}`, row.path);
      }
      this.#rows.set(row.path, row);
    }
  }

  /**
   * @returns the file's SHA-256 in RECORD's form
   * @throws SheafError SHEAF_WHEEL_RECORD when hash or size differ
   */
  check(path: string, bytes: Uint8Array): string {
    const algorithms = this.algorithmsOf(path);
    const hashes = algorithms.map((algorithm) => recordHash(bytes, algorithm));
    this.compare(path, { size: bytes.length, hashes });
    return hashes[0] ?? "";
  }

  /**
   * What a file is to be hashed with: SHA-256, and what its row has where that is another.
   *
   * @throws SheafError SHEAF_WHEEL_RECORD
   */
  algorithmsOf(path: string): RecordAlgorithm[] {
    const row = this.#rows.get(path);
    const algorithm = row && algorithmOf(row);
    return algorithm === undefined || algorithm === "sha256" ? ["sha256"] : ["sha256", algorithm];
  }

  /**
   * @param found the file's hashes by `algorithmsOf`, in RECORD's form
   * @throws SheafError SHEAF_WHEEL_RECORD when hash or size differ
   */
  compare(path: string, found: { size: number; hashes: readonly string[] }): void {
    const row = this.#rows.get(path);
    if (!row) return;
    if (row.size !== undefined && row.size !== found.size) {
      throw broken(`${path} has ${found.size} bytes, RECORD says ${row.size}`, path);
    }
    if (row.hash === undefined || digestOf(found.hashes.at(-1) ?? "") === digestOf(row.hash)) return;
    throw broken(`${path} does not have the hash that RECORD says`, path);
  }

  /** What pip accepts without a word: files without a row or a hash, rows without a file. */
  notes(): string[] {
    const unsigned = new Set(["RECORD", "RECORD.jws", "RECORD.p7s"].map((name) => `${this.#archive.distInfo}/${name}`));
    const unknown = this.#archive.files.filter(({ path }) => !unsigned.has(path) && !this.#rows.get(path)?.hash);
    const absent = [...this.#rows.keys()].filter((path) => !this.#archive.byPath.has(path) && !unsigned.has(path));
    return [
      ...unknown.map(({ path }) => `${path} has no hash in RECORD; installed all the same, as pip does`),
      ...absent.map((path) => `RECORD lists ${path}, which the wheel does not have`),
    ];
  }
}

/** The digest in one spelling: some tools write padding or the ordinary base64 alphabet. */
function digestOf(hash: string): string {
  const digest = hash.slice(hash.indexOf("=") + 1);
  return digest.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
}

function broken(message: string, path: string): SheafError {
  return new SheafError("SHEAF_WHEEL_RECORD", message, {
    details: [["path", path]],
    hint: "the wheel is damaged or was changed after it was built: fetch it again, or pin another release",
  });
}
