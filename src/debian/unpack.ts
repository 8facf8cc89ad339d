import type { TarEntry } from "../archive/tar-read.ts";
import { SheafError } from "../errors.ts";
import type { DirectoryEntry, Entry, HardlinkEntry, SymlinkEntry } from "../filesystem/entry.ts";
import { byPath } from "../order.ts";

/** A file of a package before its hard links are settled. */
export interface UnpackedFile {
  type: "file";
  path: string;
  mode: number;
  uid: number;
  gid: number;
  data: Uint8Array;
  xattrs?: Record<string, Uint8Array>;
}

export type UnpackedEntry = UnpackedFile | DirectoryEntry | SymlinkEntry | HardlinkEntry;

/**
 * Reads one entry of data.tar: its path from the root, under a merged /usr. The root itself, and the links at the root that a
 * merged /usr consists of, are left out: every image gets them once.
 *
 * @throws SheafError SHEAF_DEB_FORMAT for paths that leave the root, and for devices
 */
export function unpackEntry(entry: TarEntry, name: string): UnpackedEntry[] {
  const path = mergedPath(cleanPath(entry.path, name));
  if (path === "") return [];
  const { type, mode, uid, gid } = entry;
  const base = { path, mode: mode & 0o7777, uid, gid };
  if (type === "directory") return [{ ...base, type }];
  if (type === "symlink") {
    const target = entry.target ?? "";
    return mergedFolders.has(cleanPath(entry.path, name)) ? [] : [{ ...base, mode: 0o777, type, target }];
  }
  if (type === "hardlink") return [{ ...base, type, target: mergedPath(cleanPath(entry.target ?? "", name)) }];
  if (type !== "file") throw unsafe(name, entry.path, `is a ${type}, which no package of Debian ships`);
  return [{ ...base, type, data: entry.data, ...(entry.xattrs ? { xattrs: entry.xattrs } : {}) }];
}

/** Folders at the root that are links into /usr (file-hierarchy(7), Debian's merged /usr). */
export const mergedFolders: ReadonlySet<string> = new Set(["bin", "sbin", "lib", "lib32", "lib64", "libx32"]);

/** `lib/x86_64-linux-gnu/libc.so.6` → `usr/lib/x86_64-linux-gnu/libc.so.6` */
export function mergedPath(path: string): string {
  const slash = path.indexOf("/");
  return mergedFolders.has(slash < 0 ? path : path.slice(0, slash)) ? `usr/${path}` : path;
}

/**
 * Makes hard links ready for a layer: the first path of a group in sorted order is the file, the others link to it. A link
 * whose file was left out becomes that file.
 */
export function linkHardlinks(all: UnpackedEntry[], kept: UnpackedEntry[]): Entry[] {
  const files = new Map(all.flatMap((entry) => (entry.type === "file" ? [[entry.path, entry] as const] : [])));
  const firstPath = new Map<string, string>();
  const entries: Entry[] = [];
  for (const entry of sortByPath(kept)) {
    if (entry.type === "directory" || entry.type === "symlink") {
      entries.push(entry);
      continue;
    }
    const origin = entry.type === "file" ? entry.path : entry.target;
    const file = files.get(origin);
    if (!file) throw unsafe("the package", entry.path, `is a hard link to ${origin}, which the package does not have`);
    const { mode, uid, gid, xattrs } = file;
    const base = { path: entry.path, mode, uid, gid };
    const first = firstPath.get(origin);
    if (first !== undefined) {
      entries.push({ ...base, type: "hardlink", target: first });
      continue;
    }
    firstPath.set(origin, entry.path);
    entries.push({
      ...base,
      type: "file",
      content: { kind: "bytes", bytes: file.data },
      ...(xattrs ? { xattrs } : {}),
    });
  }
  return entries;
}

/** Sorted; of two entries with one path the later one, as unpacking in order leaves it. */
function sortByPath(entries: UnpackedEntry[]): UnpackedEntry[] {
  const last = new Map(entries.map((entry) => [entry.path, entry]));
  return [...last.values()].toSorted(byPath);
}

function cleanPath(path: string, name: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || parts.includes("..") || path.includes("\0")) throw unsafe(name, path, "leaves the root");
  return parts.join("/");
}

function unsafe(name: string, path: string, reason: string): SheafError {
  return new SheafError("SHEAF_DEB_FORMAT", `${JSON.stringify(path)} of ${name} ${reason}`, {
    hint: "the package is broken or hostile: check where it comes from",
  });
}
