import { normalizeName } from "../wheel/filename.ts";
import type { LocalPackage } from "./resolution.ts";
import { byCodeUnit } from "../order.ts";

/** A file of a release, as a lock or an index names it. */
export interface ReleaseFile {
  filename: string;
  /** Lower-case hex. */
  sha256?: string;
  url?: string;
  /** Bytes. */
  size?: number;
}

/** One distribution that a lock pins for a target, before a file is chosen. */
export interface Pin {
  /** Normalised (PEP 503). */
  name: string;
  version: string;
  /** The files that the lock names; empty when it tells hashes alone, or nothing. */
  files: ReleaseFile[];
  /** SHA-256 in hex that the file may have; empty when the lock tells none. */
  hashes: string[];
  /** True when the files come from a URL or path of their own instead of an index. */
  direct?: boolean;
  /** Simple index that the lock names for it, without credentials. */
  index?: string;
  /** Where it is pinned: `requirements.txt:12`, `uv.lock`. */
  source: string;
  requiredBy: string[];
}

/** What a lock says for one target, with chosen extras and groups. */
export interface LockReading {
  source: string;
  /** Whether every pin carries hashes. */
  locked: boolean;
  pins: Pin[];
  localPackages: LocalPackage[];
  warnings: string[];
}

/** Sorted by name; a pin that is met twice for the same version is one, asked for by both. */
export function mergePins(pins: Pin[]): Pin[] {
  const merged = new Map<string, Pin>();
  for (const pin of pins) {
    const key = `${pin.name} ${pin.version}`;
    const known = merged.get(key);
    if (!known) {
      merged.set(key, { ...pin, requiredBy: [...pin.requiredBy] });
      continue;
    }
    known.requiredBy = [...new Set([...known.requiredBy, ...pin.requiredBy])];
    known.hashes = [...new Set([...known.hashes, ...pin.hashes])];
    if (known.files.length === 0) known.files = pin.files;
  }
  return [...merged.values()]
    .map((pin) => ({
      ...pin,
      requiredBy: pin.requiredBy.toSorted(byCodeUnit),
      hashes: pin.hashes.toSorted(byCodeUnit),
    }))
    .toSorted((a, b) => byCodeUnit(a.name, b.name) || byCodeUnit(a.version, b.version));
}

/** The last segment of a URL or path, decoded: the file's name. */
export function filenameOf(location: string): string {
  const withoutFragment = location.split(/[?#]/, 1)[0] ?? "";
  const last = withoutFragment.slice(withoutFragment.lastIndexOf("/") + 1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** `sha256:…` to its hex; undefined for other algorithms. */
export function sha256Of(hash: string | undefined): string | undefined {
  return hash === undefined ? undefined : /^sha256[:=]([0-9a-f]{64})$/i.exec(hash)?.[1]?.toLowerCase();
}

const sdistEndings = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"];

/** Name (normalised) and version in the name of an sdist, undefined for anything else. */
export function parseSdistFilename(filename: string, name: string): { name: string; version: string } | undefined {
  const ending = sdistEndings.find((candidate) => filename.endsWith(candidate));
  if (!ending) return undefined;
  const stem = filename.slice(0, -ending.length);
  // Names may hold dashes in old sdists, so the dash that ends the name is found by comparing.
  for (let dash = stem.indexOf("-"); dash >= 0; dash = stem.indexOf("-", dash + 1)) {
    if (normalizeName(stem.slice(0, dash)) === name) return { name, version: stem.slice(dash + 1) };
  }
  return undefined;
}
