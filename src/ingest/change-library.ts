import { createHash } from "node:crypto";

import type { ByteSource } from "../archive/byte-source.ts";
import { stubLibrary } from "../cuda/stub/stub-library.ts";
import { trimLibrary, type TrimResult } from "../cuda/trim.ts";
import { type Piece, piecesSource, readPieces, sizeOfPieces } from "../elf/pieces.ts";
import { strippedPieces } from "../elf/strip.ts";
import type { PreparedFile } from "../wheel/install.ts";
import type { DeviceLibrary } from "./device.ts";

/** A library that is installed otherwise than its wheel has it. */
export interface ChangedLibrary {
  content: PreparedFile["content"];
  sha256: string;
  /** Whether the original has to stay open until the content is written. */
  isRead: boolean;
}

/** What becomes of a library's device code: what is installed, when it is less, and what is said of it. */
export interface TrimmedLibrary {
  changed: ChangedLibrary | undefined;
  facts: Pick<DeviceLibrary, "after" | "outcome" | "note" | "unserved">;
}

/**
 * Takes the device code out of a library that no target uses, and before that, where it is to be stripped, its symbol table
 * and debug sections: what is trimmed is checked against what it was made of, so the last step is the one that checks.
 *
 * @returns undefined for a library without device code
 * @throws SheafError SHEAF_ELF when it is broken
 */
export async function trim(
  source: ByteSource,
  { targets, isStripped }: { targets: readonly number[]; isStripped: boolean },
): Promise<TrimmedLibrary | undefined> {
  const pieces = isStripped ? strippedPieces(source) : undefined;
  const stripped = pieces ? piecesSource(source, pieces) : source;
  const result = await trimLibrary(stripped, { targets });
  if (!result) return undefined;
  const { parts, after, leftWhole } = result;
  const note = leftWhole.length > 0 ? { note: leftWhole.join("; ") } : {};
  if (!parts) return { changed: undefined, facts: { after: source.size, outcome: "whole", ...note } };
  const missing = unservedBy(result, targets);
  const unserved = missing.length > 0 ? { unserved: missing } : {};
  return { changed: fromPieces(stripped, parts), facts: { after, outcome: "trimmed", ...note, ...unserved } };
}

/** Targets that not one fat binary has code for. */
function unservedBy({ sections }: TrimResult, targets: readonly number[]): number[] {
  const all = sections.reduce((sum, { binaries }) => sum + binaries, 0);
  return targets.filter((target) => {
    const counts = sections.flatMap(({ unserved }) => unserved.filter((each) => each.target === target));
    return counts.reduce((sum, { binaries }) => sum + binaries, 0) === all;
  });
}

/** The library without its symbol table and debug sections, when that wins one part in twenty; with the bytes won. */
export function strip(source: ByteSource): { changed: ChangedLibrary; won: number } | undefined {
  const pieces = strippedPieces(source);
  if (!pieces) return undefined;
  const won = source.size - sizeOfPieces(pieces);
  return won * 20 < source.size ? undefined : { changed: fromPieces(source, pieces), won };
}

/**
 * A stub in the place of a library.
 *
 * @returns undefined for libraries whose statuses are not known
 * @throws SheafError SHEAF_ELF when the library is broken
 */
export async function stub(source: ByteSource, setting: string): Promise<ChangedLibrary | undefined> {
  const written = await stubLibrary(source, { setting });
  return written && inMemory(written.bytes);
}

function inMemory(bytes: Uint8Array): ChangedLibrary {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { content: { kind: "bytes", bytes, sha256 }, sha256, isRead: false };
}

function fromPieces(source: ByteSource, pieces: readonly Piece[]): ChangedLibrary {
  const size = sizeOfPieces(pieces);
  if (size <= smallLibrary) return inMemory(Buffer.concat([...readPieces(source, pieces)], size));
  const hash = createHash("sha256");
  for (const chunk of readPieces(source, pieces)) hash.update(chunk);
  const sha256 = hash.digest("hex");
  return { content: { kind: "large", size, sha256, chunks: () => readPieces(source, pieces) }, sha256, isRead: true };
}

const smallLibrary = 8 * 2 ** 20;
