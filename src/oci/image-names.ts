import * as fs from "node:fs";

import { compressionOf } from "../archive/compression.ts";
import { archiveSource } from "./archive-source.ts";
import { folderSource, type BlobSource } from "./blob-source.ts";
import { isObject, parseIndex, parseJson } from "./documents.ts";
import { containerdName } from "./image-name.ts";
import { refName } from "./types.ts";

/**
 * The name that the only image of a layout or archive has there, as in `python:3.12-slim`; undefined when it has none, when
 * there are several, and for archives that are compressed as a whole.
 * @throws SheafError SHEAF_IMAGE, SHEAF_TAR
 */
export function imageNameIn(file: string): string | undefined {
  const source = openSource(file);
  const names = source ? [...dockerNames(source), ...layoutNames(source)] : [];
  const [only] = names;
  return new Set(names).size === 1 ? only : undefined;
}

function openSource(file: string): BlobSource | undefined {
  if (fs.statSync(file).isDirectory()) return folderSource(file);
  const descriptor = fs.openSync(file, "r");
  try {
    const head = new Uint8Array(8);
    fs.readSync(descriptor, head, 0, head.length, 0);
    return compressionOf(head) === "none" ? archiveSource(file) : undefined;
  } finally {
    fs.closeSync(descriptor);
  }
}

function dockerNames(source: BlobSource): string[] {
  const bytes = source.read("manifest.json");
  const images = bytes ? parseJson(bytes, "manifest.json") : [];
  if (!Array.isArray(images)) return [];
  return images.flatMap((image) => {
    const tags: unknown = isObject(image) ? image["RepoTags"] : undefined;
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string").slice(0, 1) : [];
  });
}

/** Annotations may be a tag alone, which names nothing outside its folder. */
function layoutNames(source: BlobSource): string[] {
  if (source.read("manifest.json")) return [];
  const bytes = source.read("index.json");
  const { manifests } = bytes ? parseIndex(bytes, "index.json") : { manifests: [] };
  return manifests.flatMap(({ annotations }) => {
    const name = annotations?.[containerdName] ?? annotations?.[refName];
    return name !== undefined && /[/:]/.test(name) ? [name] : [];
  });
}
