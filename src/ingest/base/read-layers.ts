import { createHash } from "node:crypto";

import { compressionOf } from "../../archive/compression.ts";
import { decompressStream } from "../../archive/decompress.ts";
import { GzipWriter } from "../../archive/gzip-writer.ts";
import { readTarStream, type StreamedTarEntry } from "../../archive/tar-read.ts";
import { elfFacts, type ElfFacts } from "../../elf/facts.ts";
import { SheafError } from "../../errors.ts";
import type { TreeNode } from "../../filesystem/root-tree.ts";
import { reasonLeftOut } from "../../interpreter/stdlib.ts";
import type { LayerRecord } from "../../oci/compose-layer.ts";
import type { Image, Layer } from "../../oci/image.ts";
import { MergedFilesystem, parentOf } from "../../oci/merged-filesystem.ts";
import type { BlobWriter, Digest, Store } from "../../store/store.ts";

/** A node with what was read of its content. */
export interface ReadNode extends TreeNode {
  elf?: ElfFacts;
  /** Content of files that say something of the image, as latin1. */
  text?: string;
  /** `3.12.1`, of files that have Python's version in them. */
  python?: string;
  /** Where a Python source stands among those that were kept. */
  source?: [offset: number, length: number];
}

export interface ReadLayers {
  merged: MergedFilesystem<ReadNode>;
  layers: LayerRecord[];
  sources?: Digest;
}

/** A library of this size is none that a base's programs need; its facts would take as much memory. */
const largestElf = 128 * 1024 * 1024;
/** dpkg's status has a megabyte or two. */
const largestText = 16 * 1024 * 1024;
const largestSource = 2 * 1024 * 1024;
/** The standard library has 15 MB without its tests. */
const mostSources = 128 * 1024 * 1024;

/**
 * Streams the layers of an image once: their blobs go into the store (compressed there when they are not gzip), what they
 * hold is put together as an engine would. Of contents only what is asked about later is kept.
 * @throws SheafError SHEAF_BASE for a layer that is not what the image says, SHEAF_TAR, SHEAF_COMPRESSION
 */
export async function readLayers(image: Image, store: Store): Promise<ReadLayers> {
  const merged = new MergedFilesystem<ReadNode>({ type: "directory", mode: 0o755, uid: 0, gid: 0, size: 0 });
  const contents = new Contents(store);
  const layers: LayerRecord[] = [];
  try {
    for (const [index, layer] of image.layers.entries()) {
      const applied = new AppliedLayer(merged);
      const record = await importLayer(layer, store, async (entry) => applied.add(entry, contents));
      applied.finish();
      if (record.diffId !== image.config.rootfs?.diff_ids?.[index]) throw wrongLayer(index, record.diffId);
      layers.push(record);
    }
    return { merged, layers, sources: contents.finish() };
  } catch (error) {
    contents.abort();
    throw error;
  }
}

/** The layer's blob as it is when it is gzip, compressed anew otherwise: every engine reads gzip. */
async function importLayer(
  layer: Layer,
  store: Store,
  visit: (entry: StreamedTarEntry) => Promise<void>,
): Promise<LayerRecord> {
  const writer = store.openBlobWriter();
  const archive = createHash("sha256");
  let unpackedSize = 0;
  let kept: boolean | undefined;
  const gzip = new GzipWriter((chunk) => writer.write(chunk));
  const blob = async function* (): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of layer.compressed()) {
      kept ??= compressionOf(chunk.subarray(0, 8)) === "gzip";
      if (kept) writer.write(chunk);
      yield chunk;
    }
  };
  const unpacked = async function* (): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of decompressStream(blob())) {
      archive.update(chunk);
      unpackedSize += chunk.length;
      if (!kept) await gzip.write(chunk);
      yield chunk;
    }
  };
  try {
    for await (const entry of readTarStream(unpacked())) await visit(entry);
    await gzip.end();
    const { digest, size } = commit(writer, kept ? layer.digest : undefined);
    const { createdBy } = layer;
    return {
      digest,
      size,
      diffId: `sha256:${archive.digest("hex")}`,
      unpackedSize,
      kind: "base",
      createdBy,
      parts: [digest],
    };
  } catch (error) {
    await gzip.end().catch(() => undefined);
    writer.abort();
    throw error;
  }
}

function commit(writer: BlobWriter, expected: Digest | undefined): { digest: Digest; size: number } {
  try {
    return writer.commit(expected);
  } catch (cause) {
    if (!(cause instanceof SheafError) || cause.code !== "SHEAF_DIGEST") throw cause;
    throw new SheafError("SHEAF_BASE", `a layer of the base is not what its digest names: ${cause.message}`, {
      hint: "write the image to a file again",
      cause,
    });
  }
}

/** One layer: whiteouts take away what lies below it, whatever the order in the archive. */
class AppliedLayer {
  readonly #merged: MergedFilesystem<ReadNode>;
  readonly #own = new Map<string, ReadNode>();

  constructor(merged: MergedFilesystem<ReadNode>) {
    this.#merged = merged;
  }

  async add(entry: StreamedTarEntry, contents: Contents): Promise<void> {
    const segments = entry.path.split("/").filter((segment) => segment !== "" && segment !== ".");
    if (segments.includes(".."))
      throw new SheafError("SHEAF_BASE", `the base has a path that leads out of it: ${entry.path}`);
    const path = segments.join("/");
    const name = segments.at(-1) ?? "";
    if (path === "") return;
    if (name === ".wh..wh..opq") return this.#merged.clear(parentOf(path));
    if (name.startsWith(".wh.")) return this.#merged.remove(path.slice(0, -name.length) + name.slice(4));
    const { mode, uid, gid, size, target } = entry;
    const common = { mode: mode & 0o7777, uid, gid };
    if (entry.type === "hardlink") {
      const linked = (target ?? "").replace(/^(\.?\/)+/, "");
      const node = this.#own.get(linked) ?? this.#merged.get(linked);
      if (node) this.#own.set(path, node);
    } else if (entry.type === "directory") this.#own.set(path, { ...common, type: "directory", size: 0 });
    else if (entry.type === "symlink") this.#own.set(path, { ...common, type: "symlink", size: 0, target });
    else if (entry.type !== "file") this.#own.set(path, { ...common, type: "other", size: 0 });
    else this.#own.set(path, { ...common, type: "file", size, ...(await contents.read(path, entry)) });
  }

  finish(): void {
    for (const [path, node] of this.#own) this.#merged.set(path, node);
  }
}

const telling =
  /^(?:etc\/(?:passwd|group|shadow|os-release|ld\.so\.conf|ld\.so\.conf\.d\/[^/]+\.conf|ld\.so\.cache)|usr\/lib\/os-release|var\/lib\/dpkg\/status(?:\.d\/[^/]+(?<!\.md5sums))?)$|\/include\/python3\.\d+\/patchlevel\.h$|\/(?:site|dist)-packages\/[^/]+\.dist-info\/RECORD$|\/pyvenv\.cfg$/;
const standardSource = /(?:^|\/)lib\/python3\.\d+\/((?!site-packages\/|dist-packages\/).+\.py)$/;
const pythonBinary = /\/(?:bin\/python(3\.\d+)|lib[^/]*\/(?:[^/]+\/)?libpython(3\.\d+)\.so[\d.]*)$/;

/** Reads what is worth knowing of a file's content. */
class Contents {
  readonly #sources: BlobWriter;
  #sourceBytes = 0;

  constructor(store: Store) {
    this.#sources = store.openBlobWriter();
  }

  async read(path: string, { size, body }: StreamedTarEntry): Promise<Partial<ReadNode>> {
    if (telling.test(path) && size <= largestText) return { text: (await collect(body)).toString("latin1") };
    const source = standardSource.exec(path)?.[1];
    if (source !== undefined) return this.#keepSource(source, size, body);
    if (size < 64 || size > largestElf) return {};
    const parts: Buffer[] = [];
    let held = 0;
    for await (const chunk of body) {
      parts.push(Buffer.from(chunk));
      held += chunk.length;
      if (held >= 4 && parts.length < 5 && !isElf(Buffer.concat(parts.slice(0, 4)))) return {};
    }
    return readElf(path, Buffer.concat(parts));
  }

  finish(): Digest | undefined {
    if (this.#sourceBytes > 0) return this.#sources.commit().digest;
    this.#sources.abort();
    return undefined;
  }

  abort(): void {
    this.#sources.abort();
  }

  async #keepSource(path: string, size: number, body: AsyncIterable<Uint8Array>): Promise<Partial<ReadNode>> {
    if (size > largestSource || this.#sourceBytes + size > mostSources || reasonLeftOut(path, new Set())) return {};
    const offset = this.#sourceBytes;
    for await (const chunk of body) this.#sources.write(chunk);
    this.#sourceBytes += size;
    return { source: [offset, size] };
  }
}

function readElf(path: string, bytes: Buffer): Partial<ReadNode> {
  const [, program, library] = pythonBinary.exec(`/${path}`) ?? [];
  const minor = program ?? library;
  const version = minor && new RegExp(`\\0(${minor.replace(".", "\\.")}\\.\\d+(?:(?:a|b|rc)\\d+)?)\\+?\\0`);
  const python = version ? new RegExp(version).exec(bytes.toString("latin1"))?.[1] : undefined;
  try {
    return { elf: elfFacts(bytes), ...(python ? { python } : {}) };
  } catch (error) {
    // The base's own broken files are the base's affair: nobody loads them, or it never worked.
    if (error instanceof SheafError) return {};
    throw error;
  }
}

function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function wrongLayer(index: number, diffId: Digest): SheafError {
  return new SheafError(
    "SHEAF_BASE",
    `layer ${index} of the base unpacks to ${diffId}, which its config does not name`,
    {
      hint: "write the image to a file again",
    },
  );
}
