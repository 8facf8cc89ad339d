import type { PythonLayout } from "../filesystem/layout.ts";
import type { DeviceLibrary } from "../ingest/device.ts";
import type { Platform } from "../platform.ts";
import type { Sourced } from "../project/project.ts";

/** Raised with every change that gives the same fields another meaning. */
export const planVersion = 1;

export type Role = "api" | "worker" | "beat" | "flower" | "other";

/** How an image says that it is well: Docker's HEALTHCHECK, durations in seconds. */
export interface HealthPlan {
  /** Exec form. */
  test: string[];
  /** The URL that it asks, when it asks one. */
  url?: string;
  interval: number;
  timeout: number;
  startPeriod: number;
  retries: number;
}

/** A Debian package, pinned to one file. */
export interface PlannedPackage {
  name: string;
  version: string;
  architecture: string;
  sha256: string;
  /** Bytes of the .deb, and unpacked as Debian tells it. */
  size: number;
  installedSize: number;
  /** Why it is there: `base`, `libpq.so.5, needed by psycopg2/_psycopg…so`, `Dockerfile:12`. */
  reason: string;
}

/** A distribution, pinned to one wheel; `built` when it was made from an sdist on this machine. */
export interface PlannedDistribution {
  name: string;
  version: string;
  filename: string;
  sha256: string;
  source: string;
  built?: boolean;
}

export interface PlannedFile {
  /** Path from the project's root; absent for files that Sheaf writes itself. */
  from?: string;
  /** What is in a file that Sheaf writes itself. */
  text?: string;
  /** Path in the image, without a leading slash. */
  path: string;
  mode: number;
  size: number;
  sha256: string;
  symlink?: string;
}

/**
 * Everything that decides one image, as plain JSON: the same plan gives the same image, bit for bit. The OCI writer and the
 * Dockerfile emitter read only this.
 */
export interface ImagePlan {
  planVersion: typeof planVersion;
  name: string;
  role: Role;
  platform: Platform;
  /** Name and version of the project. */
  project: { name: string; version?: string };
  /** Absent in an image of Debian packages alone. */
  python?: {
    version: string;
    kind: "uv" | "host" | "debian" | "base";
    layout: PythonLayout;
    /** Fingerprint of the interpreter's files. */
    identity: string;
    reason: string;
    /** What the repository asks for, and where: `>=3.12`, pyproject.toml. */
    wanted?: Sourced<string>;
  };
  base:
    | { kind: "debian"; codename: string; version: string; signedAt: string; shell: boolean; source: string }
    | { kind: "image"; reference: string; digest: string; source: string };
  packages: PlannedPackage[];
  resolution: { source: string; locked: boolean };
  /** How another builder installs the same distributions; only where that was asked for (`PlanOptions.installation`). */
  install?: InstallPlan;
  distributions: PlannedDistribution[];
  files: PlannedFile[];
  withheld: { path: string; reason: string; rule: string }[];
  /** What the image wants of a GPU, when it wants one. */
  gpu?: Sourced<GpuPlan>;
  /** What was done for that. */
  device?: DevicePlan;
  user: Sourced<{ name: string; uid: number; gid: number }>;
  /** Folders that belong to the user. */
  writable: string[];
  config: {
    workdir: Sourced<string>;
    env: Record<string, Sourced<string>>;
    entrypoint: Sourced<string[]>;
    command: Sourced<string[]>;
    ports: Sourced<number>[];
    health?: Sourced<HealthPlan>;
    labels: Record<string, Sourced<string>>;
    stopSignal: Sourced<string>;
  };
  options: { strip: boolean; bytecode: Bytecode; layerBudget: number; created: number };
  budget?: Sourced<number>;
  notes: PlanNote[];
}

/** `[tool.sheaf.images.NAME] gpu`, with what follows from the wheels. */
export interface GpuPlan {
  /** Release of the CUDA runtime that the wheels bring, else as configured: `12.1`. */
  cuda?: string;
  /** The oldest driver that runs it. */
  minDriver?: string;
  /** GPUs as the configuration names them, and their compute capabilities, `7.5`, ascending; absent: all device code stays. */
  targets?: string[];
  capabilities?: string[];
  profile?: "full" | "training" | "inference";
  /** Names of parts of CUDA. */
  keep?: string[];
  drop?: string[];
  /** NVIDIA's own libraries lose device code too. */
  pruneNvidia?: boolean;
}

/** What became of device code and of CUDA's libraries. Sizes in bytes, unpacked. */
export interface DevicePlan {
  /** Of all libraries that were looked at. */
  before: number;
  after: number;
  /** Parts of CUDA that are left out, sorted by name. */
  leftOut: LeftOutPart[];
  /** Parts that the profile would leave out, and why they stay. */
  kept: { name: string; source: string }[];
  /** Sorted by path; those of a part that is left out have its name. */
  libraries: (DeviceLibrary & { part?: string })[];
}

export interface LeftOutPart {
  name: string;
  /** `profile inference`. */
  source: string;
  /** What does not work without it. */
  does: string;
  /** Files that are gone or have a stub in their place, and what they had. */
  dropped: number;
  stubbed: number;
  bytes: number;
}

/** What an installer of the project's own world is given: pip or uv. All paths are from the project's root. */
export interface InstallPlan {
  /**
   * `requirements` have a hash for every file and are installed by pip, `uv.lock` by uv. From everything else come
   * requirements with hashes that are `written` beside.
   */
  kind: "requirements" | "uv.lock" | "written";
  /** The files that the installer is told, in their order. */
  files: string[];
  /** All files that it reads: those and what they include. */
  reads: string[];
  extras: string[];
  groups: string[];
  /** Text of the only file, when it is `written`. */
  text?: string;
  /** What the configuration leaves out of images, in .gitignore's syntax. */
  excluded: string[];
  /** Names of the indexes that pyproject.toml lists: who installs may have to log in there. */
  indexes: string[];
  /** Whether the configuration wants modules compiled. */
  bytecode: boolean;
}

/** How an image runs, without what it is made of: enough to write compose files and manifests from. */
export interface ImageSketch extends Pick<
  ImagePlan,
  "name" | "role" | "project" | "gpu" | "user" | "writable" | "config" | "budget"
> {
  /** Whether it holds the project's code, or Debian packages alone. */
  kind: "python" | "debian";
  /** Whether it has `sh`. */
  shell: boolean;
  /** Debian packages that were asked for. */
  packages: string[];
  /** Names of its distributions. */
  distributions: string[];
  /** Paths of the project's files in it, without a leading slash. */
  files: string[];
}

/** Whether modules are shipped compiled too, and if not, why. */
export type Bytecode = { compiled: true; by: string } | { compiled: false; reason: string };

/** Something that a person should know, with what to do about it when there is something to do. */
export interface PlanNote {
  level: "note" | "warning";
  message: string;
  hint?: string;
}
