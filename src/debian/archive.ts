import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import { type Platform, tripletOf } from "../platform.ts";
import type { Digest, Store } from "../store/store.ts";
import { toolsOfScripts, withoutDependencies } from "./base.ts";
import { findLibrary, indexLibraries, rankOwners, sonameFormat } from "./contents.ts";
import type { DebPackage } from "./package.ts";
import { indexFormat, openIndexes, type PackageLookup } from "./package-index.ts";
import { type IndexTask, preparePackageIndex } from "./prepare-index.ts";
import { resolvePackages } from "./resolve.ts";
import { readAptSources, type AptSource } from "./sources.ts";
import { openSuites, type Suite } from "./suites.ts";

export interface DebianArchiveOptions {
  store: Store;
  fetcher: Fetcher;
  emit: Emit;
  platform: Platform;
  /** Codename such as `trixie`; the machine's own unless given. */
  suite?: string;
  /** The machine's own unless given. */
  sources?: AptSource[];
  /** Asks the archive for newer indexes whatever their age. */
  refresh?: boolean;
  now?: () => Date;
  /** Runs the making of an index elsewhere, such as on a thread. */
  prepareIndex?: (task: IndexTask) => Promise<Digest>;
  /** Where apt's keyrings and os-release are looked for; `/` unless given. */
  root?: string;
}

export interface ResolveNames {
  /** Installed already. */
  present?: DebPackage[];
  /** Dependencies on these are not followed, beside the tools of scripts. */
  without?: ReadonlySet<string>;
}

/** The distribution's archive as this machine's apt sees it: main suite, updates and security of one codename. */
export interface DebianArchive {
  /** `bookworm` */
  codename: string;
  /** Point release: `12.15`. */
  version: string;
  id: "debian" | "ubuntu";
  /** When the newest of the suites was signed, ISO 8601. */
  signedAt: string;
  /**
   * The closure of `names`, sorted by name. Tools that only maintainer scripts use are left out, because none is run.
   * @throws SheafError SHEAF_DEB_NOT_FOUND, SHEAF_DEB_DEPENDS, SHEAF_DEB_CONFLICT
   */
  resolve(names: string[], options?: ResolveNames): DebPackage[];
  /** The newest version of a package. */
  find(name: string): DebPackage | undefined;
  /** Soname → packages that have it, best first; sonames that nobody has are left out. */
  whoHas(sonames: string[]): Promise<Map<string, string[]>>;
  /** Downloads a .deb into the store. */
  fetch(pkg: DebPackage): Promise<Digest>;
}

/**
 * Opens the archive: InRelease signature → SHA-256 of the indexes → SHA-256 of each .deb. Indexes younger than a day are used
 * without asking the network.
 *
 * @throws SheafError SHEAF_APT_SOURCES, SHEAF_DEB_SIGNATURE, SHEAF_DEB_EXPIRED, SHEAF_DEB_INDEX, SHEAF_OFFLINE
 */
export async function openDebianArchive(options: DebianArchiveOptions): Promise<DebianArchive> {
  const root = options.root ?? "/";
  const sources = options.sources ?? readAptSources(root);
  const suites = await openSuites({ ...options, root, sources });
  const indexes = await Promise.all(suites.flatMap((suite) => packageIndexes(suite, options)));
  return new SignedArchive(suites, indexes, options);
}

/** A compact index in the store. */
interface IndexPart {
  digest: Digest;
  uri: string;
}

class SignedArchive implements DebianArchive {
  readonly codename: string;
  readonly version: string;
  readonly id: "debian" | "ubuntu";
  readonly signedAt: string;
  readonly #suites: Suite[];
  readonly #parts: IndexPart[];
  readonly #options: DebianArchiveOptions;
  /** What every answer depends on. */
  readonly #key: unknown[];
  #lookup: PackageLookup | undefined;
  #libraries: Promise<Uint8Array[]> | undefined;

  constructor(suites: Suite[], parts: IndexPart[], options: DebianArchiveOptions) {
    const main = suites[0];
    if (!main) throw new Error("an archive has one suite at least");
    this.codename = main.release.codename;
    this.version = main.release.version;
    this.id = main.release.origin === "Ubuntu" ? "ubuntu" : "debian";
    this.signedAt =
      suites
        .map((suite) => suite.release.date)
        .toSorted()
        .at(-1) ?? "";
    this.#suites = suites;
    this.#parts = parts;
    this.#options = options;
    this.#key = [indexFormat, options.platform.architecture, ...parts.flatMap((part) => [part.digest, part.uri])];
  }

  resolve(names: string[], { present = [], without = new Set() }: ResolveNames = {}): DebPackage[] {
    const standing = present.map((pkg) => `${pkg.name}=${pkg.version}`).toSorted();
    const key = JSON.stringify([
      "resolve",
      this.#key,
      names,
      standing,
      [...toolsOfScripts, ...without],
      [...withoutDependencies.keys()],
    ]);
    const known = this.#options.store.readRecord<DebPackage[]>("debian-resolution", key);
    if (known) return known;
    const packages = resolvePackages(names, {
      lookup: this.#open(),
      archive: this.#name(),
      present,
      withoutNames: new Set([...toolsOfScripts, ...without]),
      withoutDependencies: new Set(withoutDependencies.keys()),
    });
    this.#options.store.writeRecord("debian-resolution", key, packages);
    return packages;
  }

  find(name: string): DebPackage | undefined {
    const key = JSON.stringify(["find", this.#key, name]);
    const known = this.#options.store.readRecord<{ package?: DebPackage }>("debian-resolution", key);
    if (known) return known.package;
    const found = this.#open().versions(name)[0];
    this.#options.store.writeRecord("debian-resolution", key, { package: found });
    return found;
  }

  async whoHas(sonames: string[]): Promise<Map<string, string[]>> {
    const answers = new Map<string, string[]>();
    const asked = [...new Set(sonames)].toSorted();
    if (asked.length === 0) return answers;
    const key = JSON.stringify([sonameFormat, this.#key, this.#suites.map(contentsHashes), asked]);
    const known = this.#options.store.readRecord<[string, string[]][]>("debian-owners", key);
    if (known) return new Map(known);
    const indexes = await (this.#libraries ??= this.#openLibraries());
    const triplet = tripletOf(this.#options.platform);
    for (const soname of asked) {
      const owners = indexes.flatMap((index) => findLibrary(index, soname));
      const names = rankOwners(owners, soname, triplet).filter((name) => this.#open().versions(name).length > 0);
      if (names.length > 0) answers.set(soname, names);
    }
    this.#options.store.writeRecord("debian-owners", key, [...answers]);
    return answers;
  }

  fetch(pkg: DebPackage): Promise<Digest> {
    const { url, sha256, size } = pkg;
    return this.#options.fetcher.download({ url, sha256, size, label: `${pkg.name} ${pkg.version}` });
  }

  #name(): string {
    const distribution = this.id === "ubuntu" ? "Ubuntu" : "Debian";
    return `${distribution} ${this.codename} (${this.#options.platform.architecture})`;
  }

  #open(): PackageLookup {
    this.#lookup ??= openIndexes(
      this.#parts.map(({ digest, uri }) => {
        const bytes = this.#options.store.readBlob(digest);
        if (bytes) return { bytes, uri };
        throw new SheafError("SHEAF_DAMAGED", `the package index ${digest} was damaged in the cache and is removed`, {
          hint: "run the command again: the index is fetched anew",
        });
      }),
    );
    return this.#lookup;
  }

  #openLibraries(): Promise<Uint8Array[]> {
    const architecture = this.#options.platform.architecture;
    return Promise.all(this.#suites.flatMap((suite) => libraryIndexes(suite, architecture, this.#options)));
  }
}

/** The compact index of each component, made from the Packages file when the store does not have it. */
function packageIndexes(suite: Suite, options: DebianArchiveOptions): Promise<IndexPart>[] {
  const { architecture } = options.platform;
  return suite.components.map(async (component) => {
    // gzip costs a third more bytes than xz, and a third of the time in all on any link above some 20 Mbit/s.
    const names = ["gz", "xz", ""].map((end) => `${component}/binary-${architecture}/Packages${end && `.${end}`}`);
    const name = names.find((candidate) => suite.release.files[candidate]);
    const [sha256, size] = (name && suite.release.files[name]) || [];
    if (!name || !sha256) {
      throw new SheafError("SHEAF_DEB_INDEX", `${suite.url} offers no ${component} for ${architecture}`, {
        details: [
          ["apt source", suite.source.origin],
          ["architectures", suite.release.architectures.join(", ")],
        ],
        hint: "choose another --platform, or add an apt source that has this one",
      });
    }
    const key = JSON.stringify([indexFormat, sha256]);
    const known = options.store.readRecord<Digest>("debian-index", key);
    if (known && options.store.hasBlob(known)) return { digest: known, uri: suite.source.uri };
    const label = `packages of ${suite.release.codename}`;
    const blob = await download({ suite, name, sha256, size: size ?? 0, label }, options);
    const digest = await (options.prepareIndex ?? preparePackageIndex)({ storeRoot: options.store.root, blob, name });
    options.store.writeRecord("debian-index", key, digest);
    return { digest, uri: suite.source.uri };
  });
}

/** Debian has a Contents index in each component, Ubuntu one for the suite. Libraries are never in packages of all. */
function contentsNames(suite: Suite, architecture: string): string[] {
  const names = [
    ...suite.components.map((component) => `${component}/Contents-${architecture}.gz`),
    `Contents-${architecture}.gz`,
  ];
  return names.filter((name) => suite.release.files[name]);
}

function contentsHashes(suite: Suite): string[] {
  return Object.entries(suite.release.files).flatMap(([name, [sha256]]) =>
    name.includes("Contents-") ? [sha256] : [],
  );
}

function libraryIndexes(suite: Suite, architecture: string, options: DebianArchiveOptions): Promise<Uint8Array>[] {
  return contentsNames(suite, architecture).map(async (name) => {
    const [sha256, size] = suite.release.files[name] ?? ["", 0];
    const key = JSON.stringify([sonameFormat, sha256]);
    const known = options.store.readRecord<Digest>("debian-sonames", key);
    const bytes = known && options.store.readBlob(known);
    if (bytes) return bytes;
    const label = `file list of ${suite.release.codename}`;
    const blob = await download({ suite, name, sha256, size, label }, options);
    const index = await indexLibraries(options.store.blobPath(blob));
    options.store.writeRecord("debian-sonames", key, options.store.putBlob(index));
    return index;
  });
}

interface IndexFile {
  suite: Suite;
  /** Path from the suite. */
  name: string;
  sha256: string;
  size: number;
  label: string;
}

/** Returns an index that is whole: what the store has of it may be damaged. */
async function download(file: IndexFile, options: DebianArchiveOptions): Promise<Digest> {
  // Reading removes a damaged copy.
  options.store.readBlob(`sha256:${file.sha256}`);
  return fetchIndex(file, options);
}

/** By its hash where the archive offers that, so that an update of the mirror between two requests does no harm. */
async function fetchIndex(file: IndexFile, options: DebianArchiveOptions): Promise<Digest> {
  const { suite, name, sha256, size, label } = file;
  const folder = name.includes("/") ? `${name.slice(0, name.lastIndexOf("/"))}/` : "";
  const request = { sha256, size, label };
  const plain = { ...request, url: `${suite.url}/${name}` };
  if (!suite.release.byHash) return options.fetcher.download(plain);
  try {
    return await options.fetcher.download({ ...request, url: `${suite.url}/${folder}by-hash/SHA256/${sha256}` });
  } catch (error) {
    if (!(error instanceof SheafError) || error.code !== "SHEAF_FETCH") throw error;
    return options.fetcher.download(plain);
  }
}
