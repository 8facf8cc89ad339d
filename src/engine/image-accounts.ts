import { readTarStream } from "../archive/tar-read.ts";
import type { Image } from "../oci/image.ts";
import type { Store } from "../store/store.ts";
import { resolveImageUser, type ImageUser } from "./image-user.ts";
import { readImageFile } from "./image-path.ts";
import type { RootFileSystem } from "./rootfs.ts";
import type { UnpackableLayer } from "./rootfs-layer.ts";

type Accounts = Record<string, string>;

const accountFiles = ["etc/passwd", "etc/group"];

/** A passwd of a megabyte is nobody's. */
const maxFileSize = 2 ** 20;

/**
 * Who an image runs as, before it is unpacked: numbers speak for themselves, names are looked up in the layers, once.
 * @throws SheafError SHEAF_IMAGE_USER
 */
export async function findImageUser(store: Store, image: Pick<Image, "layers">, user: string): Promise<ImageUser> {
  if (/^\d+:\d+$/.test(user)) return resolveImageUser(user, () => undefined);
  const key = image.layers.map((layer) => layer.diffId).join("\n");
  let accounts = store.readRecord<Accounts>("image-accounts", key);
  if (!accounts) {
    accounts = await readAccounts(image.layers);
    store.writeRecord("image-accounts", key, accounts);
  }
  const found = accounts;
  return resolveImageUser(user, (file) => found[file]);
}

/** The home folder of a user, from the unpacked image. */
export function homeOf(rootfs: RootFileSystem, user: string): string {
  return resolveImageUser(user, (file) => readImageFile(rootfs.root, file)).home;
}

/** The files as the uppermost layer has them. */
async function readAccounts(layers: readonly UnpackableLayer[]): Promise<Accounts> {
  const accounts: Accounts = {};
  for (const layer of layers.toReversed()) {
    if (accountFiles.every((file) => accounts[file] !== undefined)) break;
    const found: Accounts = {};
    for await (const entry of readTarStream(layer.uncompressed())) {
      const name = entry.path.replace(/^(\.?\/)+/, "");
      if (entry.type !== "file" || !accountFiles.includes(name) || entry.size > maxFileSize) continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.body) chunks.push(Buffer.from(chunk));
      found[name] = Buffer.concat(chunks).toString("utf8");
    }
    for (const [name, text] of Object.entries(found)) accounts[name] ??= text;
  }
  return accounts;
}
