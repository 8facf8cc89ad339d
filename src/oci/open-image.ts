import { decompressStream } from "../archive/decompress.ts";
import { SheafError } from "../errors.ts";
import type { Platform } from "../platform.ts";
import { platformName } from "../platform.ts";
import type { Digest } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import type { BlobSource } from "./blob-source.ts";
import { imageError, parseConfig, parseIndex, parseManifest } from "./documents.ts";
import { kindOf, layerHistory } from "./history.ts";
import { containerdName, fullName } from "./image-name.ts";
import type { Image, Layer } from "./image.ts";
import { platformOf } from "./image.ts";
import type { Descriptor } from "./types.ts";
import { isIndexType, isManifestType, refName } from "./types.ts";

export interface ImageChoice {
  /** Value of `org.opencontainers.image.ref.name`, or a whole name such as `app:1.0`; needed when there are several images. */
  tag?: string;
  /** Needed when the image is there for several platforms. */
  platform?: Platform;
}

/**
 * Opens the image that `choice` names in an OCI layout. Manifest and config are checked against their digests, layers are not
 * touched.
 * @throws SheafError SHEAF_IMAGE
 */
export function openOciImage(source: BlobSource, choice: ImageChoice = {}): Image {
  const index = parseIndex(requireFile(source, "index.json"), `${source.name}: index.json`);
  return openDescriptor(source, chooseTag(source, index.manifests.filter(isImage), choice.tag), choice);
}

/** Opens an image by its manifest's bytes; `stream` gives the bytes of a layer's blob. */
export function imageFromManifest(
  manifestBytes: Uint8Array,
  configBytes: Uint8Array,
  stream: (layer: Descriptor) => AsyncIterable<Uint8Array>,
): Image {
  const digest = sha256(manifestBytes);
  const manifest = parseManifest(manifestBytes, `manifest ${digest}`);
  const config = parseConfig(configBytes, `config ${manifest.config.digest}`);
  const history = layerHistory(config.history);
  const layers = manifest.layers.map((descriptor, index): Layer => {
    const compressed = () => stream(descriptor);
    return {
      digest: descriptor.digest,
      diffId: config.rootfs?.diff_ids?.[index] ?? emptyDigest,
      size: descriptor.size,
      unpackedSize: 0,
      mediaType: descriptor.mediaType,
      kind: kindOf(history[index]),
      createdBy: history[index]?.created_by ?? "",
      compressed,
      uncompressed: () => decompressStream(compressed(), descriptor.mediaType.endsWith("gzip") ? "gzip" : undefined),
    };
  });
  return { digest, manifest, manifestBytes, config, configBytes, layers, platform: platformOf(config) };
}

/** `blobs/sha256/<hex>` (image-spec, image-layout.md). */
export function blobFile(digest: Digest): string {
  return `blobs/sha256/${digest.slice("sha256:".length)}`;
}

export function requireFile(source: BlobSource, file: string): Uint8Array {
  const bytes = source.read(file);
  if (bytes) return bytes;
  throw imageError(`${source.name} has no ${file}: it is no OCI layout, or incomplete`);
}

/** Stands for a diffID that the config doesn't have; no archive has it. */
const emptyDigest: Digest = `sha256:${"0".repeat(64)}`;

function openDescriptor(source: BlobSource, descriptor: Descriptor, choice: ImageChoice): Image {
  const bytes = readBlob(source, descriptor);
  const where = `${source.name}: ${descriptor.digest}`;
  if (isIndexType(descriptor.mediaType)) {
    const nested = parseIndex(bytes, where).manifests.filter(
      (child) => isManifestType(child.mediaType) && isImage(child),
    );
    return openDescriptor(source, choosePlatform(source, nested, choice.platform), choice);
  }
  const { config } = parseManifest(bytes, where);
  const image = imageFromManifest(bytes, readBlob(source, config), (layer) => source.stream(blobFile(layer.digest)));
  if (choice.platform && image.platform.architecture !== choice.platform.architecture) {
    throw noSuchPlatform(source, choice.platform, [image.platform.architecture]);
  }
  return image;
}

function readBlob(source: BlobSource, { digest }: Descriptor): Uint8Array {
  const bytes = requireFile(source, blobFile(digest));
  if (sha256(bytes) === digest) return bytes;
  throw imageError(`${source.name}: the blob ${digest} does not have the content that its digest names`);
}

/** Attestations of BuildKit sit in the index beside the images. */
function isImage(descriptor: Descriptor): boolean {
  if (descriptor.annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  return isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
}

function chooseTag(source: BlobSource, all: Descriptor[], tag: string | undefined): Descriptor {
  const named = tag === undefined ? all : all.filter((descriptor) => isNamed(descriptor, tag));
  const [first] = named;
  const distinct = new Set(named.map((descriptor) => descriptor.digest)).size;
  if (first && distinct === 1) return first;
  const tags = all.map((descriptor) => descriptor.annotations?.[refName] ?? "(untagged)").join(", ");
  const what = first
    ? "holds several images"
    : tag === undefined
      ? "holds no image"
      : `has no image with the tag ${tag}`;
  throw new SheafError("SHEAF_IMAGE", `${source.name} ${what}`, {
    details: all.length > 0 ? [["tags", tags]] : [],
    hint: all.length > 0 ? "name one of its tags" : "check the path",
  });
}

function isNamed({ annotations }: Descriptor, tag: string): boolean {
  return annotations?.[refName] === tag || annotations?.[containerdName] === fullName(tag);
}

function choosePlatform(source: BlobSource, all: Descriptor[], platform: Platform | undefined): Descriptor {
  const fitting = platform ? all.filter((d) => d.platform?.architecture === platform.architecture) : all;
  const [first] = fitting;
  if (first && (platform || fitting.length === 1)) return first;
  const there = all.map((descriptor) => descriptor.platform?.architecture ?? "unknown");
  if (platform) throw noSuchPlatform(source, platform, there);
  throw new SheafError("SHEAF_IMAGE", `${source.name} holds the image for several platforms`, {
    details: [["platforms", there.join(", ")]],
    hint: "name one with --platform",
  });
}

function noSuchPlatform(source: BlobSource, platform: Platform, there: string[]): SheafError {
  return new SheafError("SHEAF_IMAGE", `${source.name} does not hold the image for ${platformName(platform)}`, {
    details: [["it holds", there.join(", ")]],
    hint: "choose another --platform, or build the image for this one",
  });
}
