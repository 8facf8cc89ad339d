/** Resolves paths through the symbolic links of a root file system, as the kernel does: `..` after the links before it. */
export class LinkedPaths {
  readonly #links: Map<string, string>;
  readonly #cache = new Map<string, string | undefined>();

  constructor(links: { path: string; target: string }[]) {
    this.#links = new Map(links.map(({ path, target }) => [path, target]));
    // Packages may name a link through another one: lib/libz.so.1 where lib leads to usr/lib.
    const behindLinks = links.map(({ path, target }): [string, string] => [this.#realPathOf(path), target]);
    this.#cache.clear();
    for (const [path, target] of behindLinks) this.#links.set(path, target);
  }

  /** @returns the path without links, from the root without a leading slash; undefined for loops */
  resolve(path: string): string | undefined {
    if (this.#cache.has(path)) return this.#cache.get(path);
    const resolved = this.#walk(path);
    this.#cache.set(path, resolved);
    return resolved;
  }

  /** The same for a file in a folder: quick where many files are looked up in few folders. */
  resolveIn(folder: string, name: string): string | undefined {
    const real = this.resolve(folder);
    if (real === undefined) return undefined;
    const path = real === "" ? name : `${real}/${name}`;
    return this.#links.has(path) ? this.resolve(path) : path;
  }

  /** A link's own path with its folder resolved. */
  #realPathOf(path: string): string {
    const slash = path.lastIndexOf("/");
    return slash < 0 ? path : `${this.resolve(path.slice(0, slash)) ?? path.slice(0, slash)}/${path.slice(slash + 1)}`;
  }

  #walk(path: string): string | undefined {
    const ahead = path.split("/").toReversed();
    const behind: string[] = [];
    let followed = 0;
    for (let segment = ahead.pop(); segment !== undefined; segment = ahead.pop()) {
      if (segment === "" || segment === ".") continue;
      if (segment === "..") {
        behind.pop();
        continue;
      }
      behind.push(segment);
      const target = this.#links.get(behind.join("/"));
      if (target === undefined) continue;
      if (++followed > mostLinks) return undefined;
      behind.pop();
      if (target.startsWith("/")) behind.length = 0;
      ahead.push(...target.split("/").toReversed());
    }
    return behind.join("/");
  }
}

/** The kernel's own bound (path_resolution(7)). */
const mostLinks = 40;
