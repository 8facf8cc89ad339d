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
  // Times of files lag behind the clock by a tick of the kernel.
  const began = Date.now() - 10;
  const isOld = (kind: string, key: string) => made.has(kind) && (store.recordTime(kind, key) ?? 0) < began;
  return {
    root: store.root,
    hasBlob: (digest) => store.hasBlob(digest),
    blobPath: (digest) => store.blobPath(digest),
    blobSize: (digest) => store.blobSize(digest),
    readBlob: (digest) => store.readBlob(digest),
    putBlob: (bytes) => store.putBlob(bytes),
    openBlobWriter: () => store.openBlobWriter(),
    // Threads write to the store itself: only the time tells whether a record was made since.
    readRecord: (kind, key) => (isOld(kind, key) ? undefined : store.readRecord(kind, key)),
    recordTime: (kind, key) => (isOld(kind, key) ? undefined : store.recordTime(kind, key)),
    writeRecord: (kind, key, value) => store.writeRecord(kind, key, value),
    removeRecord: (kind, key) => store.removeRecord(kind, key),
    listRecords: (kind) => store.listRecords(kind),
    makeTemporary: (prefix) => store.makeTemporary(prefix),
    dispose: () => store.dispose(),
  };
}
