import type { StreamedCode } from "../../cuda/streamed-code.ts";
import type { ElfFacts } from "../../elf/facts.ts";
import type { TreeNode } from "../../filesystem/root-tree.ts";

/** What was read of a file's content while its layer streamed by. */
export interface ContentFacts {
  /** SHA-256 in RECORD's form: base64url without padding. */
  sha256?: string;
  /** Content of files that say something of the image, as latin1. */
  text?: string;
  /** The first bytes of scripts and .pyc files. */
  head?: Uint8Array;
  elf?: ElfFacts;
  /** Why it is no ELF file that can be loaded, though it begins like one. */
  brokenElf?: string;
  /** Of a library that has code for GPUs. */
  deviceCode?: StreamedCode;
  /** Why its content looks like a secret. */
  secret?: string;
  /** What importlib's source_hash gives for a Python source, as 16 hexadecimal digits. */
  sourceHash?: string;
}

/** One path of an image. */
export interface FileFact extends TreeNode, ContentFacts {
  /** From the root, without a leading slash. */
  path: string;
  /** Of `other`. */
  device?: "character" | "block" | "fifo";
  /** Seconds since 1970. */
  mtime: number;
  /** Path that a hard link shares its content with. */
  linkTo?: string;
  /** Index of the layer, base first. */
  layer: number;
  /** `security.capability` is set. */
  capabilities?: true;
}

/** A file that a layer ships and that the image does not show. */
export interface LostFile {
  path: string;
  size: number;
  layer: number;
  how: "deleted" | "replaced";
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
