import * as fs from "node:fs";
import * as path from "node:path";

import { filesLeftOut, type LeftOutFile } from "../cuda/profiles.ts";
import { normalizeName } from "../wheel/filename.ts";

/** A distribution that is installed in a folder. */
export interface InstalledDistribution {
  /** Normalised (PEP 503). */
  name: string;
  version: string;
  /** The folder that its files are below: site-packages. */
  root: string;
}

/** Distributions that are installed in a folder, at any depth. */
export function distributionsIn(folder: string): InstalledDistribution[] {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return distributionsAmong(files.map((entry) => path.join(entry.parentPath, entry.name)));
}

/** Distributions by their .dist-info folders, among the files of a folder. */
export function distributionsAmong(files: readonly string[]): InstalledDistribution[] {
  return files.flatMap((file) => {
    const info = path.dirname(file);
    const [, name, version] = /^(.+?)-([^-]+)\.dist-info$/.exec(path.basename(info)) ?? [];
    if (path.basename(file) !== "RECORD" || name === undefined || version === undefined) return [];
    return [{ name: normalizeName(name), version, root: path.dirname(info) }];
  });
}

/** What is to become of a file with some parts of CUDA gone; undefined: nothing. */
export function leftOutFinder(
  distributions: readonly InstalledDistribution[],
  parts: readonly string[],
): (file: string) => LeftOutFile | undefined {
  const exact = new Map<string, LeftOutFile>();
  const prefixes: { prefix: string; file: LeftOutFile }[] = [];
  for (const { name, root } of distributions) {
    for (const file of filesLeftOut(name, parts)) {
      const place = path.join(root, file.path);
      if (place.endsWith("*")) prefixes.push({ prefix: place.slice(0, -1), file });
      else exact.set(place, file);
    }
  }
  return (file) => exact.get(file) ?? prefixes.find(({ prefix }) => file.startsWith(prefix))?.file;
}

/** Removes folders that have become empty, from those of removed files upwards. */
export function removeEmptyFolders(files: readonly string[], root: string): void {
  for (const folder of new Set(files.map((file) => path.dirname(file)))) {
    for (let at = folder; at.startsWith(`${root}${path.sep}`); at = path.dirname(at)) {
      if (!fs.existsSync(at)) continue;
      if (fs.readdirSync(at).length > 0) break;
      fs.rmdirSync(at);
    }
  }
}
