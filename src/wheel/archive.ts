import { type ByteSource, memorySource } from "../archive/byte-source.ts";
import { inflateEntry, isSafeRelativePath, readZip } from "../archive/zip.ts";
import type { ZipEntry } from "../archive/zip-directory.ts";
import { SheafError } from "../errors.ts";
import { normalizeName } from "./filename.ts";

/** A wheel's files by path, its directories left out. */
export interface WheelArchive {
  files: ZipEntry[];
  byPath: Map<string, ZipEntry>;
  /** `fastapi-0.110.0.dist-info`, as the wheel spells it. */
  distInfo: string;
}

/**
 * Opens a wheel: only files at safe relative paths, and exactly one dist-info, of the project that the file name tells.
 *
 * @throws SheafError SHEAF_WHEEL or SHEAF_ZIP, naming the entry
 */
export function openWheel(wheel: Uint8Array | ByteSource, name: string): WheelArchive {
  const source = wheel instanceof Uint8Array ? memorySource(wheel) : wheel;
  const entries = readZip(source, { totalSize: Math.max(smallest, source.size * largestRatio) });
  const unsafe = entries.find((entry) => entry.type !== "directory" && !isSafeRelativePath(entry.path));
  if (unsafe) throw refused(unsafe.path, "is not a plain path below the wheel's root");
  const symlink = entries.find((entry) => entry.type === "symlink");
  if (symlink) throw refused(symlink.path, "is a symbolic link, which wheels can't have");
  const files = entries.filter((entry) => entry.type === "file");
  const byPath = new Map(files.map((entry) => [entry.path, entry]));
  return { files, byPath, distInfo: findDistInfo(files, name) };
}

/** @throws SheafError SHEAF_WHEEL when it is missing or too big to be what it should be */
export function readRequired(archive: WheelArchive, fileName: string): Uint8Array {
  const bytes = readOptional(archive, fileName);
  if (bytes) return bytes;
  throw new SheafError("SHEAF_WHEEL", `the wheel has no ${archive.distInfo}/${fileName}`, {
    hint: "the wheel is broken: rebuild it, or pin another release",
  });
}

export function readOptional(archive: WheelArchive, fileName: string): Uint8Array | undefined {
  const entry = archive.byPath.get(`${archive.distInfo}/${fileName}`);
  if (!entry) return undefined;
  if (entry.size > largestText) throw refused(entry.path, `has ${entry.size} bytes, more than any such file needs`);
  return inflateEntry(entry);
}

/** pip's rule: one folder named *.dist-info whose normalised name begins with the project's. */
function findDistInfo(files: ZipEntry[], name: string): string {
  const folders = new Set<string>();
  for (const { path } of files) {
    const folder = path.slice(0, Math.max(0, path.indexOf("/")));
    if (folder.endsWith(".dist-info")) folders.add(folder);
  }
  const [folder, ...others] = folders;
  if (folder === undefined) throw new SheafError("SHEAF_WHEEL", "the wheel has no .dist-info folder");
  if (others.length > 0) {
    throw new SheafError("SHEAF_WHEEL", "the wheel has more than one .dist-info folder", {
      details: [["folders", [folder, ...others].toSorted().join(", ")]],
    });
  }
  if (normalizeName(folder).startsWith(name)) return folder;
  throw new SheafError("SHEAF_WHEEL", `the wheel's ${folder} belongs to another project than its file name tells`);
}

function refused(path: string, reason: string): SheafError {
  return new SheafError("SHEAF_WHEEL", `${JSON.stringify(path)} in the wheel ${reason}`, {
    details: [["path", path]],
    hint: "the wheel is broken or hostile: pin another release",
  });
}

/** Bytes that any wheel may unpack to, and how many times its own size: the most that real ones do is about ten. */
const smallest = 2 ** 30;
const largestRatio = 50;
const largestText = 64 * 1024 * 1024;
