import { createHash } from "node:crypto";
import type { Writable } from "node:stream";

import { tarEnd, tarHeader, tarPadding } from "../archive/tar-write.ts";
import { diskError } from "../store/store.ts";
import { writeAtomically } from "../host/atomic-file.ts";
import { canonicalJson } from "./canonical-json.ts";
import { containerdName, fullName, tagOf, withTag } from "./image-name.ts";
import type { Image } from "./image.ts";
import { imageDescriptor } from "./image.ts";
import { checkDigest } from "./layout.ts";
import { blobFile } from "./open-image.ts";
import type { Index } from "./types.ts";
import { mediaTypes, refName } from "./types.ts";

/**
 * Writes an archive that is an OCI layout and a Docker archive at once: `docker load` (20.10 too, which knows no pure OCI
 * archive), podman and skopeo all read it. Layers are streamed and hashed on the way.
 * @param target a file, written under a temporary name and renamed, or a stream, which is left open
 * @param tags whole names such as `app:1.0`; `:latest` where the tag is missing
 * @throws SheafError SHEAF_DIGEST when a layer doesn't have the bytes that it promises, SHEAF_DISK_FULL
 */
export async function writeDockerArchive(
  target: string | Writable,
  image: Image,
  tags: readonly string[],
): Promise<void> {
  if (typeof target !== "string") return writeToStream(target, archiveChunks(image, tags));
  try {
    await writeAtomically(target, archiveChunks(image, tags));
  } catch (error) {
    throw diskError(error, target);
  }
}

async function writeToStream(stream: Writable, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let failure: unknown;
  const onError = (error: unknown) => (failure ??= error);
  stream.on("error", onError);
  try {
    for await (const chunk of chunks) {
      if (!stream.write(chunk) && !stream.destroyed) await drained(stream);
      if (stream.destroyed) throw failure ?? new Error("the stream was closed before the archive was complete");
    }
  } finally {
    stream.off("error", onError);
  }
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const events = ["drain", "close", "error"];
    const settle = () => {
      for (const event of events) stream.off(event, settle);
      resolve();
    };
    for (const event of events) stream.on(event, settle);
  });
}

async function* archiveChunks(image: Image, tags: readonly string[]): AsyncGenerator<Uint8Array, void, void> {
  yield* jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" });
  yield* jsonFile("index.json", indexOf(image, tags));
  yield* jsonFile("manifest.json", dockerManifestOf(image, tags));
  yield* directory("blobs");
  yield* directory("blobs/sha256");
  yield* file(blobFile(image.digest), image.manifestBytes);
  yield* file(blobFile(image.manifest.config.digest), image.configBytes);
  const written = new Set<string>();
  for (const layer of image.layers) {
    if (written.has(layer.digest)) continue;
    written.add(layer.digest);
    yield header(blobFile(layer.digest), layer.size);
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of layer.compressed()) {
      hash.update(chunk);
      size += chunk.length;
      // A longer blob would spoil the archive behind it; the digest tells at the end what is wrong.
      if (size > layer.size) break;
      yield chunk;
    }
    checkDigest(layer.digest, `sha256:${hash.digest("hex")}`);
    yield tarPadding(layer.size);
  }
  yield tarEnd;
}

function indexOf(image: Image, tags: readonly string[]): Index {
  const named = tags.map((tag) => imageDescriptor(image, { [containerdName]: fullName(tag), [refName]: tagOf(tag) }));
  const manifests = named.length > 0 ? named : [imageDescriptor(image)];
  return { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
}

/** What `docker load` reads: one image, its config and its layers by their path in the archive. */
function dockerManifestOf(image: Image, tags: readonly string[]): unknown {
  return [
    {
      Config: blobFile(image.manifest.config.digest),
      RepoTags: tags.map(withTag),
      Layers: image.layers.map((layer) => blobFile(layer.digest)),
    },
  ];
}

function* jsonFile(path: string, value: unknown): Generator<Uint8Array, void, void> {
  yield* file(path, canonicalJson(value));
}

function* file(path: string, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  yield header(path, bytes.length);
  yield bytes;
  yield tarPadding(bytes.length);
}

function* directory(path: string): Generator<Uint8Array, void, void> {
  yield tarHeader({ path, type: "directory", mode: 0o755, uid: 0, gid: 0, mtime: 0 });
}

function header(path: string, size: number): Uint8Array {
  return tarHeader({ path, type: "file", mode: 0o644, uid: 0, gid: 0, size, mtime: 0 });
}
