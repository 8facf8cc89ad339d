import { promisify } from "node:util";
import { gunzip } from "node:zlib";

import { SheafError } from "../errors.ts";
import { type Digest, openStore } from "../store/store.ts";
import { compactIndex } from "./package-index.ts";

/** Makes the compact index of a Packages file that the store has. */
export interface IndexTask {
  storeRoot: string;
  blob: Digest;
  /** Its name in the archive, which tells how it is compressed. */
  name: string;
}

/**
 * @returns the compact index in the store
 * @throws SheafError SHEAF_STORE when the file is gone
 */
export async function preparePackageIndex({ storeRoot, blob, name }: IndexTask): Promise<Digest> {
  const store = openStore(storeRoot);
  const bytes = store.readBlob(blob);
  if (!bytes) throw new SheafError("SHEAF_STORE", `${name} vanished from the cache while it was read`);
  return store.putBlob(compactIndex(await unpack(name, bytes)));
}

/** Ubuntu's universe has 70 MB of text; nothing has ten times that. */
const indexLimit = 512 * 1024 * 1024;

async function unpack(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (name.endsWith(".gz")) return promisify(gunzip)(bytes, { maxOutputLength: indexLimit });
  if (!name.endsWith(".xz")) return bytes;
  const { decompress } = await import("../archive/decompress.ts");
  return decompress(bytes, indexLimit);
}
