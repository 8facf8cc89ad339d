import { readTarStream } from "../archive/tar-read.ts";
import type { Image } from "../oci/image.ts";
import { parseRecord } from "../wheel/record.ts";
import { byPath } from "../order.ts";

/** One file of an image as a person asks about it. */
export interface InspectedFile {
  path: string;
  type: string;
  size: number;
  mode: number;
  /** Index of the layer that has the last word on it. */
  layer: number;
  /** `botocore 1.40.57`, `libssl3 3.0.17-1`, undefined for what no package brought. */
  owner?: string;
}

/** A wheel's RECORD and a package's md5sums are small; anything larger than this is neither. */
const largestList = 32 * 1024 * 1024;

/**
 * Lists the files of an image, whoever built it, with who brought each: distributions by their RECORD, Debian packages by
 * dpkg's lists. Layers are read as streams.
 */
export async function readFiles(image: Image): Promise<InspectedFile[]> {
  const files = new Map<string, InspectedFile>();
  const lists: { path: string; text: string }[] = [];
  for (const [index, layer] of image.layers.entries()) {
    for await (const entry of readTarStream(layer.uncompressed())) {
      const path = entry.path.replace(/^\.\//, "").replace(/\/$/, "");
      const name = path.split("/").at(-1) ?? "";
      if (name === ".wh..wh..opq") removeBelow(files, path.slice(0, -name.length));
      else if (name.startsWith(".wh.")) removeBelow(files, path.slice(0, -name.length) + name.slice(4));
      else if (path !== "") {
        files.set(path, {
          path,
          type: entry.type,
          size: entry.type === "file" ? entry.size : 0,
          mode: entry.mode,
          layer: index,
        });
        if (isList(path) && entry.size < largestList) lists.push({ path, text: await readText(entry.body) });
      }
    }
  }
  for (const [path, owner] of lists.flatMap(ownersOf)) {
    const file = files.get(path);
    if (file) file.owner ??= owner;
  }
  return [...files.values()].toSorted(byPath);
}

function isList(path: string): boolean {
  return /\.dist-info\/RECORD$|^var\/lib\/dpkg\/(status\.d|info)\/[^/]+\.(md5sums|list)$/.test(path);
}

function ownersOf({ path, text }: { path: string; text: string }): [path: string, owner: string][] {
  const distInfo = path.match(/^(.*?)([^/]+)-([^-/]+)\.dist-info\/RECORD$/);
  if (distInfo) {
    const [, root = "", name = "", version = ""] = distInfo;
    return parseRecord(text).map((row) => [normal(`${root}${row.path}`), `${name} ${version}`]);
  }
  const owner = (path.split("/").at(-1) ?? "").replace(/\.(md5sums|list)$/, "").replace(/:\w+$/, "");
  return text.split("\n").flatMap((line): [string, string][] => {
    const file = path.endsWith(".list") ? line : line.slice(34);
    return file ? [[normal(file), owner]] : [];
  });
}

/** RECORD names scripts as `../../../bin/uvicorn`. */
function normal(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return segments.join("/");
}

function removeBelow(files: Map<string, InspectedFile>, path: string): void {
  const folder = path.endsWith("/") ? path : `${path}/`;
  files.delete(path);
  for (const each of files.keys()) if (each.startsWith(folder)) files.delete(each);
}

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
