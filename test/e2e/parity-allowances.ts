import type { ConfigChange, FileChange, FileState, ImageDiff, VersionChange } from "../../src/diff/image-diff.ts";

/** What the image from the Dockerfile has of its base image: nobody chose these. */
export interface BaseOfDockerfile {
  files: ReadonlyMap<string, FileState>;
  /** Field → value, as in `ConfigChange`. */
  config: ReadonlyMap<string, string>;
  /** Package → version. */
  debian: ReadonlyMap<string, string>;
}

/** A difference between the composed image (a) and the one from the Dockerfile (b) that is meant. */
export interface Allowance<Change> {
  reason: string;
  covers(change: Change, base: BaseOfDockerfile): boolean;
}

export const allowedConfig: Allowance<ConfigChange>[] = [
  {
    reason: "the base image sets it",
    covers: ({ field, a, b }, base) => a === undefined && b === base.config.get(field),
  },
  {
    reason: "the Dockerfile installs into an environment of its own, which stands before the base's PATH",
    covers: ({ field, b }) => field === "env PATH" && b?.startsWith("/opt/venv/bin:/usr/local/bin:") === true,
  },
  {
    reason: "they stand on different bases",
    covers: ({ field }) => field === "label org.opencontainers.image.base.name",
  },
  {
    reason:
      "the composed base has busybox's wget, which starts in 1 ms; python:slim has nothing smaller than Python to ask with",
    covers: ({ field, a, b }) =>
      field === "health command" && /"wget",.*\/health"\]$/.test(a ?? "") && /"python3",.*\/health'/.test(b ?? ""),
  },
];

export const allowedPackages: Allowance<VersionChange>[] = [
  {
    reason: "the base image has it, and in that version",
    covers: ({ name, b }, base) => b !== undefined && b === base.debian.get(name),
  },
  {
    reason: "the composed base's shell and tools, which coreutils, dash and others are in python:slim",
    covers: ({ name, b }) => name === "busybox" && b === undefined,
  },
  {
    reason: "MIME types for the mimetypes module; python:slim goes without",
    covers: ({ name, b }) => name === "media-types" && b === undefined,
  },
];

const inApp = /^app(?:\/|$)/;
const isBytecode = (path: string): boolean => /(?:\.pyc|\/__pycache__)$/.test(path);
const sitePackages = /^usr\/local\/lib\/python3\.\d+\/site-packages\//;

/** Paths of the Dockerfile's environment stand for the composed image's own: see `relocated`. */
export const allowedFiles: Allowance<FileChange>[] = [
  {
    reason:
      "bytecode: Sheaf compiles what a start reaches, in a form that depends on the source alone; the Dockerfile compiles all",
    covers: ({ path, aspects }) => isBytecode(path) && aspects.every((aspect) => aspect === "content"),
  },
  {
    reason: "the project's own metadata lie beside its sources there, and in site-packages here",
    covers: ({ path, how }) =>
      (how === "added" && /^app\/demeterai-0\.1\.0\.dist-info(?:\/METADATA)?$/.test(path)) ||
      (how === "removed" &&
        sitePackages.test(path) &&
        /\/demeterai-0\.1\.0\.dist-info(?:\/(?:METADATA|RECORD|INSTALLER))?$/.test(path)),
  },
  {
    reason: "debug sections and symbol tables are stripped when Sheaf composes, so the library is smaller",
    covers: ({ path, aspects, a, b }) =>
      sitePackages.test(path) &&
      /\.so(?:\.[\d.]+)?$/.test(path) &&
      aspects.join() === "content" &&
      a !== undefined &&
      b !== undefined &&
      a.size < b.size,
  },
  {
    reason: "says who installed it: sheaf or pip",
    covers: ({ path, aspects }) =>
      sitePackages.test(path) && path.endsWith(".dist-info/INSTALLER") && aspects.join() === "content",
  },
  {
    reason: "lists bytecode, stripped libraries and INSTALLER, which differ",
    covers: ({ path, aspects }) =>
      sitePackages.test(path) && path.endsWith(".dist-info/RECORD") && aspects.join() === "content",
  },
  {
    reason: "pip marks what it was asked for by name, and the lock names everything",
    covers: ({ path, how }) => how === "added" && sitePackages.test(path) && path.endsWith(".dist-info/REQUESTED"),
  },
  {
    reason: "console scripts name their interpreter in the first line",
    covers: ({ path, aspects }) => /^usr\/local\/bin\/[^/]+$/.test(path) && aspects.join() === "content",
  },
  {
    reason: "headers go to include/ of the environment, and pip puts `site` between",
    covers: ({ path }) => /^(?:usr\/local\/include\/python3\.\d+\/greenlet|opt\/venv\/include)(?:\/|$)/.test(path),
  },
  {
    reason: "the environment that the Dockerfile installs into",
    covers: ({ path, how }) =>
      (how === "added" && /^opt\/venv(?:\/(?:lib|lib64|lib\/python3\.\d+|pyvenv\.cfg))?$/.test(path)) ||
      (how === "added" && /^usr\/local\/bin\/(?:[aA]ctivate(?:\.\w+)?)$/.test(path)) ||
      /^usr\/local\/bin\/python3?(?:\.\d+)?$/.test(path),
  },
  {
    reason: "the base image has it, as it is",
    covers: ({ path, b }, base) => !inApp.test(path) && b !== undefined && sameState(b, base.files.get(path)),
  },
  {
    reason: "the Dockerfile takes other users' rights from the base's programs, and changes nothing else of them",
    covers: ({ path, b }, base) => {
      const below = base.files.get(path);
      if (!b || !below || (below.mode & 0o6000) === 0 || b.mode !== (below.mode & ~0o6000)) return false;
      return sameState({ ...b, mode: below.mode }, below);
    },
  },
  {
    reason:
      "a Debian package of the composed base, which the base image has not, has in another version, or strips of documents",
    covers: ({ path, how, owner }) =>
      how === "removed" && owner !== undefined && !path.startsWith("usr/local/") && !inApp.test(path),
  },
  {
    reason: "busybox's commands, each a link to it",
    covers: ({ how, path, a }) =>
      how === "removed" && /^usr\/s?bin\/[^/]+$/.test(path) && a?.target?.endsWith("busybox") === true,
  },
  {
    reason: "folders of documents and of dpkg: python:slim leaves documents out, and has dpkg's own database",
    covers: ({ path, how }) =>
      how !== "changed" && /^(?:usr\/share\/(?:doc|initramfs-tools)|var\/lib\/dpkg)(?:\/|$)/.test(path),
  },
  {
    reason: "the certificates' place that python-build-standalone and OpenSSL of other systems look into",
    covers: ({ path, how }) => how === "removed" && path === "etc/ssl/cert.pem",
  },
  {
    reason:
      "accounts: groupadd and useradd keep copies and a gshadow; root's shell is bash; the last change has a date",
    covers: ({ path }) => /^etc\/(?:passwd|shadow|group|gshadow)-?$/.test(path) && !/^etc\/group$/.test(path),
  },
  {
    reason: "useradd -m copies /etc/skel",
    covers: ({ path, how }) => how === "added" && /^home\/appuser\/\.(?:bash_logout|bashrc|profile)$/.test(path),
  },
  {
    reason: "what apt leaves of the installation of tini",
    covers: ({ path, how }) => how === "added" && /^var\/(?:log\/(?:apt\/|dpkg\.log$)|lib\/apt\/)/.test(path),
  },
];

/** The base's own pip, which nothing of the Dockerfile's environment sees. */
export function isOfBase({ name, a, b }: VersionChange): boolean {
  return name === "pip" && a === undefined && b !== undefined;
}

/** What no allowance covers, in words. */
export function unexplained(diff: ImageDiff, base: BaseOfDockerfile): string[] {
  return [
    ...(diff.distributions?.changes ?? [])
      .filter((change) => !isOfBase(change))
      .map(({ name, a, b }) => `distribution ${name}: ${a} and ${b}`),
    ...left(diff.debian?.changes ?? [], allowedPackages, base).map(
      ({ name, a, b }) => `package ${name}: ${a} and ${b}`,
    ),
    ...left(diff.config ?? [], allowedConfig, base).map(({ field, a, b }) => `config ${field}: ${a} and ${b}`),
    ...left(diff.files?.changes ?? [], allowedFiles, base).map(({ path, how, aspects }) =>
      `file ${path}: ${how} ${aspects.join(", ")}`.trimEnd(),
    ),
  ];
}

/** Reasons that stand for no difference any more. */
export function needless(diff: ImageDiff, base: BaseOfDockerfile): string[] {
  return [
    ...idle(diff.debian?.changes ?? [], allowedPackages, base),
    ...idle(diff.config ?? [], allowedConfig, base),
    ...idle(diff.files?.changes ?? [], allowedFiles, base),
  ];
}

function left<Change>(changes: Change[], allowed: Allowance<Change>[], base: BaseOfDockerfile): Change[] {
  return changes.filter((change) => !allowed.some(({ covers }) => covers(change, base)));
}

function idle<Change>(changes: Change[], allowed: Allowance<Change>[], base: BaseOfDockerfile): string[] {
  return allowed.filter(({ covers }) => !changes.some((change) => covers(change, base))).map(({ reason }) => reason);
}

function sameState(one: FileState, other: FileState | undefined): boolean {
  return (
    one.type === other?.type &&
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.sha256 === other.sha256 &&
    one.target === other.target
  );
}
