import { createHash } from "node:crypto";

import { decompressStream } from "../archive/decompress.ts";
import { readTarStream } from "../archive/tar-read.ts";
import { SheafError } from "../errors.ts";
import type { Layer } from "./image.ts";
import type { ImageProblem } from "./image-problem.ts";
import { LayerPaths } from "./layer-paths.ts";
import type { MergedFilesystem } from "./merged-filesystem.ts";

export interface LayerToValidate {
  layer: Layer;
  /** From 0, base first. */
  index: number;
  /** What the layers below make together; the layer is added to it. */
  merged: MergedFilesystem;
}

/** Streams a layer once: digest, size and diffID on the way, then what its entries do. */
export async function validateLayer({ layer, index, merged }: LayerToValidate): Promise<ImageProblem[]> {
  const blob = new Meter();
  const archive = new Meter();
  const paths = new LayerPaths(index, merged);
  let unreadable: string | undefined;
  try {
    const hint = layer.mediaType.endsWith("gzip") ? "gzip" : undefined;
    const unpacked = archive.pass(decompressStream(blob.pass(layer.compressed()), hint));
    for await (const entry of readTarStream(unpacked)) paths.add(entry);
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    unreadable = error.message;
    // The digest is still worth knowing: it tells a damaged blob from a layer that was made wrong.
    blob.reset();
    for await (const chunk of blob.pass(layer.compressed())) void chunk;
  }
  const measured = {
    digest: blob.digest(),
    compressed: blob.size,
    diffId: archive.digest(),
    ...(unreadable === undefined ? {} : { unreadable }),
  };
  return [...layerProblems({ layer, index }, measured), ...paths.finish()];
}

/** What a layer turned out to be when it was read. */
export interface MeasuredLayer {
  digest: string;
  /** Bytes of the blob. */
  compressed: number;
  diffId: string;
  /** Why it can't be read to its end. */
  unreadable?: string;
}

/** Where a layer is not what manifest and config say of it. */
export function* layerProblems(
  { layer, index }: Pick<LayerToValidate, "layer" | "index">,
  { digest, compressed, diffId, unreadable }: MeasuredLayer,
): Generator<ImageProblem> {
  if (digest !== layer.digest) {
    const message = `layer ${index} has the digest ${digest}, the manifest says ${layer.digest}`;
    yield { code: "digest", severity: "error", layer: index, message };
  }
  if (compressed !== layer.size) {
    const message = `layer ${index} has ${compressed} bytes, the manifest says ${layer.size}`;
    yield { code: "size", severity: "error", layer: index, message };
  }
  if (unreadable !== undefined) {
    const message = `layer ${index} can't be read: ${unreadable}`;
    yield { code: "unreadable", severity: "error", layer: index, message };
  } else if (diffId !== layer.diffId) {
    const message = `layer ${index} unpacks to ${diffId}, the config says ${layer.diffId}`;
    yield { code: "diff-id", severity: "error", layer: index, message };
  }
}

/** Hashes and counts what passes. */
class Meter {
  size = 0;
  #hash = createHash("sha256");
  #digest: string | undefined;

  async *pass(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.size += chunk.length;
      yield chunk;
    }
  }

  digest(): string {
    this.#digest ??= `sha256:${this.#hash.digest("hex")}`;
    return this.#digest;
  }

  reset(): void {
    this.size = 0;
    this.#hash = createHash("sha256");
    this.#digest = undefined;
  }
}
