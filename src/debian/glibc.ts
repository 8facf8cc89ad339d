import type { DebianArchive } from "./archive.ts";

/** A released suite keeps its glibc: known beforehand, wheels can be chosen while the archive is still being asked. */
const released: Record<string, [major: number, minor: number] | undefined> = {
  bullseye: [2, 31],
  bookworm: [2, 36],
  trixie: [2, 41],
  focal: [2, 31],
  jammy: [2, 35],
  noble: [2, 39],
};

/** Major and minor version of a suite's glibc, undefined for suites that are not released or not known. */
export function glibcOfSuite(codename: string): [number, number] | undefined {
  return released[codename];
}

/** Major and minor version of the glibc that an archive has. */
export function glibcIn(archive: DebianArchive): [number, number] {
  const [, major = "2", minor = "31"] = archive.find("libc6")?.version.match(/^(\d+)\.(\d+)/) ?? [];
  return [Number(major), Number(minor)];
}
