import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

import { decompressStream } from "../../src/archive/decompress.ts";
import { tarEnd, tarHeader, tarPadding, type TarHeader } from "../../src/archive/tar-write.ts";
import { buildImage, type Image, type ImageParts, type Layer } from "../../src/oci/image.ts";
import { mediaTypes } from "../../src/oci/types.ts";
import type { Digest } from "../../src/store/store.ts";
import { text } from "../archive/oracle.ts";

/** A tar entry in short: `f("a/b", "content")`, `d("a")`, `s("link", "target")`, `h("link", "target")`. */
export type TarSpec = TarHeader & { content?: Uint8Array };

const owner = { uid: 0, gid: 0, mtime: 0 };
export const f = (path: string, content = path): TarSpec => ({
  ...owner,
  path,
  type: "file",
  mode: 0o644,
  content: text(content),
});
export const d = (path: string): TarSpec => ({ ...owner, path, type: "directory", mode: 0o755 });
export const s = (path: string, target: string): TarSpec => ({ ...owner, path, type: "symlink", mode: 0o777, target });
export const h = (path: string, target: string): TarSpec => ({ ...owner, path, type: "hardlink", mode: 0o644, target });

export function tarOf(entries: TarSpec[]): Uint8Array {
  const parts = entries.flatMap(({ content = new Uint8Array(), ...header }) => [
    tarHeader({ ...header, size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd]);
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A layer in memory; `lies` changes what it says of itself. */
export function layerOf(tar: Uint8Array | TarSpec[], lies: Partial<Layer> & { blob?: Uint8Array } = {}): Layer {
  const unpacked = tar instanceof Uint8Array ? tar : tarOf(tar);
  const mediaType = lies.mediaType ?? mediaTypes.layerGzip;
  const { blob = mediaType.endsWith("gzip") ? gzipSync(unpacked) : unpacked, ...rest } = lies;
  const honest = mediaType.endsWith("gzip") ? gzipSync(unpacked) : unpacked;
  const compressed = async function* () {
    yield blob;
  };
  return {
    digest: digestOf(honest),
    diffId: digestOf(unpacked),
    size: honest.length,
    unpackedSize: unpacked.length,
    mediaType,
    kind: "app",
    createdBy: "sheaf: test",
    compressed,
    uncompressed: () => decompressStream(compressed()),
    ...rest,
  };
}

export function imageOf(layers: Layer[], parts: Partial<ImageParts> = {}): Image {
  return buildImage({
    layers,
    config: { os: "linux", architecture: "amd64", created: "2023-11-14T22:13:20Z", config: { Cmd: ["/bin/true"] } },
    ...parts,
  });
}

/** The same image with another config or manifest, digests brought up to date. */
export function reshaped(image: Image, edit: { config?: object; manifest?: object }): Image {
  const config = { ...image.config, ...edit.config };
  const configBytes = text(JSON.stringify(config));
  const descriptor = { ...image.manifest.config, digest: digestOf(configBytes), size: configBytes.length };
  const manifest = { ...image.manifest, config: descriptor, ...edit.manifest };
  const manifestBytes = text(JSON.stringify(manifest));
  return { ...image, config, configBytes, manifest, manifestBytes, digest: digestOf(manifestBytes) };
}
