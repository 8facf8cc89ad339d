import type { Digest } from "../store/store.ts";
import { sha256 } from "../store/store.ts";
import type { BlobPlace } from "./blob-place.ts";
import { canonicalJson } from "./canonical-json.ts";
import { configInstructions, kindComment, layerHistory } from "./history.ts";
import type { Descriptor, History, ImageConfig, Manifest, OciPlatform } from "./types.ts";
import { mediaTypes } from "./types.ts";

/** A layer, immutable and lazy: its bytes are touched only by compressed() and uncompressed(). */
export interface Layer {
  /** Of the compressed blob. */
  digest: Digest;
  /** Of the tar archive in it. */
  diffId: Digest;
  /** Bytes of the blob. */
  size: number;
  /** Bytes of the tar archive; 0 when nobody has counted them. */
  unpackedSize: number;
  mediaType: string;
  /** What it holds, in the plan's words: `base`, `interpreter`, `wheels`, `app`. */
  kind: string;
  /** The line that the history shows for it. */
  createdBy: string;
  /** Where the blob's bytes lie on this machine, when they do. */
  place?: BlobPlace;
  /** Each call starts from the beginning. */
  compressed(): AsyncIterable<Uint8Array>;
  uncompressed(): AsyncIterable<Uint8Array>;
}

export interface Image {
  /** Of the manifest. */
  digest: Digest;
  manifest: Manifest;
  /** Exactly the bytes that the digest is of. */
  manifestBytes: Uint8Array;
  config: ImageConfig;
  configBytes: Uint8Array;
  layers: Layer[];
  platform: OciPlatform;
}

export interface ImageParts {
  /** Base first. */
  layers: readonly Layer[];
  /** All but what follows from the layers. */
  config: Omit<ImageConfig, "rootfs" | "history">;
  annotations?: Record<string, string>;
  /** History of the base image, as it is; it speaks for as many of the first layers as it has entries that aren't empty. */
  baseHistory?: readonly History[];
}

/**
 * Makes an OCI image: a config with rootfs and Docker-like history, and a manifest. Same parts, same bytes.
 * Nothing is read from the layers.
 */
export function buildImage({ layers, config, annotations, baseHistory = [] }: ImageParts): Image {
  const full: ImageConfig = {
    ...config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: buildHistory(layers, config, baseHistory),
  };
  const configBytes = canonicalJson(full);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: sha256(configBytes), size: configBytes.length },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType: ociLayerType(mediaType), digest, size })),
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  const manifestBytes = canonicalJson(manifest);
  return {
    digest: sha256(manifestBytes),
    manifest,
    manifestBytes,
    config: full,
    configBytes,
    layers: [...layers],
    platform: platformOf(full),
  };
}

export function platformOf(config: ImageConfig): OciPlatform {
  const { os, architecture, variant } = config;
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** The descriptor by which an index names an image. */
export function imageDescriptor(image: Image, annotations?: Record<string, string>): Descriptor {
  return {
    mediaType: image.manifest.mediaType ?? mediaTypes.manifest,
    digest: image.digest,
    size: image.manifestBytes.length,
    platform: image.platform,
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}

function buildHistory(
  layers: readonly Layer[],
  { created, config = {} }: ImageParts["config"],
  baseHistory: readonly History[],
): History[] {
  const covered = layerHistory(baseHistory).length;
  if (covered > layers.length) throw new Error(`the base's history has ${covered} layers, the image ${layers.length}`);
  const when = created === undefined ? {} : { created };
  return [
    ...baseHistory,
    ...layers
      .slice(covered)
      .map(({ createdBy, kind }) => ({ ...when, created_by: createdBy, comment: kindComment(kind) })),
    ...configInstructions(config).map((instruction) => ({ ...when, created_by: instruction, empty_layer: true })),
  ];
}

/** Some registries refuse an OCI manifest with Docker's layer types; the bytes are the same. */
function ociLayerType(mediaType: string): string {
  if (mediaType === mediaTypes.dockerLayerGzip) return mediaTypes.layerGzip;
  if (mediaType === mediaTypes.dockerLayer) return mediaTypes.layer;
  return mediaType;
}
