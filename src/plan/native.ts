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
  for (;;) {
    const packages = request.archive.resolve([...reasons.keys()].toSorted(), { present });
    const debs = await ingestDebs(packages, options, services);
    const closed = closure(request, debs);
    const open = closed.missing.filter(({ soname }) => !unknown.has(soname));
    const owners =
      open.length === 0 ? new Map<string, string[]>() : await request.archive.whoHas(open.map(({ soname }) => soname));
    let added = false;
    for (const { soname, neededBy } of open) {
      const owner = owners.get(soname)?.[0];
      if (owner === undefined || reasons.has(owner)) {
        unknown.add(soname);
        continue;
      }
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
