/** One binary package of an archive, as its index describes it. Plain JSON. */
export interface DebPackage {
  name: string;
  version: string;
  /** Debian's name, `amd64`, `arm64` or `all`. */
  architecture: string;
  /** Path in the archive: `pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb`. */
  filename: string;
  /** Where this machine fetches it from; empty for a package that only stands for what is already there. */
  url: string;
  /** Lower-case hex. */
  sha256: string;
  /** Bytes of the .deb. */
  size: number;
  /** Bytes unpacked, by the archive's own estimate. */
  installedSize: number;
  /** The relationship fields as they are written, empty when absent. */
  depends: string;
  preDepends: string;
  provides: string;
  conflicts: string;
  breaks: string;
  replaces: string;
  essential: boolean;
  /** `required`, `important`, `standard`, `optional`. */
  priority: string;
  /** Source package and its version, for SBOMs and security trackers. */
  source: string;
  sourceVersion: string;
}

/** Reads the fields of one stanza of a Packages file. `url` is the archive's address followed by Filename. */
export function readPackage(fields: Map<string, string>, uri: string): DebPackage {
  const get = (name: string) => fields.get(name) ?? "";
  const name = get("Package");
  const version = get("Version");
  const source = /^(\S+)(?:\s+\(([^)]+)\))?/.exec(get("Source"));
  return {
    name,
    version,
    architecture: get("Architecture"),
    filename: get("Filename"),
    url: `${uri}/${get("Filename")}`,
    sha256: get("SHA256"),
    size: Number(get("Size")) || 0,
    installedSize: (Number(get("Installed-Size")) || 0) * 1024,
    depends: get("Depends"),
    preDepends: get("Pre-Depends"),
    provides: get("Provides"),
    conflicts: get("Conflicts"),
    breaks: get("Breaks"),
    replaces: get("Replaces"),
    essential: get("Essential") === "yes",
    priority: get("Priority"),
    source: source?.[1] ?? name,
    sourceVersion: source?.[2] ?? version,
  };
}
