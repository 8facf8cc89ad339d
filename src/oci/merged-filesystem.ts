/** How an engine sees a path after some layers: enough to tell what the next layer does to it. */
export type Node = { type: "directory" } | { type: "symlink"; target: string } | { type: "other" };

/** The union of layers (image-spec, layer.md#applying-changesets). */
export class MergedFilesystem<Held extends { type: string } = Node> {
  /** Stands for folders that only follow from the paths in them. */
  readonly #implied: Held;
  readonly #nodes = new Map<string, Held>();
  readonly #children = new Map<string, Set<string>>();

  constructor(implied: Held) {
    this.#implied = implied;
  }

  get(path: string): Held | undefined {
    return this.#nodes.get(path);
  }

  entries(): IterableIterator<[path: string, node: Held]> {
    return this.#nodes.entries();
  }

  /** Puts a node in place, with its parents; whatever isn't a directory loses its children. */
  set(path: string, node: Held): void {
    const parent = parentOf(path);
    if (parent !== "" && this.#nodes.get(parent)?.type !== "directory") this.set(parent, this.#implied);
    if (node.type !== "directory") this.clear(path);
    this.#nodes.set(path, node);
    const siblings = this.#children.get(parent) ?? new Set();
    siblings.add(path);
    this.#children.set(parent, siblings);
  }

  /** A whiteout: the path and all under it are gone. */
  remove(path: string): void {
    this.clear(path);
    this.#nodes.delete(path);
    this.#children.get(parentOf(path))?.delete(path);
  }

  /** An opaque whiteout: all under the path is gone. */
  clear(path: string): void {
    const pending = [path];
    for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
      for (const child of this.#children.get(current) ?? []) {
        this.#nodes.delete(child);
        pending.push(child);
      }
      this.#children.delete(current);
    }
  }
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? "" : path.slice(0, slash);
}
