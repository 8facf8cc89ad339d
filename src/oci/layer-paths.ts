import type { TarFacts } from "../archive/tar-header.ts";
import type { ImageProblem } from "./image-problem.ts";
import type { MergedFilesystem, Node } from "./merged-filesystem.ts";
import { parentOf } from "./merged-filesystem.ts";

const whiteout = ".wh.";
/** Empty segments, `.` and `..`. */
const unclean = /(?:^|\/)\.{0,2}(?:\/|$)/;
const opaque = ".wh..wh..opq";
/** Of one layer: nobody reads more, and an archive may have one for each of a million entries. */
const mostProblems = 1000;

/** Follows the entries of one layer in their order and collects what an engine would refuse or do otherwise. */
export class LayerPaths {
  readonly #layer: number;
  readonly #merged: MergedFilesystem;
  readonly #problems: ImageProblem[] = [];
  /** What this layer has, by path as engines understand it. */
  readonly #own = new Map<string, Node>();
  readonly #whiteouts = new Set<string>();
  /** Hard links whose target has not come yet. */
  readonly #open: { path: string; target: string }[] = [];
  readonly #reportedLinks = new Set<string>();

  constructor(layer: number, merged: MergedFilesystem) {
    this.#layer = layer;
    this.#merged = merged;
  }

  add(entry: TarFacts): void {
    const path = this.#normalise(entry.path, entry.path);
    // The root itself: `./` in many archives.
    if (path === undefined || path === "") return;
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith(whiteout)) return this.#addWhiteout(path, name, entry.path);
    this.#checkDuplicate(path, entry.path);
    this.#checkParents(path, entry.path);
    this.#checkReplaced(path, entry);
    if (entry.type === "hardlink") this.#checkLink(entry);
    this.#own.set(path, nodeOf(entry));
  }

  /** Adds the layer to the merged file system; nothing may be added afterwards. */
  finish(): ImageProblem[] {
    for (const link of this.#open) this.#reportLink(link);
    for (const [path, node] of this.#own) {
      const below = this.#merged.get(path);
      if (node.type !== "directory" || below?.type !== "directory") this.#merged.set(path, node);
    }
    return this.#problems;
  }

  #normalise(path: string, shown: string): string | undefined {
    if (!unclean.test(path)) return path;
    const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
    if (path.startsWith("/") || segments.includes("..")) {
      this.#report("unsafe-path", shown, `leads out of the image: engines clamp it or refuse the layer`);
    }
    return segments.includes("..") ? undefined : segments.join("/");
  }

  #addWhiteout(path: string, name: string, shown: string): void {
    if (this.#whiteouts.has(path)) this.#report("duplicate-path", shown, "is in the layer twice");
    this.#whiteouts.add(path);
    if (name === opaque) this.#merged.clear(parentOf(path));
    else this.#merged.remove(join(parentOf(path), name.slice(whiteout.length)));
  }

  #checkDuplicate(path: string, shown: string): void {
    if (!this.#own.has(path)) return;
    this.#report("duplicate-path", shown, "is in the layer twice (./a and a are the same path)");
  }

  /** A path through something that isn't a directory: engines replace it, follow it or refuse the layer. */
  #checkParents(path: string, shown: string): void {
    for (let parent = parentOf(path); parent !== ""; parent = parentOf(parent)) {
      const own = this.#own.get(parent);
      if (own?.type === "directory") return;
      const node = own ?? this.#merged.get(parent);
      if (!node || node.type === "directory") continue;
      if (own || node.type === "other") {
        this.#report("parent-not-directory", shown, `lies under ${parent}, which is no directory`);
      } else {
        this.#reportReplaced(parent, shown, node.target);
      }
      return;
    }
  }

  /** A directory over a symbolic link of a layer below, as `lib/` over the `lib` of a merged /usr. */
  #checkReplaced(path: string, entry: TarFacts): void {
    const below = this.#merged.get(path);
    if (entry.type === "directory" && below?.type === "symlink") this.#reportReplaced(path, entry.path, below.target);
  }

  #checkLink(entry: TarFacts): void {
    const target = this.#normalise(entry.target ?? "", entry.path);
    if (target === undefined) return;
    if (!this.#own.has(target)) this.#open.push({ path: entry.path, target });
  }

  #reportLink({ path, target }: { path: string; target: string }): void {
    if (this.#own.has(target)) {
      this.#report("hardlink-early", path, `is a hard link to ${target}, which comes only after it`);
    } else if (this.#merged.get(target)) {
      this.#report("hardlink-cross-layer", path, `is a hard link to ${target} in a layer below; Docker can't make it`);
    } else {
      this.#report("hardlink-missing", path, `is a hard link to ${target}, which isn't there`);
    }
  }

  #reportReplaced(link: string, path: string, target: string): void {
    if (this.#reportedLinks.has(link)) return;
    this.#reportedLinks.add(link);
    this.#report(
      "symlink-replaced",
      path,
      `goes over ${link}, a symbolic link to ${target} in a layer below: Docker replaces the link by a directory, and what it led to is lost`,
    );
  }

  #report(code: ImageProblem["code"], path: string, what: string): void {
    if (this.#problems.length === mostProblems) return;
    const message = `layer ${this.#layer}: ${JSON.stringify(path)} ${what}`;
    this.#problems.push({ code, severity: "error", layer: this.#layer, path, message });
  }
}

function nodeOf(entry: TarFacts): Node {
  if (entry.type === "directory") return { type: "directory" };
  if (entry.type === "symlink") return { type: "symlink", target: entry.target ?? "" };
  return { type: "other" };
}

function join(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}
