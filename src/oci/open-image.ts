import { decompressStream } from "../archive/decompress.ts";
import { SheafError } from "../errors.ts";
import type { Platform } from "../platform.ts";
import { platformName } from "../platform.ts";
import type { Digest } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import type { BlobSource } from "./blob-source.ts";
import { kindOf, layerHistory } from "./history.ts";
import { containerdName, fullName } from "./image-name.ts";
import type { Image, Layer } from "./image.ts";
import { platformOf } from "./image.ts";
import type { Descriptor, ImageConfig, Index, Manifest } from "./types.ts";
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
  const index = parseJson<Index>(requireFile(source, "index.json"), `${source.name}: index.json`);
  if (!Array.isArray(index.manifests)) throw imageError(`${source.name}: index.json has no list of manifests`);
  return openDescriptor(source, chooseTag(source, index.manifests.filter(isImage), choice.tag), choice);
}

/** Opens an image by its manifest's bytes; `stream` gives the bytes of a layer's blob. */
export function imageFromManifest(
  manifestBytes: Uint8Array,
  configBytes: Uint8Array,
  stream: (layer: Descriptor) => AsyncIterable<Uint8Array>,
): Image {
  const digest = sha256(manifestBytes);
  const manifest = parseJson<Manifest>(manifestBytes, `manifest ${digest}`);
  if (!Array.isArray(manifest.layers)) throw imageError(`manifest ${digest} has no list of layers`);
  for (const layer of manifest.layers) checkDigest(layer.digest, `manifest ${digest}`);
  const config = parseJson<ImageConfig>(configBytes, `config ${sha256(configBytes)}`);
  const history = layerHistory(Array.isArray(config.history) ? config.history : []);
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

export function parseJson<T>(bytes: Uint8Array, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw imageError(`${what} is not JSON: ${(cause as Error).message}`, cause);
  }
  if (typeof value !== "object" || value === null) throw imageError(`${what} is not a JSON object`);
  return value as T;
}

export function requireFile(source: BlobSource, file: string): Uint8Array {
  const bytes = source.read(file);
  if (bytes) return bytes;
  throw imageError(`${source.name} has no ${file}: it is no OCI layout, or incomplete`);
}

export function imageError(message: string, cause?: unknown): SheafError {
  return new SheafError("SHEAF_IMAGE", message, {
    hint: "build or save the image again, or check the path",
    cause,
  });
}

/** Stands for a diffID that the config doesn't have; no archive has it. */
const emptyDigest: Digest = `sha256:${"0".repeat(64)}`;

function openDescriptor(source: BlobSource, descriptor: Descriptor, choice: ImageChoice): Image {
  const bytes = readBlob(source, descriptor);
  const parsed = parseJson<Index & Manifest>(bytes, `${source.name}: ${descriptor.digest}`);
  const isIndex = Array.isArray(parsed.manifests);
  if (isIndex)
    return openDescriptor(source, choosePlatform(source, parsed.manifests.filter(isImage), choice.platform), choice);
  if (!parsed.config?.digest) throw imageError(`${source.name}: manifest ${descriptor.digest} names no config`);
  const image = imageFromManifest(bytes, readBlob(source, parsed.config), (layer) =>
    source.stream(blobFile(layer.digest)),
  );
  if (choice.platform && image.platform.architecture !== choice.platform.architecture) {
    throw noSuchPlatform(source, choice.platform, [image.platform.architecture]);
  }
  return image;
}

function readBlob(source: BlobSource, { digest }: Descriptor): Uint8Array {
  checkDigest(digest, source.name);
  const bytes = requireFile(source, blobFile(digest));
  if (sha256(bytes) === digest) return bytes;
  throw imageError(`${source.name}: the blob ${digest} does not have the content that its digest names`);
}

function checkDigest(digest: unknown, where: string): void {
  if (typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest)) return;
  throw imageError(`${where} names the digest ${JSON.stringify(digest)}, which is not a SHA-256 digest`);
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
