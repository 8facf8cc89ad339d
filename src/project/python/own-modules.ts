/** The repository's own Python files, by path from its root. */
export interface PythonSources {
  /** Paths of all `.py` files. */
  paths(): Iterable<string>;
  /** Text of one of them; undefined when it can't be read. */
  read(path: string): string | undefined;
}

export interface OwnModule {
  /** Files that importing it executes: the `__init__.py` of every package above it, then its own. */
  files: string[];
}

/** Finds modules among the repository's files the way Python's path finder does. */
export class OwnModules {
  readonly #sources: PythonSources;
  readonly #roots: string[];
  readonly #files: ReadonlySet<string>;
  /** Folders that hold a Python file somewhere below. */
  readonly #folders = new Set<string>([""]);
  readonly #found = new Map<string, OwnModule | undefined>();

  /** @param roots folders of sys.path, from the project's root; the first that has a module wins */
  constructor(files: ReadonlyMap<string, string> | PythonSources, roots: readonly string[]) {
    this.#sources = "paths" in files ? files : { paths: () => files.keys(), read: (path) => files.get(path) };
    this.#roots = [...roots];
    this.#files = new Set(this.#sources.paths());
    for (const path of this.#files) {
      for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
        const folder = path.slice(0, at);
        if (this.#folders.has(folder)) break;
        this.#folders.add(folder);
      }
    }
  }

  read(path: string): string | undefined {
    return this.#sources.read(path);
  }

  find(module: string): OwnModule | undefined {
    if (this.#found.has(module)) return this.#found.get(module);
    const found = this.#look(module);
    this.#found.set(module, found);
    return found;
  }

  /** The first import root under which a module is found. */
  rootOf(module: string): string | undefined {
    return this.#roots.find((root) => this.#lookIn(root, module) !== undefined);
  }

  /** Whether a top-level name is a folder without `__init__.py`, which installed distributions may add to (PEP 420). */
  isNamespace(top: string): boolean {
    const found = this.find(top);
    return found !== undefined && found.files.length === 0;
  }

  /** The name under which a file is imported; its longest import root decides. */
  moduleOf(path: string): { name: string; package: boolean } | undefined {
    const roots = this.#roots.filter((root) => root === "" || path.startsWith(`${root}/`));
    const root = roots.toSorted((a, b) => b.length - a.length)[0];
    return root === undefined ? undefined : moduleName(path, root);
  }

  #look(module: string): OwnModule | undefined {
    let namespace: OwnModule | undefined;
    for (const root of this.#roots) {
      const found = this.#lookIn(root, module);
      if (found && found.files.length > 0) return found;
      namespace ??= found;
    }
    return namespace;
  }

  #lookIn(root: string, module: string): OwnModule | undefined {
    const files: string[] = [];
    let folder = root;
    const parts = module.split(".");
    for (const [index, part] of parts.entries()) {
      const path = folder === "" ? part : `${folder}/${part}`;
      const last = index === parts.length - 1;
      if (this.#files.has(`${path}/__init__.py`)) files.push(`${path}/__init__.py`);
      else if (this.#files.has(`${path}.py`)) return last ? { files: [...files, `${path}.py`] } : undefined;
      else if (!this.#folders.has(path)) return undefined;
      folder = path;
    }
    return { files };
  }
}

/** Dotted name of a file seen from an import root: `app/main.py` is `app.main`, `app/__init__.py` the package `app`. */
export function moduleName(path: string, root: string): { name: string; package: boolean } {
  const inside = (root === "" ? path : path.slice(root.length + 1)).replace(/\.py$/, "");
  const name = inside.replaceAll("/", ".");
  if (name === "__init__") return { name: "", package: true };
  return name.endsWith(".__init__") ? { name: name.slice(0, -9), package: true } : { name, package: false };
}
