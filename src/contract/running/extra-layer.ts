import { gzipSync } from "node:zlib";

import { tarEnd, tarHeader, tarPadding } from "../../archive/tar-write.ts";
import type { Layer } from "../../oci/image.ts";
import { mediaTypes } from "../../oci/types.ts";
import { sha256 } from "../../store/store.ts";

export interface ExtraFile {
  /** From the root, without a slash before it. */
  path: string;
  data: Uint8Array;
  mode: number;
}

/** A layer of a few files that checks need in a container, in memory. Folders that they are in are made by whoever unpacks it. */
export function extraLayer(files: readonly ExtraFile[]): Layer {
  const parts = files.flatMap(({ path, data, mode }) => [
    tarHeader({ path, type: "file", mode, uid: 0, gid: 0, mtime: 0, size: data.length }),
    data,
    tarPadding(data.length),
  ]);
  const tar = Buffer.concat([...parts, tarEnd]);
  // It goes no further than this machine.
  const compressed = gzipSync(tar, { level: 1 });
  return {
    digest: sha256(compressed),
    diffId: sha256(tar),
    size: compressed.length,
    unpackedSize: tar.length,
    mediaType: mediaTypes.layerGzip,
    kind: "check",
    createdBy: "files of a check",
    compressed: () => chunksOf(compressed),
    uncompressed: () => chunksOf(tar),
  };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536);
}
