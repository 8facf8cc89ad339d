import { SheafError } from "../errors.ts";

/** What one layer changes, in the order of its tar archive. Modes are the nine permission bits. */
export type LayerChange =
  /** `content` names the file that holds the bytes; a hard link shares its target's. */
  | { type: "file"; path: string; content: string }
  | { type: "directory"; path: string; mode: number }
  | { type: "symlink"; path: string; target: string }
  /** Removes what lower layers have at the path: image-spec, layer.md#whiteouts. */
  | { type: "whiteout"; path: string }
  /** Removes everything that lower layers have inside the folder. */
  | { type: "opaque"; path: string };

export type TreeNode = TreeFile | TreeSymlink | TreeFolder;

export interface TreeFile {
  type: "file";
  content: string;
}

export interface TreeSymlink {
  type: "symlink";
  target: string;
}

export interface TreeFolder {
  type: "directory";
  mode: number;
  children: Map<string, TreeNode>;
}

/**
 * Lays layers over one another, the lowest first, without touching a disk. Nothing is ever written through a symbolic link: a folder that an
 * upper layer needs where a lower one has a link or a file takes its place, as in Docker's overlay.
 */
export function mergeLayers(layers: Iterable<readonly LayerChange[]>): TreeFolder {
  const root = newFolder();
  for (const changes of layers) {
    // Whiteouts speak of lower layers only, wherever they stand in the archive.
    for (const change of changes) {
      if (change.type === "whiteout") remove(root, change.path);
      if (change.type === "opaque") find(root, change.path)?.children.clear();
    }
    for (const change of changes) add(root, change);
  }
  return root;
}

/** The folder at a path, made if need be; what stands in its way is replaced. */
export function ensureFolder(root: TreeFolder, path: string): TreeFolder {
  let folder = root;
  for (const name of segments(path)) {
    const child = folder.children.get(name);
    const next = child?.type === "directory" ? child : newFolder();
    if (next !== child) folder.children.set(name, next);
    folder = next;
  }
  return folder;
}

/** The segments of a path that may begin with `/` or `./`. @throws SheafError SHEAF_LAYER for `..` */
export function segments(path: string): string[] {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) {
    throw new SheafError(
      "SHEAF_LAYER",
      `a layer holds the path ${JSON.stringify(path)}, which leaves the root file system`,
      {
        hint: "this image was damaged or made to do harm: don't run it",
      },
    );
  }
  return names;
}

function add(root: TreeFolder, change: LayerChange): void {
  if (change.type === "whiteout" || change.type === "opaque") return;
  const names = segments(change.path);
  const name = names.pop();
  if (name === undefined) {
    if (change.type === "directory") root.mode = change.mode;
    return;
  }
  const parent = ensureFolder(root, names.join("/"));
  const there = parent.children.get(name);
  if (change.type === "directory" && there?.type === "directory") there.mode = change.mode;
  else parent.children.set(name, nodeOf(change));
}

function nodeOf(change: Exclude<LayerChange, { type: "whiteout" | "opaque" }>): TreeNode {
  if (change.type === "file") return { type: "file", content: change.content };
  if (change.type === "symlink") return { type: "symlink", target: change.target };
  return { type: "directory", mode: change.mode, children: new Map() };
}

/** A folder that no layer mentions belongs to root, as engines make it. */
function newFolder(): TreeFolder {
  return { type: "directory", mode: 0o555, children: new Map() };
}

function remove(root: TreeFolder, path: string): void {
  const names = segments(path);
  const name = names.pop();
  if (name !== undefined) find(root, names.join("/"))?.children.delete(name);
}

function find(root: TreeFolder, path: string): TreeFolder | undefined {
  let folder = root;
  for (const name of segments(path)) {
    const child = folder.children.get(name);
    if (child?.type !== "directory") return undefined;
    folder = child;
  }
  return folder;
}
