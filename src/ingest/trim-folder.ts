import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { readDeviceCode } from "../cuda/device-code.ts";
import { isNvidiaLibrary } from "../cuda/libraries.ts";
import { streamParts } from "../cuda/random-access.ts";
import { stubLibrary } from "../cuda/stub/stub-library.ts";
import { trimLibrary } from "../cuda/trim.ts";
import type { TrimResult } from "../cuda/trim.ts";
import type { SelectOptions } from "../cuda/select.ts";
import { SheafError } from "../errors.ts";
import { writeAtomically } from "../host/atomic-file.ts";
import { elfFiles } from "../host/elf-files.ts";
import { withFile } from "../host/random-access-file.ts";
import { byPath } from "../order.ts";
import { distributionsAmong, leftOutFinder, removeEmptyFolders } from "./leave-out.ts";
import { formatRecord, parseRecord } from "../wheel/record.ts";

export interface TrimFolderOptions extends SelectOptions {
  /** NVIDIA's own libraries too. */
  pruneNvidia: boolean;
  /** Names of parts of CUDA that are left out: files go, or have a stub in their place. */
  leaveOut?: readonly string[];
  signal?: AbortSignal;
}

export interface TrimmedFolder {
  /** Libraries with device code, by path. */
  libraries: TrimmedLibrary[];
  /** Bytes of the whole folder. */
  before: number;
  after: number;
}

export interface TrimmedLibrary extends Omit<TrimResult, "parts"> {
  /** Relative to the folder. */
  path: string;
  outcome: "trimmed" | "whole" | "nvidia" | "broken" | "dropped" | "stubbed";
  /** The part of CUDA that it belongs to, where that is left out. */
  part?: string;
}

/**
 * Copies a folder, an installed environment as a rule, and trims the device code of its libraries on the way. Links,
 * modes and times stay; RECORD of the distributions gets the new sizes and hashes.
 *
 * @param to a folder that does not exist, or an empty one
 * @throws SheafError SHEAF_OUTPUT
 */
export async function trimFolder(from: string, to: string, options: TrimFolderOptions): Promise<TrimmedFolder> {
  checkPlaces(from, to);
  const isLibrary = new Set(elfFiles(from));
  const files = [...copyTree(from, to)];
  const { leaveOut = [] } = options;
  const installed = leaveOut.length > 0 ? distributionsAmong(files.map(({ source }) => source)) : [];
  const leftOut = leftOutFinder(installed, leaveOut);
  const dropped = new Set<string>();
  const libraries: TrimmedLibrary[] = [];
  const hashes: Hashes = new Map();
  let before = 0;
  let after = 0;
  for (const { source, target, stat } of files) {
    options.signal?.throwIfAborted();
    const relative = path.relative(from, source);
    before += stat.size;
    const gone = leftOut(source);
    if (gone?.how === "drop") {
      dropped.add(path.resolve(target));
      const whole = { path: relative, before: stat.size, after: 0, sections: [], leftWhole: [] };
      libraries.push({ ...whole, outcome: "dropped", part: gone.part });
      continue;
    }
    const library = isLibrary.has(source)
      ? ((gone && (await stubFile({ source, target, relative }, { part: gone.part, hashes }))) ??
        (await trimFile({ source, target, relative }, { options, hashes })))
      : undefined;
    if (library?.outcome !== "trimmed" && library?.outcome !== "stubbed")
      fs.copyFileSync(source, target, fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(target, stat.mode & 0o7777);
    fs.utimesSync(target, stat.atime, stat.mtime);
    if (library) libraries.push(library);
    after += library?.after ?? stat.size;
  }
  for (const { target } of files) if (path.basename(target) === "RECORD") rewriteRecord(target, { hashes, dropped });
  removeEmptyFolders([...dropped], path.resolve(to));
  return { libraries: libraries.sort(byPath), before, after };
}

function checkPlaces(from: string, to: string): void {
  const isInside = (inner: string, outer: string) => !path.relative(outer, inner).startsWith("..");
  if (isInside(to, from) || isInside(from, to)) {
    throw new SheafError("SHEAF_OUTPUT", `${to} and ${from} are inside one another`, {
      hint: "write to a folder beside it: -o ../trimmed",
    });
  }
  if (fs.existsSync(to) && (!fs.statSync(to).isDirectory() || fs.readdirSync(to).length > 0)) {
    throw new SheafError("SHEAF_OUTPUT", `${to} is there already`, { hint: "name a folder that does not exist" });
  }
}

interface CopiedFile {
  source: string;
  target: string;
  stat: fs.Stats;
}

/** Makes the folders and links, and returns the files. Sockets and devices are left out. */
function* copyTree(from: string, to: string): Generator<CopiedFile> {
  fs.mkdirSync(to, { recursive: true });
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) yield* copyTree(source, target);
    else if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target);
    else if (entry.isFile()) yield { source, target, stat: fs.statSync(source) };
  }
  fs.chmodSync(to, fs.statSync(from).mode & 0o7777);
}

type Hashes = Map<string, { hash: string; size: number }>;

/** Writes a stub in the place of a library; undefined for one that no stub is known for. */
async function stubFile(
  { source: from, target, relative }: { source: string; target: string; relative: string },
  { part, hashes }: { part: string; hashes: Hashes },
): Promise<TrimmedLibrary | undefined> {
  return withFile(from, async (source) => {
    try {
      const stub = await stubLibrary(source, { setting: `sheaf gpu trim --keep ${part}` });
      if (!stub) return undefined;
      const { bytes } = stub;
      fs.writeFileSync(target, bytes);
      const hash = `sha256=${createHash("sha256").update(bytes).digest("base64url")}`;
      hashes.set(path.resolve(target), { hash, size: bytes.length });
      const sizes = { before: source.size, after: bytes.length, sections: [], leftWhole: [] };
      return { path: relative, ...sizes, outcome: "stubbed", part };
    } catch (error) {
      if (!(error instanceof SheafError)) throw error;
      return undefined;
    }
  });
}

async function trimFile(
  file: { source: string; target: string; relative: string },
  { options, hashes }: { options: TrimFolderOptions; hashes: Hashes },
): Promise<TrimmedLibrary | undefined> {
  const { target, relative } = file;
  return withFile(file.source, async (source) => {
    const unchanged = { path: relative, before: source.size, after: source.size, sections: [], leftWhole: [] };
    try {
      if (!options.pruneNvidia && isNvidiaLibrary(relative)) {
        return (await readDeviceCode(source)) && { ...unchanged, outcome: "nvidia" as const };
      }
      const result = await trimLibrary(source, options);
      if (!result) return undefined;
      const { parts, ...rest } = result;
      if (!parts) return { path: relative, ...rest, outcome: "whole" as const };
      const hash = createHash("sha256");
      await writeAtomically(target, hashing(streamParts(source, parts), hash));
      hashes.set(path.resolve(target), { hash: `sha256=${hash.digest("base64url")}`, size: rest.after });
      return { path: relative, ...rest, outcome: "trimmed" as const };
    } catch (error) {
      if (!(error instanceof SheafError)) throw error;
      return { ...unchanged, leftWhole: [error.message], outcome: "broken" as const };
    }
  });
}

async function* hashing(chunks: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** The rows of files that have changed or are gone; one that can't be read stays as it is. */
function rewriteRecord(file: string, { hashes, dropped }: { hashes: Hashes; dropped: ReadonlySet<string> }): void {
  const root = path.dirname(path.dirname(file));
  const text = fs.readFileSync(file, "utf8");
  let changed = false;
  try {
    const all = parseRecord(text);
    const kept = all.filter((row) => !dropped.has(path.resolve(root, row.path)));
    changed = kept.length < all.length;
    const rows = kept.map((row) => {
      const found = hashes.get(path.resolve(root, row.path));
      changed ||= found !== undefined;
      return found ? { ...row, ...found } : row;
    });
    if (changed) fs.writeFileSync(file, formatRecord(rows));
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
  }
}
