import { LinkedPaths } from "../elf/linked-paths.ts";

/** One path of a root file system. `other` stands for devices and pipes. */
export interface TreeNode {
  type: "file" | "directory" | "symlink" | "other";
  mode: number;
  uid: number;
  gid: number;
  /** Bytes; 0 for anything but files. */
  size: number;
  /** Of symbolic links. */
  target?: string;
}

/** A finished root file system, without contents: what lies at a path, and where symbolic links lead. */
export class RootTree {
  readonly #nodes: ReadonlyMap<string, TreeNode>;
  readonly #links: LinkedPaths;

  /** @param nodes by path from the root, without a leading slash */
  constructor(nodes: ReadonlyMap<string, TreeNode>) {
    this.#nodes = nodes;
    const links: { path: string; target: string }[] = [];
    for (const [path, { type, target = "" }] of nodes) if (type === "symlink") links.push({ path, target });
    this.#links = new LinkedPaths(links);
  }

  /** What lies at exactly this path; links are not followed. */
  get(path: string): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  /** The path without symbolic links, as the kernel follows them; the path itself when they lead in a circle. */
  resolve(path: string): string {
    return this.#links.resolve(path) ?? path;
  }

  /** What a path leads to. */
  find(path: string): TreeNode | undefined {
    return this.#nodes.get(this.resolve(path));
  }

  /** Where a path has to be written, so that it does not go over a link: its folder without links, its name as it is. */
  place(path: string): string {
    const slash = path.lastIndexOf("/");
    if (slash < 0) return path;
    const folder = this.resolve(path.slice(0, slash));
    return folder === "" ? path.slice(slash + 1) : `${folder}/${path.slice(slash + 1)}`;
  }

  paths(): Iterable<string> {
    return this.#nodes.keys();
  }
}
