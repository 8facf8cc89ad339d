import type { ElfFacts } from "./facts.ts";
import { LinkedPaths } from "./linked-paths.ts";
import { newestGlibc } from "./glibc.ts";
import type { VersionNeed } from "./glibc.ts";
import { byCodeUnit, byPath } from "../order.ts";

export interface ElfObject {
  /** From the root, without a leading slash. */
  path: string;
  facts: ElfFacts;
}

export interface ClosureInput {
  /** Every ELF file of the root file system. */
  objects: ElfObject[];
  /** Its symbolic links. */
  links: { path: string; target: string }[];
  /** The kernel's name of the target: `x86_64`. */
  machine: string;
  /** Folders of ld.so.conf and ld.so's defaults, in order, without a leading slash: `lib/x86_64-linux-gnu`. */
  searchPath: string[];
}

export interface Closure {
  /** Libraries that nothing in the root provides, sorted; `neededBy` are paths. An absent interpreter counts as one. */
  missing: { soname: string; neededBy: string[] }[];
  /**
   * Libraries that ld.so would not find by itself but that lie in the same site-packages: packages load them by path
   * before they are needed, as torch does with nvidia/{name}/lib.
   */
  preloaded: { soname: string; provider: string; neededBy: string[] }[];
  /** Paths of programs and libraries for other machines, sorted. */
  wrongMachine: string[];
  /** The newest glibc that anything but glibc itself asks for, and one file that does. */
  glibcRequired: VersionNeed | undefined;
  /** Symbol versions that the library found does not define: the file at `path` can't be loaded. */
  versionProblems: { path: string; library: string; version: string }[];
}

/**
 * Finds what ld.so would not find: looks for every DT_NEEDED the way ld.so(8) does, through DT_RPATH of the object and of
 * those that load it, DT_RUNPATH, and the search path; `$ORIGIN`, `$LIB` and `$PLATFORM` expanded. Libraries that the
 * GPU's driver brings (libcuda.so.1 and its like) are expected at run time and never missing.
 */
export function closeLibraries(input: ClosureInput): Closure {
  return new Search(input).run();
}

class Search {
  readonly #input: ClosureInput;
  readonly #paths: LinkedPaths;
  readonly #byPath: Map<string, ElfObject>;
  readonly #loadable: ElfObject[];
  /** Objects by the names that ld.so compares with those already loaded: soname and file name. */
  readonly #byName = new Map<string, ElfObject[]>();
  /** What the search path has, by soname. */
  readonly #system = new Map<string, ElfObject | undefined>();
  readonly #hasRpaths: boolean;
  readonly #found = new Map<ElfObject, Map<string, ElfObject>>();
  readonly #chains = new Map<ElfObject, ReadonlySet<ElfObject>>();
  readonly #loaders = new Map<ElfObject, Set<ElfObject>>();

  constructor(input: ClosureInput) {
    this.#input = input;
    this.#paths = new LinkedPaths(input.links);
    const linked = input.objects.filter(({ facts }) => facts.type === "dyn" || facts.type === "exec");
    // Both machines that images are built for are 64-bit ones; 32-bit x86-64 (x32) is another ABI.
    this.#loadable = linked
      .filter(({ facts }) => facts.machine === input.machine && facts.class === 64)
      .toSorted(byPath);
    this.#hasRpaths = this.#loadable.some(({ facts }) => facts.rpath.length > 0);
    this.#byPath = new Map(this.#loadable.map((object) => [this.#paths.resolve(object.path) ?? object.path, object]));
    for (const object of this.#loadable) {
      for (const name of new Set([object.facts.soname ?? "", fileName(object.path)])) {
        const known = this.#byName.get(name);
        if (known) known.push(object);
        else this.#byName.set(name, [object]);
      }
    }
    // Extension modules are loaded by the interpreter, whose own libraries and RPATH serve them.
    const interpreters = this.#loadable.filter(({ path, facts }) => facts.interpreter && isPython(path));
    for (const object of interpreters.length > 0 ? this.#loadable : []) {
      if (sitePackages(object.path) !== undefined) this.#loaders.set(object, new Set(interpreters));
    }
  }

  run(): Closure {
    const missing = new Map<string, string[]>();
    const preloaded = new Map<string, { soname: string; provider: string; neededBy: string[] }>();
    for (const { object, soname } of this.#searchAll()) {
      if (isFromDriver(soname)) continue;
      const provider = this.#neighbour(object, soname);
      if (!provider) {
        missing.set(soname, [...(missing.get(soname) ?? []), object.path]);
        continue;
      }
      this.#remember(object, { soname, provider });
      const known = preloaded.get(`${soname}\0${provider.path}`);
      if (known) known.neededBy.push(object.path);
      else preloaded.set(`${soname}\0${provider.path}`, { soname, provider: provider.path, neededBy: [object.path] });
    }
    for (const object of this.#loadable) {
      const { interpreter } = object.facts;
      if (interpreter === undefined || this.#at(interpreter, object)) continue;
      const soname = fileName(interpreter);
      missing.set(soname, [...new Set([...(missing.get(soname) ?? []), object.path])]);
    }
    return {
      missing: [...missing].map(([soname, neededBy]) => ({ soname, neededBy })).toSorted(bySoname),
      preloaded: [...preloaded.values()].toSorted(bySoname),
      wrongMachine: this.#input.objects
        .filter(({ facts }) => facts.type === "dyn" || facts.type === "exec")
        .filter(({ facts }) => facts.machine !== this.#input.machine || facts.class !== 64)
        .map(({ path }) => path)
        .toSorted(),
      glibcRequired: newestGlibc(this.#loadable),
      versionProblems: this.#versionProblems(),
    };
  }

  /**
   * Looks everything up until nothing more is found: an object's RPATH serves those that it loads, so each library found
   * may let others be found. Returns what stays open.
   */
  #searchAll(): { object: ElfObject; soname: string }[] {
    let open = this.#loadable.flatMap((object) => object.facts.needed.map((soname) => ({ object, soname })));
    for (;;) {
      this.#chains.clear();
      const left = open.filter(({ object, soname }) => {
        const provider = this.#find(object, soname);
        if (provider) this.#remember(object, { soname, provider });
        return !provider;
      });
      const isDone = left.length === open.length || left.length === 0 || !this.#hasRpaths;
      open = left;
      if (isDone) break;
    }
    this.#chains.clear();
    return open.filter(({ object, soname }) => !this.#alreadyLoaded(object, soname));
  }

  #remember(object: ElfObject, { soname, provider }: { soname: string; provider: ElfObject }): void {
    const found = this.#found.get(object) ?? new Map<string, ElfObject>();
    this.#found.set(object, found.set(soname, provider));
    this.#loaders.set(provider, (this.#loaders.get(provider) ?? new Set()).add(object));
  }

  #find(object: ElfObject, soname: string): ElfObject | undefined {
    if (soname.includes("/")) return this.#at(soname, object);
    const { rpath, runpath } = object.facts;
    const own = this.#inFolders(this.#folders(object, runpath.length > 0 ? runpath : rpath), soname);
    return own ?? (runpath.length > 0 ? undefined : this.#findByLoaders(object, soname)) ?? this.#inSearchPath(soname);
  }

  /** Without a RUNPATH of its own, what an object needs is also looked for in the RPATHs of those that load it. */
  #findByLoaders(object: ElfObject, soname: string): ElfObject | undefined {
    if (!this.#hasRpaths) return undefined;
    for (const loader of this.#chain(object)) {
      const { rpath, runpath } = loader.facts;
      const found = runpath.length > 0 ? undefined : this.#inFolders(this.#folders(loader, rpath), soname);
      if (found) return found;
    }
    return undefined;
  }

  #inSearchPath(soname: string): ElfObject | undefined {
    if (!this.#system.has(soname)) this.#system.set(soname, this.#inFolders(this.#input.searchPath, soname));
    return this.#system.get(soname);
  }

  #inFolders(folders: string[], soname: string): ElfObject | undefined {
    for (const folder of folders) {
      const found = this.#byPath.get(this.#paths.resolveIn(folder, soname) ?? "");
      if (found) return found;
    }
    return undefined;
  }

  /** What loads the object, directly or not, without itself; as known when the pass began. */
  #chain(object: ElfObject): ReadonlySet<ElfObject> {
    const known = this.#chains.get(object);
    if (known) return known;
    const chain = new Set<ElfObject>(this.#loaders.get(object));
    for (const loader of chain) for (const next of this.#loaders.get(loader) ?? []) chain.add(next);
    chain.delete(object);
    this.#chains.set(object, chain);
    return chain;
  }

  /** ld.so loads a name once: what a loader of the object needs, at any depth, is there already. */
  #alreadyLoaded(object: ElfObject, soname: string): ElfObject | undefined {
    const loaded = new Set(this.#chain(object));
    for (const other of loaded) {
      const found = this.#found.get(other);
      const provider = found?.get(soname);
      if (provider) {
        this.#remember(object, { soname, provider });
        return provider;
      }
      for (const next of found?.values() ?? []) loaded.add(next);
    }
    return undefined;
  }

  #neighbour(object: ElfObject, soname: string): ElfObject | undefined {
    const root = sitePackages(object.path);
    if (root === undefined) return undefined;
    return this.#byName.get(soname)?.find((candidate) => candidate.path.startsWith(root));
  }

  #at(path: string, { path: from }: ElfObject): ElfObject | undefined {
    const absolute = path.startsWith("/") ? path.slice(1) : `${folderOf(from)}/${path}`;
    return this.#byPath.get(this.#paths.resolve(absolute) ?? "");
  }

  #folders(object: ElfObject, paths: string[]): string[] {
    const real = this.#paths.resolve(object.path) ?? object.path;
    const replacements: Record<string, string> = {
      ORIGIN: `/${folderOf(real)}`,
      LIB: `lib/${this.#input.machine}-linux-gnu`,
      PLATFORM: this.#input.machine,
    };
    return paths
      .slice(0, mostFolders)
      .map((path) =>
        path.replace(/\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))/g, (_, a, b) => replacements[a ?? b] ?? ""),
      )
      .map((path) => path.replace(/^\/+/, ""));
  }

  #versionProblems(): Closure["versionProblems"] {
    const problems: Closure["versionProblems"] = [];
    for (const object of this.#loadable) {
      const { path, facts } = object;
      const found = this.#found.get(object);
      for (const { file, versions } of facts.versionsNeeded) {
        const defined = found?.get(file)?.facts.versionsDefined ?? [];
        // Against a library without versions ld.so only warns.
        if (defined.length === 0) continue;
        for (const version of versions) if (!defined.includes(version)) problems.push({ path, library: file, version });
      }
    }
    return problems;
  }
}

/** Of one object; real ones have a handful, and a hostile one must not make the search endless. */
const mostFolders = 256;

/** Libraries that belong to the host's GPU driver: the container toolkit mounts them, an image must not have them. */
function isFromDriver(soname: string): boolean {
  return /^lib(?:cuda|cudadebugger|nvidia-[\w-]+|nvcuvid|nvoptix|GLX_nvidia|EGL_nvidia)\.so(?:\.\d+)*$/.test(soname);
}

/** `usr/lib/python3/dist-packages/` of a path below it. */
function sitePackages(path: string): string | undefined {
  return /^(?:.*\/)?(?:site|dist)-packages\//.exec(path)?.[0];
}

function isPython(path: string): boolean {
  return /^python\d[\d.]*t?$/.test(fileName(path));
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function bySoname(a: { soname: string }, b: { soname: string }): number {
  return byCodeUnit(a.soname, b.soname);
}
