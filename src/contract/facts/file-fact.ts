import type { ElfFacts } from "../../elf/facts.ts";

/** One path of an image, with what was read of its content while the layer streamed by. */
export interface FileFact {
  /** From the root, without a leading slash. */
  path: string;
  type: "file" | "directory" | "symlink" | "character" | "block" | "fifo";
  mode: number;
  uid: number;
  gid: number;
  /** Bytes; 0 for anything but files. */
  size: number;
  /** Seconds since 1970. */
  mtime: number;
  /** Of symbolic links. */
  target?: string;
  /** Path that a hard link shares its content with. */
  linkTo?: string;
  /** Index of the layer, base first. */
  layer: number;
  /** SHA-256 of the content in RECORD's form, base64url without padding; of files only. */
  sha256?: string;
  /** `security.capability` is set. */
  capabilities?: true;
  /** Content of files that say something of the image, as latin1. */
  text?: string;
  /** The first bytes of scripts and .pyc files. */
  head?: Uint8Array;
  elf?: ElfFacts;
  /** Why its content looks like a secret. */
  secret?: string;
  /** What importlib's source_hash gives for a Python source, as 16 hexadecimal digits. */
  sourceHash?: string;
}

/** A file that a layer ships and that the image does not show. */
export interface LostFile {
  path: string;
  size: number;
  layer: number;
  how: "deleted" | "replaced";
  /** The layer that hides it. */
  by: number;
  /** The content that replaced it is the same: only owner, mode or time changed. */
  same: boolean;
}

export interface LayerFacts {
  /** Index, base first. */
  index: number;
  digest: string;
  /** Bytes as they are counted, not as the manifest says. */
  compressed: number;
  unpacked: number;
  /** The instruction that made it, by the history. */
  createdBy: string;
  entries: number;
}
