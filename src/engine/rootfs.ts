import * as fs from "node:fs";
import * as path from "node:path";

import { diskError, sha256, type Digest, type Store } from "../store/store.ts";
import { mapConcurrently } from "../concurrency.ts";
import type { Owner } from "./effective-mode.ts";
import { moveIntoPlace, unpackLayer, type UnpackableLayer } from "./rootfs-layer.ts";
import { ensureFolder, mergeLayers, type TreeFile, type TreeFolder } from "./rootfs-tree.ts";

/** A root file system in the store, for any number of containers at once: none ever writes to it. */
export interface RootFileSystem {
  /** Absolute path of the tree. */
  root: string;
  /** An empty folder beside it, for a container's own mounts. */
  mountPoint: string;
  /** A file with the folders that the image's user may not write to, parents first, each ended by NUL; `.writable` beside it lists exceptions. */
  folders: string;
}

/** Changes when the shape of what is stored does. */
const formatVersion = 1;

/**
 * Unpacks an image's layers into the store and merges them, both at most once: with nothing new it costs one look at the disk.
 * Worth calling early: as soon as an image is built, before anybody asks to run it.
 * @throws SheafError SHEAF_LAYER
 */
export async function prepareRootFileSystem(
  store: Store,
  layers: readonly UnpackableLayer[],
  user: Owner,
): Promise<RootFileSystem> {
  const folder = path.join(store.root, "rootfs", "trees", treeKey(layers, user).slice(7));
  if (!fs.existsSync(folder)) {
    const changes = await mapConcurrently(layers, 3, (layer) => unpackLayer(store, layer, user));
    const tree = mergeLayers(changes);
    addMountPoints(tree);
    placeTree(store, tree, folder);
  }
  markUsed(folder);
  return describe(folder);
}

function treeKey(layers: readonly UnpackableLayer[], user: Owner): Digest {
  return sha256([`v${formatVersion}`, `${user.uid}:${user.gid}`, ...layers.map((layer) => layer.diffId)].join("\n"));
}

function describe(folder: string): RootFileSystem {
  return {
    root: path.join(folder, "root"),
    mountPoint: path.join(folder, "mount"),
    folders: path.join(folder, "folders"),
  };
}

/** Where a container's own file systems are mounted. Links there would lead out of the root while it is being set up. */
function addMountPoints(tree: TreeFolder): void {
  for (const name of ["dev/pts", "dev/shm", "proc", "run", "sys/devices/system/cpu", "tmp"]) ensureFolder(tree, name);
  const etc = ensureFolder(tree, "etc");
  for (const name of ["resolv.conf", "hosts"]) etc.children.set(name, emptyFile);
  const devices = ensureFolder(tree, "dev");
  for (const name of ["null", "zero", "full", "random", "urandom", "tty"]) devices.children.set(name, emptyFile);
  for (const [name, target] of deviceLinks) devices.children.set(name, { type: "symlink", target });
}

const emptyFile: TreeFile = { type: "file", content: "" };

const deviceLinks = [
  ["ptmx", "pts/ptmx"],
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
] as const;

function placeTree(store: Store, tree: TreeFolder, target: string): void {
  const temporary = store.makeTemporary("tree");
  try {
    writeTree(temporary, tree);
    moveIntoPlace(temporary, target);
  } catch (error) {
    throw diskError(error, store.root);
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

function writeTree(folder: string, tree: TreeFolder): void {
  const { root, mountPoint, folders } = describe(folder);
  fs.mkdirSync(mountPoint);
  const listed: ListedFolder[] = [];
  writeFolder({ target: root, name: "", tree, listed });
  fs.writeFileSync(folders, nulEnded(listed.filter((each) => each.needed)));
  fs.writeFileSync(`${folders}.writable`, nulEnded(listed.filter((each) => each.needed && each.writable)));
}

interface ListedFolder {
  path: string;
  writable: boolean;
  /** Not writable itself, or above one that isn't. */
  needed: boolean;
}

function nulEnded(folders: ListedFolder[]): string {
  return folders.map((each) => `${each.path}\0`).join("");
}

interface Writing {
  target: string;
  /** Relative to the root. */
  name: string;
  tree: TreeFolder;
  listed: ListedFolder[];
}

/** Returns whether any folder in it, itself included, is closed to the image's user. */
function writeFolder({ target, name, tree, listed }: Writing): boolean {
  fs.mkdirSync(target, 0o755);
  const writable = (tree.mode & 0o200) !== 0;
  const self: ListedFolder = { path: name, writable, needed: !writable };
  if (name !== "") listed.push(self);
  for (const [childName, child] of tree.children) {
    const childTarget = `${target}/${childName}`;
    if (child.type === "directory") {
      const childPath = name === "" ? childName : `${name}/${childName}`;
      self.needed = writeFolder({ target: childTarget, name: childPath, tree: child, listed }) || self.needed;
    } else if (child.type === "symlink") {
      fs.symlinkSync(child.target, childTarget);
    } else {
      placeFile(child.content, childTarget);
    }
  }
  return self.needed;
}

function placeFile(content: string, target: string): void {
  if (content === "") return fs.writeFileSync(target, "", { mode: 0o644 });
  try {
    fs.linkSync(content, target);
  } catch (error) {
    // A file has a limited number of names (EMLINK), and some file systems allow one.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EMLINK" && code !== "EPERM" && code !== "ENOTSUP") throw error;
    fs.copyFileSync(content, target);
  }
}

/** A pruner goes by this time. */
function markUsed(folder: string): void {
  const now = new Date();
  fs.utimesSync(folder, now, now);
}
