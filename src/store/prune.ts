import * as fs from "node:fs";
import * as path from "node:path";

import type { Digest, Store } from "./store.ts";

export interface StoreUsage {
  blobs: number;
  records: number;
  bytes: number;
}

export function storeUsage(store: Store): StoreUsage {
  const blobs = filesBelow(path.join(store.root, "blobs"));
  const all = filesBelow(store.root);
  return {
    blobs: blobs.length,
    records: filesBelow(path.join(store.root, "records")).length,
    bytes: all.reduce((sum, file) => sum + (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0),
  };
}

/** Files that another process may still be writing are younger than this, in ms. */
const underWay = 60 * 60 * 1000;

/**
 * Removes every blob that is not in `keep`, unpacked root file systems, and what crashed processes left behind. Records
 * stay unless told: those that point at a removed blob count as missing.
 */
export function pruneStore(
  store: Store,
  keep: ReadonlySet<Digest>,
  options: { records: boolean; now?: number },
): { blobs: number; bytes: number } {
  const now = options.now ?? Date.now();
  let blobs = 0;
  let bytes = 0;
  for (const file of filesBelow(path.join(store.root, "blobs", "sha256"))) {
    if (keep.has(`sha256:${path.basename(file)}`)) continue;
    bytes += fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    blobs += 1;
    fs.rmSync(file, { force: true });
  }
  for (const name of fs.readdirSync(path.join(store.root, "tmp"))) {
    const entry = path.join(store.root, "tmp", name);
    const stat = fs.statSync(entry, { throwIfNoEntry: false });
    if (stat && now - stat.mtimeMs > underWay) fs.rmSync(entry, { recursive: true, force: true });
  }
  const folders = ["rootfs", "layers", "tools", "code", ...(options.records ? ["records", "python"] : [])];
  for (const folder of folders) fs.rmSync(path.join(store.root, folder), { recursive: true, force: true });
  return { blobs, bytes };
}

function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
