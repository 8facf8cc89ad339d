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
  checkLayerCount(manifest["layers"], where);
  for (const descriptor of [manifest["config"], ...manifest["layers"]]) checkDescriptor(descriptor, where);
  return manifest as unknown as Manifest;
}

/**
 * Reads an image config (image-spec, config.md). What is missing is left to validateImage; what is there has its type.
 * @throws SheafError SHEAF_IMAGE
 */
export function parseConfig(bytes: Uint8Array, where: string): ImageConfig {
  const config = parseObject(bytes, where);
  checkFields(config, configFields, where);
  const { rootfs, history, config: runtime } = config as unknown as Record<string, Record<string, unknown>>;
  checkFields(rootfs, { diff_ids: "list" }, `${where}: rootfs`);
  for (const digest of (rootfs?.["diff_ids"] ?? []) as unknown[]) checkDigestSyntax(digest, where);
  for (const entry of (history ?? []) as unknown as unknown[]) {
    if (!isObject(entry)) throw imageError(`${where}: history has an entry that is no object`);
    checkFields(entry, historyFields, `${where}: history`);
  }
  checkFields(runtime, runtimeFields, `${where}: config`);
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

type Kind = "text" | "texts" | "list" | "object" | "boolean";

const configFields: Record<string, Kind> = {
  os: "text",
  architecture: "text",
  variant: "text",
  created: "text",
  rootfs: "object",
  history: "list",
  config: "object",
};

const historyFields: Record<string, Kind> = {
  created: "text",
  created_by: "text",
  comment: "text",
  empty_layer: "boolean",
};

const runtimeFields: Record<string, Kind> = {
  User: "text",
  WorkingDir: "text",
  StopSignal: "text",
  Env: "texts",
  Entrypoint: "texts",
  Cmd: "texts",
  Shell: "texts",
  ExposedPorts: "object",
  Volumes: "object",
  Labels: "object",
  Healthcheck: "object",
};

const isKind: Record<Kind, (value: unknown) => boolean> = {
  text: (value) => typeof value === "string",
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  list: (value) => Array.isArray(value),
  object: isObject,
  boolean: (value) => typeof value === "boolean",
};

/** Fields may be left out or null; what is there has its type. */
function checkFields(value: Record<string, unknown> | undefined, fields: Record<string, Kind>, where: string): void {
  for (const [field, kind] of Object.entries(fields)) {
    const found = value?.[field];
    if (!isAbsent(found) && !isKind[kind](found))
      throw imageError(`${where}: ${field} is not what it has to be (${kind})`);
  }
}

/**
 * Engines take 125 layers or so; who names thousands wants to be read for ever.
 * @throws SheafError SHEAF_IMAGE
 */
export function checkLayerCount(layers: readonly unknown[], where: string): void {
  if (layers.length > mostLayers)
    throw imageError(`${where} names ${layers.length} layers, more than any engine takes`);
}

const mostLayers = 2000;

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
