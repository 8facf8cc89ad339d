import type { Store } from "./store.ts";

/** Records of what was made from inputs, not of the inputs themselves. */
const made: ReadonlySet<string> = new Set([
  "app-segment",
  "bytecode",
  "bytecode-pack",
  "deb",
  "environment",
  "interpreter",
  "layer-group",
  "own-bytecode",
  "system",
  "wheel",
]);

/**
 * A view of a store for `--no-cache`: downloads and resolutions are known, but nothing that was made of them before this
 * view was.
 */
export function madeAnew(store: Store): Store {
  const written = new Set<string>();
  return {
    root: store.root,
    hasBlob: (digest) => store.hasBlob(digest),
    blobPath: (digest) => store.blobPath(digest),
    blobSize: (digest) => store.blobSize(digest),
    readBlob: (digest) => store.readBlob(digest),
    putBlob: (bytes) => store.putBlob(bytes),
    openBlobWriter: () => store.openBlobWriter(),
    readRecord: (kind, key) =>
      made.has(kind) && !written.has(`${kind} ${key}`) ? undefined : store.readRecord(kind, key),
    writeRecord: (kind, key, value) => {
      written.add(`${kind} ${key}`);
      store.writeRecord(kind, key, value);
    },
    removeRecord: (kind, key) => store.removeRecord(kind, key),
    listRecords: (kind) => store.listRecords(kind),
    makeTemporary: (prefix) => store.makeTemporary(prefix),
    dispose: () => store.dispose(),
  };
}
