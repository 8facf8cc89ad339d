import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { compressionOf } from "../archive/compression.ts";
import { decompressStream } from "../archive/decompress.ts";
import type { Digest, Store } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import { archiveSource } from "./archive-source.ts";
import type { BlobSource } from "./blob-source.ts";
import { streamFile } from "./blob-source.ts";
import { canonicalJson } from "./canonical-json.ts";
import { withTag } from "./image-name.ts";
import { checkLayerCount, imageError, isObject, parseConfig, parseJson } from "./documents.ts";
import type { Image } from "./image.ts";
import type { ImageChoice } from "./choose-image.ts";
import { imageFromManifest, openOciImage, requireFile, withPlaces } from "./open-image.ts";
import type { Descriptor, Manifest } from "./types.ts";
import { mediaTypes } from "./types.ts";

export interface ArchiveChoice extends ImageChoice {
  /** Where a compressed archive is unpacked, until the store is disposed of. */
  store?: Store;
}

/**
 * Opens an image in a tar archive: what `docker save`, `podman save` and `skopeo copy … oci-archive:` write. Layers are
 * read in place when they are asked for; the layers of a Docker archive that are compressed are hashed first.
 * @throws SheafError SHEAF_IMAGE, SHEAF_TAR, SHEAF_COMPRESSION
 */
export async function openDockerArchive(file: string, choice: ArchiveChoice = {}): Promise<Image> {
  const source = archiveSource(await seekable(file, choice.store));
  if (source.size("index.json") !== undefined) return openOciImage(source, choice);
  if (source.size("manifest.json") !== undefined) return openSaved(source, choice);
  throw imageError(`${file} is no image: it has neither index.json nor manifest.json`);
}

async function seekable(file: string, store: Store | undefined): Promise<string> {
  const compression = compressionOf(readHead(file));
  if (compression === "none") return file;
  if (!store) throw imageError(`${file} is compressed with ${compression}, and there is no store to unpack it in`);
  const unpacked = path.join(store.makeTemporary("archive"), "archive.tar");
  const handle = await fs.promises.open(unpacked, "wx");
  try {
    for await (const chunk of decompressStream(streamFile(file), compression)) await handle.writeFile(chunk);
  } finally {
    await handle.close();
  }
  return unpacked;
}

function readHead(file: string): Uint8Array {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, "r");
  } catch (cause) {
    throw imageError(`${file} can't be read: ${(cause as Error).message}`, cause);
  }
  try {
    const head = new Uint8Array(8);
    return head.subarray(0, fs.readSync(descriptor, head, 0, head.length, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

/** One image in the manifest.json of a Docker archive. */
interface SavedImage {
  Config: string;
  RepoTags?: string[] | null;
  Layers: string[];
}

/** A Docker archive has no manifest: one is made that describes its layers as they are in it. */
async function openSaved(source: BlobSource, choice: ArchiveChoice): Promise<Image> {
  const saved = chooseSaved(source, choice.tag);
  const configBytes = requireFile(source, saved.Config);
  const config = parseConfig(configBytes, `${source.name}: ${saved.Config}`);
  checkLayerCount(saved.Layers, `${source.name}: manifest.json`);
  const layers: Descriptor[] = [];
  for (const [index, file] of saved.Layers.entries())
    layers.push(await describeLayer(source, file, config.rootfs?.diff_ids?.[index]));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: sha256(configBytes), size: configBytes.length },
    layers,
  };
  // By its place in the list: what an archive says of digests may be wrong, and the same for two layers.
  const fileOf = (index: number) => saved.Layers[index] ?? "";
  const image = imageFromManifest(canonicalJson(manifest), configBytes, (_layer, index) =>
    source.stream(fileOf(index)),
  );
  return withPlaces(image, (_digest, index) => source.place(fileOf(index)));
}

function chooseSaved(source: BlobSource, tag: string | undefined): SavedImage {
  const all = parseJson(requireFile(source, "manifest.json"), `${source.name}: manifest.json`);
  if (!Array.isArray(all) || !all.every(isSavedImage))
    throw imageError(`${source.name}: manifest.json is not Docker's`);
  const named = tag === undefined ? all : all.filter((image) => image.RepoTags?.some((name) => name === withTag(tag)));
  const [first] = named;
  if (first && named.length === 1) return first;
  const tags = all.flatMap((image) => image.RepoTags ?? []).join(", ");
  throw imageError(
    `${source.name} ${tag === undefined ? "holds several images" : `has no image ${tag}`}; its tags: ${tags}`,
  );
}

function isSavedImage(value: unknown): value is SavedImage {
  if (!isObject(value)) return false;
  const { Config, RepoTags, Layers } = value;
  return (
    typeof Config === "string" && isTexts(Layers) && (RepoTags === null || RepoTags === undefined || isTexts(RepoTags))
  );
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

async function describeLayer(source: BlobSource, file: string, diffId: Digest | undefined): Promise<Descriptor> {
  const size = source.size(file);
  if (size === undefined) throw imageError(`${source.name} has no ${file}, which its manifest.json names as a layer`);
  const hash = createHash("sha256");
  let head: Uint8Array | undefined;
  for await (const chunk of source.stream(file)) {
    head ??= chunk.slice(0, 8);
    // The digest of an archive that isn't compressed is its diffID, which the config has.
    if (diffId !== undefined && compressionOf(head) === "none")
      return { mediaType: mediaTypes.layer, digest: diffId, size };
    hash.update(chunk);
  }
  const compression = compressionOf(head ?? new Uint8Array());
  const mediaType = { gzip: mediaTypes.layerGzip, zstd: mediaTypes.layerZstd, none: mediaTypes.layer, xz: undefined }[
    compression
  ];
  if (!mediaType)
    throw imageError(`${source.name}: the layer ${file} is compressed with ${compression}, which images can't be`);
  return { mediaType, digest: `sha256:${hash.digest("hex")}`, size };
}
