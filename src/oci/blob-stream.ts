import { createHash } from "node:crypto";
import { createReadStream, readFileSync, rmSync, statSync } from "node:fs";

import { SheafError } from "../errors.ts";
import type { Digest, Store } from "../store/store.ts";
import { isErrno } from "../store/store.ts";

/**
 * Streams blobs of the store one after another and re-hashes each. A damaged one is removed from the store.
 * @throws SheafError SHEAF_DAMAGED with the detail `part` for a blob that is missing or isn't what its name says
 */
export async function* readParts(store: Store, parts: readonly Digest[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) {
    const hash = createHash("sha256");
    for await (const chunk of readPart(store, part)) {
      hash.update(chunk);
      yield chunk;
    }
    if (`sha256:${hash.digest("hex")}` === part) continue;
    rmSync(store.blobPath(part), { force: true });
    throw damaged(part, "does not have the content that its digest names; it was removed");
  }
}

/** @throws SheafError SHEAF_DAMAGED as readParts */
export async function verifyParts(store: Store, parts: readonly Digest[]): Promise<void> {
  for await (const chunk of readParts(store, parts)) void chunk;
}

const readSize = 512 * 1024;

async function* readPart(store: Store, part: Digest): AsyncGenerator<Uint8Array, void, void> {
  const path = store.blobPath(part);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw damaged(part, "is not in the store");
  // Layers consist of thousands of small parts: a stream for each would take longer than reading them.
  if (stat.size <= readSize) return yield readSmall(path, part);
  const stream = createReadStream(path, { highWaterMark: readSize });
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } finally {
    stream.destroy();
  }
}

function readSmall(path: string, part: Digest): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw damaged(part, "is not in the store");
    throw error;
  }
}

function damaged(part: Digest, what: string): SheafError {
  return new SheafError("SHEAF_DAMAGED", `a part of a layer, ${part}, ${what}`, {
    details: [["part", part]],
    hint: "build again: what is damaged is made anew, the rest is reused",
  });
}
