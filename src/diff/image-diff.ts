/** What of two images is compared. */
export const sections = ["distributions", "debian", "config", "files", "layers"] as const;
export type Section = (typeof sections)[number];

/** How two images, `a` and `b`, differ. What is equal is counted, not listed. Sections that nobody asked for are left out. */
export interface ImageDiff {
  a: SideSummary;
  b: SideSummary;
  /** Nothing differs in the sections that were compared. Times of files and the history play no part in it. */
  equal: boolean;
  compared: Section[];
  distributions?: VersionDiff;
  debian?: VersionDiff;
  config?: ConfigChange[];
  files?: FileDiff;
  layers?: LayerDiff;
}

export interface SideSummary {
  title: string;
  from: string;
  /** Of the manifest. */
  digest: string;
  /** `linux/amd64` */
  platform: string;
  layers: number;
  /** Bytes of the layers as the manifest has them; the same as `unpacked` for images of an engine. */
  compressed: number;
  /** Bytes of the layers' archives; undefined when they were not read. */
  unpacked?: number;
  /** Files, folders and links that the image shows; undefined when layers were not read. */
  paths?: number;
}

export interface VersionDiff {
  same: number;
  changes: VersionChange[];
}

/** Versions are undefined where a side lacks it; several, with `, ` between them, when it is there in several places. */
export interface VersionChange {
  name: string;
  a?: string;
  b?: string;
}

/** Env, labels, ports and volumes are compared one by one: `env PATH`, `label org.opencontainers.image.title`. */
export interface ConfigChange {
  field: string;
  a?: string;
  b?: string;
}

export interface FileDiff {
  same: number;
  /** Of those that are the same, how many have another time. */
  otherTimes: number;
  /** By path. */
  changes: FileChange[];
}

export type FileAspect = "type" | "content" | "mode" | "owner" | "target";

export interface FileChange {
  path: string;
  /** `added`: only in b. */
  how: "added" | "removed" | "changed";
  /** What differs, of those that both have. */
  aspects: FileAspect[];
  /** Who brought it, in b where b has it: `botocore 1.40.57`; undefined for what no package brought. */
  owner?: string;
  a?: FileState;
  b?: FileState;
}

export interface FileState {
  type: "file" | "directory" | "symlink" | "other";
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes. */
  size: number;
  /** `sha256:…` of files. */
  sha256?: string;
  /** Of symbolic links. */
  target?: string;
}

export interface LayerDiff {
  /** The same archives, in both. */
  shared: LayerRef[];
  onlyA: LayerRef[];
  onlyB: LayerRef[];
  /** The shared ones lie over each other in the same order. */
  sameOrder: boolean;
}

export interface LayerRef {
  diffId: string;
  /** Bytes, as the first side that has it has them. */
  compressed: number;
  unpacked?: number;
  createdBy: string;
}
