import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { oldestMinor } from "./version.ts";
import { inspectPrefix, listFolder, type Installation, type Rejection } from "./inspect.ts";

/** Where to look. Tests replace it; everyone else takes `thisMachine()`. */
export interface Machine {
  environment: NodeJS.ProcessEnv;
  home: string;
  /** Prefixes outside a home directory, such as `/usr/local`. */
  systemPrefixes: string[];
  /** Folders that hold one prefix a version, such as `/opt/python`. */
  systemCollections: string[];
}

export interface Candidate extends Installation {
  kind: "uv" | "host";
  /** Who manages it: `uv`, `pyenv`, `asdf`, `mise`, `PATH`, or the folder. */
  manager: string;
}

export interface Discovery {
  candidates: Candidate[];
  rejected: Rejection[];
  /** Folders that were looked in, for the error when there is none. */
  searched: { what: string; count: number }[];
}

export function thisMachine(): Machine {
  const opt = listFolder("/opt").filter((name) => name.startsWith("python"));
  return {
    environment: process.env,
    home: os.homedir(),
    systemPrefixes: ["/usr/local", ...opt.map((name) => path.join("/opt", name))],
    systemCollections: [...opt.map((name) => path.join("/opt", name)), "/opt/hostedtoolcache/Python"],
  };
}

/** Every CPython on this machine that can be copied into an image, none of them run where it can be avoided. */
export function discoverInterpreters(machine: Machine, downloads: string): Discovery {
  const discovery: Discovery = { candidates: [], rejected: [], searched: [] };
  const seen = new Set<string>();
  for (const place of places(machine, downloads)) {
    let count = 0;
    for (const prefix of place.prefixes) count += look(prefix, { place, seen, discovery });
    discovery.searched.push({ what: place.what, count });
  }
  return discovery;
}

/** `~` for the home directory: what a person reads, and what may stand in a plan. */
export function shortPath(file: string, home: string = os.homedir()): string {
  return file === home || file.startsWith(`${home}${path.sep}`) ? `~${file.slice(home.length)}` : file;
}

interface Place {
  kind: Candidate["kind"];
  manager: string;
  what: string;
  prefixes: string[];
}

function places(machine: Machine, downloads: string): Place[] {
  const { environment, home } = machine;
  const data = environment["XDG_DATA_HOME"] || path.join(home, ".local", "share");
  const collection = (kind: Candidate["kind"], manager: string, folder: string): Place => ({
    kind,
    manager,
    what: shortPath(folder, home),
    prefixes: versionsIn(folder),
  });
  return [
    ...unique([environment["UV_PYTHON_INSTALL_DIR"], path.join(data, "uv", "python"), downloads]).map((folder) =>
      collection("uv", "uv", folder),
    ),
    collection("host", "pyenv", path.join(environment["PYENV_ROOT"] || path.join(home, ".pyenv"), "versions")),
    collection(
      "host",
      "asdf",
      path.join(environment["ASDF_DATA_DIR"] || path.join(home, ".asdf"), "installs", "python"),
    ),
    collection(
      "host",
      "mise",
      path.join(environment["MISE_DATA_DIR"] || path.join(data, "mise"), "installs", "python"),
    ),
    ...unique([environment["AGENT_TOOLSDIRECTORY"], environment["RUNNER_TOOL_CACHE"]]).map((folder) =>
      toolCache(folder),
    ),
    ...machine.systemCollections.map((folder) => collection("host", folder, folder)),
    ...machine.systemPrefixes.map((folder): Place => ({
      kind: "host",
      manager: folder,
      what: folder,
      prefixes: [folder],
    })),
    { kind: "host", manager: "PATH", what: "PATH", prefixes: prefixesOnPath(environment["PATH"] ?? "") },
  ];
}

/** A CI runner's tool cache: `Python/3.12.1/x64`. */
function toolCache(folder: string): Place {
  const versions = versionsIn(path.join(folder, "Python"));
  const prefixes = versions.flatMap((version) => [path.join(version, "x64"), path.join(version, "arm64")]);
  return { kind: "host", manager: "tool cache", what: folder, prefixes };
}

/** Links (`3.12` → `3.12.1`) resolve to what they name, so each installation is seen once. */
function versionsIn(folder: string): string[] {
  return listFolder(folder)
    .toSorted()
    .map((name) => path.join(folder, name));
}

const pythonNames = Array.from({ length: 12 }, (_, index) => [
  `python3.${index + oldestMinor}`,
  `python3.${index + oldestMinor}t`,
]).flat();

/** Prefixes of the `python3.N` on PATH. Shims are shell scripts and lead nowhere; those of /usr belong to the system. */
function prefixesOnPath(searchPath: string): string[] {
  const prefixes: string[] = [];
  for (const folder of searchPath.split(path.delimiter)) {
    if (!path.isAbsolute(folder)) continue;
    // By name: to list a folder of two thousand programs takes longer than to ask for a dozen.
    for (const name of pythonNames) {
      const real = realPath(path.join(folder, name));
      if (real && path.basename(path.dirname(real)) === "bin") prefixes.push(path.dirname(path.dirname(real)));
    }
  }
  return unique(prefixes).toSorted();
}

interface Looking {
  place: Place;
  seen: Set<string>;
  discovery: Discovery;
}

/** The number of usable interpreters under a prefix that was not seen before. */
function look(prefix: string, { place, seen, discovery }: Looking): number {
  const real = realPath(prefix);
  if (!real || seen.has(real)) return 0;
  seen.add(real);
  if (isSystemPrefix(real)) return 0;
  const named = place.kind === "uv" ? reasonAgainstName(path.basename(real)) : undefined;
  if (named) {
    discovery.rejected.push({ what: prefix, whyNot: named });
    return 0;
  }
  const { found, rejected } = inspectPrefix(real);
  discovery.rejected.push(...rejected);
  for (const installation of found) {
    discovery.candidates.push({ ...installation, kind: place.kind, manager: place.manager });
  }
  return found.length;
}

/** The system's own Python is spread over the file system and patched to match it: it comes as Debian packages or not at all. */
function isSystemPrefix(prefix: string): boolean {
  return prefix === "/usr" || prefix === "/";
}

/** uv's folder names: `cpython-3.13.1+freethreaded-linux-x86_64_v3-gnu`. */
function reasonAgainstName(name: string): string | undefined {
  if (!name.startsWith("cpython-")) return name.startsWith(".") ? undefined : "is not CPython";
  if (/x86_64_v\d/.test(name)) return "needs a newer processor than every x86-64 machine has";
  if (name.includes("+freethreaded")) return "is a free-threaded build, for which few wheels exist";
  if (name.includes("+debug")) return "is a debug build";
  if (name.endsWith("-musl")) return "is built for musl, the image has glibc";
  return undefined;
}

function realPath(file: string): string | undefined {
  // Asked for hundreds of names that mostly aren't there: an exception for each would cost more than the question.
  if (!fs.existsSync(file)) return undefined;
  try {
    return fs.realpathSync.native(file);
  } catch {
    return undefined;
  }
}

function unique(folders: (string | undefined)[]): string[] {
  return [...new Set(folders.filter((folder): folder is string => Boolean(folder)))];
}
