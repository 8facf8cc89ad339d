/** Where the bytes of a file are. `deflated` is a raw deflate stream (RFC 1951) that can enter a gzip layer as it is. */
export type Content =
  | { kind: "bytes"; bytes: Uint8Array; sha256?: string }
  | { kind: "deflated"; readonly deflated: Uint8Array; crc32: number; size: number; sha256?: string }
  | { kind: "disk"; file: string; size: number }
  | LargeContent;

/** Content that is never held as a whole. Its hash, lower-case hex, is known beforehand. */
export interface LargeContent {
  kind: "large";
  size: number;
  sha256: string;
  /** What `chunks` gives is a raw deflate stream of the content, which has this CRC-32. */
  deflateStream?: { crc32: number };
  /** The bytes from the start, as often as it is called. */
  chunks: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

interface EntryBase {
  /** POSIX path from the root of the image without a leading slash, no `.` or `..` segments: `usr/lib/libz.so.1`. */
  path: string;
  /** Permission bits only, such as 0o644. */
  mode: number;
  uid: number;
  gid: number;
}

export interface FileEntry extends EntryBase {
  type: "file";
  content: Content;
  /** Extended attributes by full name (`security.capability`), binary. */
  xattrs?: Record<string, Uint8Array>;
}

export interface DirectoryEntry extends EntryBase {
  type: "directory";
}

export interface SymlinkEntry extends EntryBase {
  type: "symlink";
  target: string;
}

export interface HardlinkEntry extends EntryBase {
  type: "hardlink";
  /** Path of the file that it links to, in the same layer and before it. */
  target: string;
}

/** One entry of a root file system. Times are fixed by the layer writer, owners travel in the headers. */
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry | HardlinkEntry;

/** What is known of an entry without its bytes: goes into records, plans and `sheaf inspect`. */
export interface EntryFacts {
  path: string;
  type: Entry["type"];
  mode: number;
  /** Bytes; 0 for anything but files. */
  size: number;
  /** Lower-case hex, files only. */
  sha256?: string;
  target?: string;
}

export function contentSize(content: Content): number {
  return content.kind === "bytes" ? content.bytes.length : content.size;
}
