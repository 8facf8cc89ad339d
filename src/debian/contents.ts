import * as fs from "node:fs";
import { createGunzip } from "node:zlib";
import { byCodeUnit } from "../order.ts";

/** Format of the soname index; part of every cache key that depends on it. */
export const sonameFormat = 1;

/**
 * Reads a gzipped Contents index (Debian repository format) as a stream and keeps the shared libraries: sorted lines of
 * file name, path and `section/package` list, parted by tabs, in Latin-1.
 */
export async function indexLibraries(file: string): Promise<Uint8Array> {
  const stream = fs.createReadStream(file, { highWaterMark: 1 << 20 }).pipe(createGunzip({ chunkSize: 1 << 20 }));
  const lines: string[] = [];
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const block = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const end = block.lastIndexOf(10) + 1;
    collect(block.subarray(0, end), lines);
    // A line without an end within 1 MiB is no Contents line.
    rest = block.length - end > 1 << 20 ? Buffer.alloc(0) : Buffer.from(block.subarray(end));
  }
  collect(rest, lines);
  return Buffer.from(`\n${lines.toSorted().join("\n")}\n`, "latin1");
}

function collect(block: Buffer, lines: string[]): void {
  for (let at = block.indexOf(".so"); at >= 0;) {
    const start = block.lastIndexOf(10, at) + 1;
    const found = block.indexOf(10, at);
    const end = found < 0 ? block.length : found;
    const match = /^(.*?\/([^/]+\.so(?:\.[^/]*?)?))\s+(\S+)$/.exec(block.toString("latin1", start, end));
    if (match?.[1]?.includes("lib")) lines.push(`${match[2]}\t${match[1]}\t${match[3]}`);
    at = block.indexOf(".so", end);
  }
}

/** Paths that hold a file of that name, with their packages. @param index as `indexLibraries` makes it */
export function findLibrary(index: Uint8Array, soname: string): { path: string; packages: string[] }[] {
  const buffer = Buffer.from(index.buffer, index.byteOffset, index.length);
  const found: { path: string; packages: string[] }[] = [];
  const key = `\n${soname}\t`;
  for (let at = buffer.indexOf(key, 0, "latin1"); at >= 0;) {
    const end = buffer.indexOf(10, at + 1);
    const [, path = "", packages = ""] = buffer.toString("latin1", at + 1, end).split("\t");
    found.push({ path, packages: packages.split(",").map((name) => name.slice(name.lastIndexOf("/") + 1)) });
    at = buffer.indexOf(key, end, "latin1");
  }
  return found;
}

/**
 * Orders the packages that have a library, best first: in the loader's own folders before others, the one that is named after
 * the library before others, and never one for development, debugging or cross-compiling.
 */
export function rankOwners(owners: { path: string; packages: string[] }[], soname: string, triplet: string): string[] {
  const ranks = new Map<string, number>();
  for (const { path, packages } of owners) {
    for (const name of packages) {
      if (/(-dev|-dbg|-dbgsym|-cross)$/.test(name) || path.includes("-cross/") || path.startsWith("usr/lib/debug/"))
        continue;
      const rank = folderRank(path, triplet) * 100 + nameRank(name, soname);
      ranks.set(name, Math.min(rank, ranks.get(name) ?? Number.POSITIVE_INFINITY));
    }
  }
  return [...ranks]
    .toSorted(([a, i], [b, j]) => i - j || a.length - b.length || byCodeUnit(a, b))
    .map(([name]) => name);
}

function folderRank(path: string, triplet: string): number {
  const folder = path
    .slice(0, path.lastIndexOf("/"))
    .replace(/^lib\//, "usr/lib/")
    .replace(/^lib$/, "usr/lib");
  if (folder === `usr/lib/${triplet}`) return 0;
  if (folder === "usr/lib") return 1;
  // Where alternatives keep the libraries they choose from: usr/lib/x86_64-linux-gnu/blas.
  return folder.startsWith(`usr/lib/${triplet}/`) ? 2 : 3;
}

/** Debian names a library's package after its soname: libpq.so.5 → libpq5, libGL.so.1 → libgl1, libfoo-2.0.so.0 → libfoo-2.0-0. */
function nameRank(name: string, soname: string): number {
  const [stem = "", version = ""] = soname.toLowerCase().replaceAll("_", "-").split(".so");
  const number = version.replace(/^\./, "");
  const bare = name.replace(/t64$/, "");
  const expected = /\d$/.test(stem) ? `${stem}-${number}` : `${stem}${number}`;
  if (bare === expected || bare === `${stem}-${number}`) return 0;
  return bare.startsWith(stem) ? 1 : 2;
}
