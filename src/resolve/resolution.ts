import type { Platform } from "../platform.ts";

/** The environment that markers and tags are evaluated for: the image's, never this machine's. */
export interface Target {
  platform: Platform;
  /** Full version of the interpreter in the image: `3.12.1`. */
  python: string;
  /** glibc of the base, major and minor. */
  glibc: [number, number];
}

/** One distribution, pinned to one file. */
export interface Distribution {
  /** Normalised (PEP 503). */
  name: string;
  version: string;
  kind: "wheel" | "sdist";
  filename: string;
  /** Lower-case hex. */
  sha256: string;
  /** Bytes, when the lock or the index tells. */
  size?: number;
  /** Where it can be fetched from on this machine, or a file: URL. Never written into a committed file. */
  url: string;
  /** Where it is pinned: `requirements/api.txt:12`. */
  source: string;
  /** Names of the distributions or project parts that ask for it; empty when the lock does not tell. */
  requiredBy: string[];
}

/** A project of the same repository (workspace member, path dependency) that ships as files. */
export interface LocalPackage {
  name: string;
  version?: string;
  /** Folder from the project's root. */
  directory: string;
}

/** Exact distributions for one target and one set of extras and groups. Sorted by name. */
export interface Resolution {
  target: Target;
  /** What the pins came from: `uv.lock`, `requirements/api.txt`, `resolved by uv 0.9.8`. */
  source: string;
  /** True when the same input always gives the same result: a lock with hashes. */
  locked: boolean;
  distributions: Distribution[];
  localPackages: LocalPackage[];
  warnings: string[];
  /** torch's CPU build, where the image has no GPU and an index has that build. */
  cpuBuilds?: CpuBuilds;
}

/** torch and what is built against it. `taken` instead of the pinned build, or `offered` where a lock has hashes of the other. */
export type CpuBuilds =
  | { kind: "taken"; builds: CpuBuild[]; leftOut: string[] }
  | { kind: "offered"; builds: CpuBuild[] };

export interface CpuBuild {
  name: string;
  /** `2.3.1+cpu`. */
  version: string;
  /** Without credentials. */
  index: string;
}
