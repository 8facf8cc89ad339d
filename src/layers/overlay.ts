import { SheafError } from "../errors.ts";
import type { DirectoryEntry } from "../filesystem/entry.ts";
import type { RootTree } from "../filesystem/root-tree.ts";

/** What a layer goes over. */
export interface Overlay {
  /** Names the file system below: the same key, the same tree. */
  readonly key: string;
  readonly tree: RootTree;
}

/**
 * The folders of a layer as they stand below: mode and owner of one that is there are kept, unless it is given to a user.
 * @throws SheafError SHEAF_BASE_PATH where a folder would go over a link or a file of the base
 */
export function overDirectories(directories: readonly DirectoryEntry[], { tree }: Overlay): DirectoryEntry[] {
  return directories.map((entry) => {
    const below = tree.get(entry.path);
    if (!below) return entry;
    if (below.type !== "directory") throw notDirectory(entry.path, below);
    const { mode, uid, gid } = entry.uid === 0 ? below : entry;
    return { ...entry, mode, uid, gid };
  });
}

function notDirectory(path: string, below: { type: string; target?: string }): SheafError {
  const what = below.type === "symlink" ? `a symbolic link to ${below.target}` : "a file";
  return new SheafError(
    "SHEAF_BASE_PATH",
    `/${path} is ${what} in the base image, and the image needs a folder there`,
    {
      hint: [
        "a layer with that folder would hide what the link leads to, so none is written",
        "take another base, or --base debian, which composes one",
      ],
    },
  );
}
