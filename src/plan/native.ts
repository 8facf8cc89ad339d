import type { DebianArchive } from "../debian/archive.ts";
import type { DebPackage } from "../debian/package.ts";
import { closeLibraries } from "../elf/closure.ts";
import type { ElfFacts } from "../elf/facts.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import type { DebOptions, IngestedDeb, IngestServices } from "../ingest/ingest.ts";
import { ingestDebs } from "../ingest/ingest.ts";
import { machineOf, tripletOf, type Platform } from "../platform.ts";

export interface ElfObject {
  path: string;
  facts: ElfFacts;
}

export interface NativeRequest {
  archive: DebianArchive;
  platform: Platform;
  /** Libraries and programs that have to load, beside those of the packages. */
  objects: readonly ElfObject[];
  links: readonly { path: string; target: string }[];
  /** Packages asked for by name, with who asks. */
  wanted: ReadonlyMap<string, string>;
  /** Packages that are in the image already. */
  present: readonly IngestedDeb[];
  /** The image below, unless it is composed of packages too. */
  base?: BaseImage;
  /** Dependencies on these are not followed. */
  without?: ReadonlySet<string>;
}

export interface NativeClosure {
  /** Packages beside those present, with the reason for each. */
  debs: (IngestedDeb & { reason: string })[];
  /** Libraries that nothing has. */
  missing: { soname: string; neededBy: string[] }[];
  glibcRequired?: { version: string; path: string };
}

/**
 * Adds Debian packages until every DT_NEEDED of every ELF file is found. A package may bring libraries that need others
 * in turn, so it goes round until nothing is missing that the archive has.
 */
export async function closeNative(
  request: NativeRequest,
  options: DebOptions,
  services: IngestServices,
): Promise<NativeClosure> {
  const reasons = new Map(request.wanted);
  const present = [...(request.base?.files.packages ?? []), ...request.present.map((deb) => deb.package)];
  const unknown = new Set<string>();
  for (const [name, reason] of namedBefore(request)) if (!reasons.has(name)) reasons.set(name, reason);
  for (;;) {
    const packages = request.archive.resolve([...reasons.keys()].toSorted(), {
      present,
      without: request.without,
    });
    const debs = await ingestDebs(packages, options, services);
    const closed = closure(request, debs);
    const open = closed.missing.filter(({ soname }) => !unknown.has(soname));
    const named = open.map(({ soname }) => packageNamedAfter(soname, request.archive));
    const guesses = named.filter((name): name is string => name !== undefined && !reasons.has(name));
    // The archive's lists of files are asked only for what names don't tell: a guess is checked by the next round.
    const asked = open.filter((_, index) => named[index] === undefined || reasons.has(named[index]));
    const owners =
      asked.length === 0 || guesses.length > 0
        ? undefined
        : await request.archive.whoHas(asked.map(({ soname }) => soname));
    let added = false;
    for (const [index, { soname, neededBy }] of open.entries()) {
      const guess = named[index];
      const owner = owners ? owners.get(soname)?.[0] : guess;
      if (owners && (owner === undefined || reasons.has(owner))) unknown.add(soname);
      if (owner === undefined || reasons.has(owner)) continue;
      reasons.set(owner, `${soname}, needed by ${shortPath(neededBy[0] ?? "")}`);
      added = true;
    }
    if (added) continue;
    return {
      debs: debs.map((deb) => ({ ...deb, reason: reasons.get(deb.package.name) ?? reasonOf(deb.package, packages) })),
      missing: closed.missing,
      glibcRequired: closed.glibcRequired,
    };
  }
}

/**
 * Packages that the objects' own needs name, before anything is unpacked: a round less than finding out afterwards. What
 * the objects bring themselves, or is present, needs no package.
 */
function namedBefore({ objects, present, base, archive, platform }: NativeRequest): Map<string, string> {
  const standing = [...objects, ...present.flatMap(({ facts }) => facts.elf), ...(base?.files.elf ?? [])];
  const provided = new Set(
    standing.flatMap(({ path, facts }) => [facts.soname ?? "", path.slice(path.lastIndexOf("/") + 1)]),
  );
  const names = new Map<string, string>();
  for (const { path, facts } of objects) {
    if (facts.machine !== machineOf(platform)) continue;
    for (const soname of facts.needed) {
      if (provided.has(soname) || /^lib(cuda|nvidia)/.test(soname)) continue;
      const name = packageNamedAfter(soname, archive);
      if (name !== undefined && !names.has(name)) names.set(name, `${soname}, needed by ${shortPath(path)}`);
    }
  }
  return names;
}

/** Packages whose names are older than the policy, of libraries that nearly every image has. */
const olderNames: Record<string, string | undefined> = { "libz.so.1": "zlib1g" };

/**
 * The package that Debian's policy (8.1, run-time shared libraries) names after a soname: libssl.so.3 is in libssl3,
 * libsqlite3.so.0 in libsqlite3-0. Undefined when there is no package of that name.
 */
function packageNamedAfter(soname: string, archive: DebianArchive): string | undefined {
  const older = olderNames[soname];
  if (older !== undefined && archive.find(older)) return older;
  const match = /^(lib.+?)\.so\.(\d[\w.]*)$/.exec(soname.toLowerCase().replaceAll("_", "-"));
  if (!match) return undefined;
  const [, base = "", version = ""] = match;
  const name = /\d$/.test(base) ? `${base}-${version}` : `${base}${version}`;
  // The second is what the change to 64-bit times renamed.
  return [name, `${name}t64`].find((each) => archive.find(each) !== undefined);
}

function closure(
  { objects, links, present, platform, base }: NativeRequest,
  debs: readonly IngestedDeb[],
): ReturnType<typeof closeLibraries> {
  const all = [...present, ...debs];
  const triplet = tripletOf(platform);
  const below = base?.files.elf ?? [];
  const closed = closeLibraries({
    objects: [...below, ...objects, ...all.flatMap(({ facts }) => facts.elf)],
    links: [...(base ? linksOf(base) : mergedLinks), ...links, ...all.flatMap(({ facts }) => facts.links)],
    machine: machineOf(platform),
    searchPath: base?.files.searchPath ?? ["usr/local/lib", `lib/${triplet}`, `usr/lib/${triplet}`, "lib", "usr/lib"],
  });
  return base ? { ...closed, missing: missingAbove(closed.missing, below) } : closed;
}

function linksOf({ files }: BaseImage): { path: string; target: string }[] {
  return files.nodes.flatMap(([path, type, , , , , target]) =>
    type === "symlink" ? [{ path, target: target ?? "" }] : [],
  );
}

/** What the base's own files lack was missing before: they work without it, or never did. */
function missingAbove(missing: NativeClosure["missing"], below: readonly ElfObject[]): NativeClosure["missing"] {
  const paths = new Set(below.map(({ path }) => path));
  return missing
    .map(({ soname, neededBy }) => ({ soname, neededBy: neededBy.filter((path) => !paths.has(path)) }))
    .filter(({ neededBy }) => neededBy.length > 0);
}

/** The links of a merged /usr stand in a layer of their own. */
const mergedLinks = ["bin", "lib", "lib64", "sbin"].map((name) => ({ path: name, target: `usr/${name}` }));

/** Who of the others depends on a package: `dependency of libpq5`. */
function reasonOf(pkg: DebPackage, packages: readonly DebPackage[]): string {
  const pattern = new RegExp(`(^|[,|\\s])${pkg.name.replaceAll(/[.+]/g, "\\$&")}($|[\\s,|:(])`);
  const wanting = packages.find((each) => each.name !== pkg.name && pattern.test(dependsOf(each)));
  return wanting ? `dependency of ${wanting.name}` : "dependency";
}

function dependsOf(pkg: DebPackage): string {
  return [pkg.depends, pkg.preDepends].filter(Boolean).join(", ");
}

/** The last three segments: enough to know the file, short enough for a line. */
export function shortPath(path: string): string {
  return path.split("/").slice(-3).join("/");
}
