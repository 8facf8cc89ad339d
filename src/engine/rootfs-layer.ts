import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { readTarStream, type StreamedTarEntry } from "../archive/tar-read.ts";
import { SheafError } from "../errors.ts";
import type { Layer } from "../oci/image.ts";
import { diskError, type Store } from "../store/store.ts";
import { effectiveMode, type Owner } from "./effective-mode.ts";
import { segments, type LayerChange } from "./rootfs-tree.ts";

/** The part of a Layer that unpacking needs. */
export type UnpackableLayer = Pick<Layer, "diffId" | "uncompressed">;

/** Bytes that one layer may have unpacked: above any real one, below what fills a disk unseen. */
const maxLayerSize = 64 * 2 ** 30;

/**
 * Unpacks a layer into the store, once for each user that runs it, and returns what it changes. The contents lie side by side under numbers,
 * so that no name of the archive ever becomes a path here; `mergeLayers` and hard links make the tree.
 * @throws SheafError SHEAF_LAYER for paths that leave the root, links to nothing, or bytes that don't match the diffID
 */
export async function unpackLayer(store: Store, layer: UnpackableLayer, user: Owner): Promise<LayerChange[]> {
  const target = path.join(store.root, "rootfs", "layers", `${layer.diffId.slice(7)}-${user.uid}-${user.gid}`);
  const known = readChanges(target);
  if (known) return known;

  const folder = store.makeTemporary("layer");
  try {
    const changes = await unpackInto(folder, layer, user);
    fs.writeFileSync(path.join(folder, "changes.json"), JSON.stringify(changes));
    moveIntoPlace(folder, target);
  } catch (error) {
    throw diskError(error, store.root);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  const changes = readChanges(target);
  if (!changes) throw new Error(`${target} has vanished`);
  return changes;
}

/** Renames a folder to its final name, or leaves it where it is when another process was faster. */
export function moveIntoPlace(folder: string, target: string): void {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  try {
    fs.renameSync(folder, target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
  }
}

function readChanges(folder: string): LayerChange[] | undefined {
  let text: string;
  try {
    text = fs.readFileSync(path.join(folder, "changes.json"), "utf8");
  } catch {
    return undefined;
  }
  const changes = JSON.parse(text) as LayerChange[];
  return changes.map((change) =>
    change.type === "file" ? { ...change, content: path.join(folder, change.content) } : change,
  );
}

async function unpackInto(folder: string, layer: UnpackableLayer, user: Owner): Promise<LayerChange[]> {
  const hash = createHash("sha256");
  const byPath = new Map<string, LayerChange>();
  const changes: LayerChange[] = [];
  for await (const entry of readTarStream(hashed(layer.uncompressed(), hash), { totalSize: maxLayerSize })) {
    const name = segments(entry.path).join("/");
    const change = whiteoutOf(name) ?? (await changeOf({ entry, name, folder, user, byPath, number: changes.length }));
    if (!change) continue;
    byPath.set(name, change);
    changes.push(change);
  }
  const diffId = `sha256:${hash.digest("hex")}`;
  if (diffId !== layer.diffId) {
    throw new SheafError(
      "SHEAF_LAYER",
      `a layer's bytes have the diffID ${diffId}, the image promises ${layer.diffId}`,
      {
        hint: "the image is damaged: build or fetch it again",
      },
    );
  }
  return changes;
}

async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  hash: { update(chunk: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

function whiteoutOf(name: string): LayerChange | undefined {
  const slash = name.lastIndexOf("/") + 1;
  const base = name.slice(slash);
  if (!base.startsWith(".wh.")) return undefined;
  if (base === ".wh..wh..opq") return { type: "opaque", path: name.slice(0, slash) };
  // AUFS's own bookkeeping, which old images carry.
  if (base.startsWith(".wh..wh.")) return undefined;
  return { type: "whiteout", path: name.slice(0, slash) + base.slice(4) };
}

interface Unpacking {
  entry: StreamedTarEntry;
  name: string;
  folder: string;
  user: Owner;
  byPath: Map<string, LayerChange>;
  number: number;
}

/** Undefined for devices and pipes, which an ordinary user can't make and an application doesn't need. */
async function changeOf({ entry, name, folder, user, byPath, number }: Unpacking): Promise<LayerChange | undefined> {
  switch (entry.type) {
    case "file": {
      const content = String(number);
      await writeContent(path.join(folder, content), entry.body, effectiveMode(entry, user));
      return { type: "file", path: name, content };
    }
    case "directory":
      return { type: "directory", path: name, mode: effectiveMode(entry, user) };
    case "symlink":
      return { type: "symlink", path: name, target: entry.target ?? "" };
    case "hardlink": {
      const target = byPath.get(segments(entry.target ?? "").join("/"));
      if (target?.type === "file" || target?.type === "symlink") return { ...target, path: name };
      throw new SheafError(
        "SHEAF_LAYER",
        `/${name} is a hard link to ${entry.target}, which its layer does not hold before it`,
      );
    }
    default:
      return undefined;
  }
}

async function writeContent(file: string, body: AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  const descriptor = fs.openSync(file, "wx", 0o600);
  try {
    for await (const chunk of body) {
      for (let offset = 0; offset < chunk.length;) offset += fs.writeSync(descriptor, chunk, offset);
    }
    fs.fchmodSync(descriptor, mode);
  } finally {
    fs.closeSync(descriptor);
  }
}
