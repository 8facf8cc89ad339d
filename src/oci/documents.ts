import { SheafError } from "../errors.ts";
import type { Digest } from "../store/store.ts";
import type { Descriptor, ImageConfig, Index, Manifest } from "./types.ts";

/**
 * Reads an index (image-spec, image-index.md), or Docker's manifest list: the fields that Sheaf relies on have their types.
 * @param where what errors call it
 * @throws SheafError SHEAF_IMAGE
 */
export function parseIndex(bytes: Uint8Array, where: string): Index {
  const index = parseObject(bytes, where);
  if (!Array.isArray(index["manifests"])) throw imageError(`${where} has no list of manifests`);
  for (const descriptor of index["manifests"]) checkDescriptor(descriptor, where);
  return index as unknown as Index;
}

/** Reads a manifest (image-spec, manifest.md). @throws SheafError SHEAF_IMAGE */
export function parseManifest(bytes: Uint8Array, where: string): Manifest {
  const manifest = parseObject(bytes, where);
  if (!Array.isArray(manifest["layers"])) throw imageError(`${where} has no list of layers`);
  for (const descriptor of [manifest["config"], ...manifest["layers"]]) checkDescriptor(descriptor, where);
  return manifest as unknown as Manifest;
}

/**
 * Reads an image config (image-spec, config.md). What is missing is left to validateImage; what is there has its type.
 * @throws SheafError SHEAF_IMAGE
 */
export function parseConfig(bytes: Uint8Array, where: string): ImageConfig {
  const config = parseObject(bytes, where);
  const { rootfs, history, config: runtime } = config;
  if (rootfs !== undefined && !isObject(rootfs)) throw imageError(`${where}: rootfs is no object`);
  const diffIds = isObject(rootfs) ? rootfs["diff_ids"] : undefined;
  if (diffIds !== undefined && diffIds !== null) {
    if (!Array.isArray(diffIds)) throw imageError(`${where}: rootfs.diff_ids is no list`);
    for (const digest of diffIds) checkDigestSyntax(digest, where);
  }
  if (!isAbsent(history) && !(Array.isArray(history) && history.every(isObject))) {
    throw imageError(`${where}: history is no list of objects`);
  }
  if (!isAbsent(runtime) && !isObject(runtime)) throw imageError(`${where}: config is no object`);
  return config as unknown as ImageConfig;
}

/** @throws SheafError SHEAF_IMAGE */
export function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    throw imageError(`${where} is not JSON: ${(cause as Error).message}`, cause);
  }
}

export function imageError(message: string, cause?: unknown): SheafError {
  return new SheafError("SHEAF_IMAGE", message, { hint: "build or save the image again, or check the path", cause });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseObject(bytes: Uint8Array, where: string): Record<string, unknown> {
  const value = parseJson(bytes, where);
  if (!isObject(value)) throw imageError(`${where} is not a JSON object`);
  return value;
}

function checkDescriptor(value: unknown, where: string): asserts value is Descriptor {
  if (!isObject(value)) throw imageError(`${where} has a descriptor that is no object`);
  checkDigestSyntax(value["digest"], where);
  const { mediaType, size, annotations, platform } = value;
  const wellFormed =
    typeof mediaType === "string" &&
    typeof size === "number" &&
    Number.isSafeInteger(size) &&
    size >= 0 &&
    (isAbsent(annotations) || isObject(annotations)) &&
    (isAbsent(platform) || isObject(platform));
  if (!wellFormed) throw imageError(`${where} has a malformed descriptor for ${value["digest"]}`);
}

function checkDigestSyntax(digest: unknown, where: string): asserts digest is Digest {
  if (typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest)) return;
  throw imageError(`${where} names the digest ${JSON.stringify(digest)}, which is not a SHA-256 digest`);
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}
