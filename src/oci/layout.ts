import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import type { Digest } from "../store/store.ts";
import { diskError, sha256 } from "../store/store.ts";
import { writeAtomically } from "../host/atomic-file.ts";
import { folderSource } from "./blob-source.ts";
import { canonicalJson } from "./canonical-json.ts";
import { parseIndex } from "./documents.ts";
import type { Image } from "./image.ts";
import { imageDescriptor } from "./image.ts";
import type { ImageChoice } from "./choose-image.ts";
import { blobFile, openOciImage } from "./open-image.ts";
import type { Descriptor, Index } from "./types.ts";
import { mediaTypes, refName } from "./types.ts";

/**
 * Writes images into an OCI layout (image-spec, image-layout.md), made when it isn't there. Several images are one
 * multi-platform image. Blobs of the right size that are there stay; every other one is hashed as it is written and renamed
 * into place; index.json comes last and keeps what it has under other tags and platforms.
 * @returns the descriptor that index.json has for what was written
 * @throws SheafError SHEAF_DIGEST when a layer doesn't have the bytes that it promises, SHEAF_DISK_FULL
 */
export async function writeLayout(
  directory: string,
  images: Image | readonly Image[],
  { tag }: { tag?: string } = {},
): Promise<Descriptor> {
  const all = "manifest" in images ? [images] : images;
  try {
    fs.mkdirSync(path.join(directory, "blobs", "sha256"), { recursive: true });
    for (const image of all) await writeImage(directory, image);
    const descriptor = await describe(directory, all, tag);
    await writeAtomically(path.join(directory, "oci-layout"), [canonicalJson({ imageLayoutVersion: "1.0.0" })]);
    await writeAtomically(path.join(directory, "index.json"), [canonicalJson(updatedIndex(directory, descriptor))]);
    return descriptor;
  } catch (error) {
    throw diskError(error, directory);
  }
}

/**
 * Opens an image of an OCI layout; layers are read when they are asked for.
 * @throws SheafError SHEAF_IMAGE
 */
export function openLayout(directory: string, choice: ImageChoice = {}): Image {
  return openOciImage(folderSource(directory), choice);
}

async function writeImage(directory: string, image: Image): Promise<void> {
  for (const { digest, size, compressed } of image.layers) await writeBlob(directory, { digest, size }, compressed);
  for (const bytes of [image.configBytes, image.manifestBytes]) await writeBytes(directory, bytes);
}

async function describe(directory: string, images: readonly Image[], tag: string | undefined): Promise<Descriptor> {
  const annotations = tag === undefined ? undefined : { [refName]: tag };
  const [only] = images;
  if (only && images.length === 1) return imageDescriptor(only, annotations);
  const manifests = images.map((image) => imageDescriptor(image));
  const bytes = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests } satisfies Index);
  await writeBytes(directory, bytes);
  return { mediaType: mediaTypes.index, digest: sha256(bytes), size: bytes.length, annotations };
}

/** What is named alike gives way: same tag and platform, or the same image without a tag. */
function updatedIndex(directory: string, added: Descriptor): Index {
  const file = path.join(directory, "index.json");
  const known = fs.existsSync(file) ? parseIndex(fs.readFileSync(file), file) : undefined;
  const kept = (known?.manifests ?? []).filter((descriptor) => !isReplaced(descriptor, added));
  return { ...known, schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...kept, added] };
}

function isReplaced(old: Descriptor, added: Descriptor): boolean {
  const tag = added.annotations?.[refName];
  if (old.annotations?.[refName] !== tag) return false;
  if (tag === undefined) return old.digest === added.digest;
  const isWhole = old.platform === undefined || added.platform === undefined;
  return isWhole || old.platform?.architecture === added.platform?.architecture;
}

async function writeBytes(directory: string, bytes: Uint8Array): Promise<void> {
  await writeBlob(directory, { digest: sha256(bytes), size: bytes.length }, async function* () {
    yield bytes;
  });
}

async function writeBlob(
  directory: string,
  { digest, size }: { digest: Digest; size: number },
  chunks: () => AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = path.join(directory, ...blobFile(digest).split("/"));
  if (fs.statSync(file, { throwIfNoEntry: false })?.size === size) return;
  await writeAtomically(file, checked(digest, chunks()));
}

/** Passes chunks on and fails at their end when they aren't what the digest names. */
async function* checked(digest: Digest, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  checkDigest(digest, `sha256:${hash.digest("hex")}`);
}

/** @throws SheafError SHEAF_DIGEST */
export function checkDigest(promised: Digest, actual: Digest): void {
  if (promised === actual) return;
  throw new SheafError("SHEAF_DIGEST", `the blob ${promised} has the content of ${actual}`, {
    hint: "the image or the cache is damaged: build it again",
  });
}
