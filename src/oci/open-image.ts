import { decompressStream } from "../archive/decompress.ts";
import type { Digest } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import type { BlobPlace } from "./blob-place.ts";
import type { BlobSource } from "./blob-source.ts";
import type { ImageChoice } from "./choose-image.ts";
import { chooseImage, noSuchPlatform } from "./choose-image.ts";
import { imageError, parseConfig, parseIndex, parseManifest } from "./documents.ts";
import { kindOf, layerHistory } from "./history.ts";
import type { Image, Layer } from "./image.ts";
import { platformOf } from "./image.ts";
import type { Descriptor } from "./types.ts";
import { isIndexType, isManifestType } from "./types.ts";

/**
 * Opens the image that `choice` names in an OCI layout. Manifest and config are checked against their digests, layers are not
 * touched.
 * @throws SheafError SHEAF_IMAGE
 */
export function openOciImage(source: BlobSource, choice: ImageChoice = {}): Image {
  const index = parseIndex(requireFile(source, "index.json"), `${source.name}: index.json`);
  return openDescriptor(source, chooseImage(source.name, index.manifests, choice), choice);
}

/** Opens an image by its manifest's bytes; `stream` gives the bytes of a layer's blob. */
export function imageFromManifest(
  manifestBytes: Uint8Array,
  configBytes: Uint8Array,
  stream: (layer: Descriptor, index: number) => AsyncIterable<Uint8Array>,
): Image {
  const digest = sha256(manifestBytes);
  const manifest = parseManifest(manifestBytes, `manifest ${digest}`);
  const config = parseConfig(configBytes, `config ${manifest.config.digest}`);
  const history = layerHistory(config.history);
  const layers = manifest.layers.map((descriptor, index): Layer => {
    const compressed = () => stream(descriptor, index);
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

/** The same image; layers tell where their bytes lie. */
export function withPlaces(image: Image, placeOf: (digest: Digest, index: number) => BlobPlace | undefined): Image {
  const layers = image.layers.map((layer, index): Layer => {
    const place = placeOf(layer.digest, index);
    return place ? { ...layer, place } : layer;
  });
  return { ...image, layers };
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
    const nested = parseIndex(bytes, where).manifests.filter((child) => isManifestType(child.mediaType));
    return openDescriptor(source, chooseImage(source.name, nested, { platform: choice.platform }), choice);
  }
  const { config } = parseManifest(bytes, where);
  const streamed = imageFromManifest(bytes, readBlob(source, config), ({ digest }) => source.stream(blobFile(digest)));
  const image = withPlaces(streamed, (digest) => source.place(blobFile(digest)));
  if (choice.platform && image.platform.architecture !== choice.platform.architecture) {
    throw noSuchPlatform(source.name, choice.platform, [image.platform.architecture]);
  }
  return image;
}

function readBlob(source: BlobSource, { digest }: Descriptor): Uint8Array {
  const bytes = requireFile(source, blobFile(digest));
  if (sha256(bytes) === digest) return bytes;
  throw imageError(`${source.name}: the blob ${digest} does not have the content that its digest names`);
}
