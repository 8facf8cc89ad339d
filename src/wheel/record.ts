import { createHash } from "node:crypto";
import { SheafError } from "../errors.ts";
import { byPath } from "../order.ts";

/** One row of RECORD. Hash and size are absent for RECORD itself and for files that the installer cannot vouch for. */
export interface RecordRow {
  /** Relative to the folder that holds the dist-info, `/` between segments; `../../bin/x` outside of it. */
  path: string;
  /** `sha256=` and the urlsafe base64 digest without padding. */
  hash?: string;
  /** Bytes. */
  size?: number;
}

/**
 * Reads RECORD (recording installed packages): CSV with `,`, `"` and any line ending.
 *
 * @throws SheafError SHEAF_WHEEL_RECORD
 */
export function parseRecord(text: string): RecordRow[] {
  const rows: RecordRow[] = [];
  for (const fields of parseCsv(text.replace(/^\uFEFF/, ""))) {
    const [path = "", hash = "", size = ""] = fields;
    if (path === "" && fields.length === 1) continue;
    if (path === "") throw invalid("a row has no path", fields.join(","));
    if (hash !== "" && !/^[a-z0-9_]+=[\w+/-]+={0,2}$/i.test(hash)) throw invalid("a row has a malformed hash", path);
    if (size !== "" && !/^\d{1,15}$/.test(size)) throw invalid("a row has a malformed size", path);
    rows.push({ path, ...(hash && { hash }), ...(size && { size: Number(size) }) });
  }
  return rows;
}

/** RECORD's text: rows in the order of their paths' code units, one `\n` after each. */
export function formatRecord(rows: RecordRow[]): string {
  return rows
    .toSorted(byPath)
    .map((row) => `${quote(row.path)},${quote(row.hash ?? "")},${row.size ?? ""}\n`)
    .join("");
}

/** A file's hash in RECORD's form: `sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU`. */
export function recordHash(bytes: Uint8Array, algorithm: RecordAlgorithm = "sha256"): string {
  const hash = createHash(algorithm);
  for (let at = 0; at < bytes.length; at += largestUpdate) hash.update(bytes.subarray(at, at + largestUpdate));
  return `${algorithm}=${hash.digest("base64url")}`;
}

/** OpenSSL takes less than 2 GiB at a time. */
const largestUpdate = 2 ** 30;

export type RecordAlgorithm = "sha256" | "sha384" | "sha512";

/**
 * The algorithm of a row's hash.
 *
 * @throws SheafError SHEAF_WHEEL_RECORD for MD5, SHA-1 (forbidden by the specification) and unknown ones
 */
export function algorithmOf(row: RecordRow): RecordAlgorithm | undefined {
  if (row.hash === undefined) return undefined;
  const name = row.hash.slice(0, row.hash.indexOf("=")).toLowerCase();
  if (name === "sha256" || name === "sha384" || name === "sha512") return name;
  throw invalid(`${row.path} is recorded with the hash ${name}, which proves nothing`, row.path);
}

function parseCsv(text: string): string[][] {
  // Quotes are rare; without them a row is what lies between commas.
  if (!text.includes('"')) return text.split(/[\r\n]+/).map((line) => line.split(","));
  const rows: string[][] = [];
  let fields: string[] = [];
  let field = "";
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[index + 1] === '"') field += text[index++];
      else quoted = false;
    } else if (char === '"' && field === "") quoted = true;
    else if (char === ",") {
      fields.push(field);
      field = "";
    } else if (char === "\n" || char === "\r") {
      rows.push([...fields, field]);
      fields = [];
      field = "";
    } else field += char;
  }
  if (quoted) throw invalid("a quoted field has no end", field.slice(0, 80));
  if (field !== "" || fields.length > 0) rows.push([...fields, field]);
  return rows;
}

function quote(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

function invalid(reason: string, where: string): SheafError {
  return new SheafError("SHEAF_WHEEL_RECORD", `RECORD is invalid: ${reason}`, {
    details: [["at", where]],
    hint: "the wheel is broken: rebuild it, or pin another release",
  });
}
