import type { ImageFacts } from "../contract/facts/image-facts.ts";
import { installedPackages } from "../contract/facts/packages.ts";
import type { Image } from "../oci/image.ts";
import { compareConfig } from "./compare-config.ts";
import { compareFiles } from "./compare-files.ts";
import { compareLayers } from "./compare-layers.ts";
import { compareVersions } from "./compare-versions.ts";
import { distributionsIn } from "./distributions-in.ts";
import { type ImageDiff, type Section, sections, type SideSummary } from "./image-diff.ts";

/** One of two images that are compared. */
export interface Side {
  title: string;
  /** Where it was found: `store`, `docker`, `registry`. */
  from: string;
  image: Image;
  /** What its layers hold; undefined when nothing that is compared asks for it. */
  facts?: ImageFacts;
}

/** Compares two images. Pure: what it needs of the layers has been read. */
export function compareImages(a: Side, b: Side, compared: readonly Section[] = sections): ImageDiff {
  const diff: ImageDiff = { a: summaryOf(a), b: summaryOf(b), equal: false, compared: [...compared] };
  const wanted = new Set(compared);
  if (a.facts && b.facts) {
    const pair = { a: a.facts, b: b.facts };
    if (wanted.has("distributions")) diff.distributions = compareVersions(pair, distributionsIn);
    if (wanted.has("debian")) diff.debian = compareVersions(pair, installedPackages);
    if (wanted.has("files")) diff.files = compareFiles(pair);
  }
  if (wanted.has("config")) diff.config = compareConfig(a.image.config, b.image.config);
  if (wanted.has("layers")) diff.layers = compareLayers(a, b);
  return { ...diff, equal: isEqual(diff) };
}

function isEqual({ distributions, debian, config, files, layers }: ImageDiff): boolean {
  const changes = [distributions?.changes, debian?.changes, config, files?.changes, layers?.onlyA, layers?.onlyB];
  return changes.every((each) => each === undefined || each.length === 0) && layers?.sameOrder !== false;
}

function summaryOf({ title, from, image, facts }: Side): SideSummary {
  const { os, architecture } = image.platform;
  return {
    title,
    from,
    digest: image.digest,
    platform: `${os}/${architecture}`,
    layers: image.layers.length,
    compressed: image.layers.reduce((sum, { size }) => sum + size, 0),
    ...(facts
      ? { unpacked: facts.layers.reduce((sum, { unpacked }) => sum + unpacked, 0), paths: facts.files.size }
      : {}),
  };
}
