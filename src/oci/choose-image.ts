import { SheafError } from "../errors.ts";
import type { Platform } from "../platform.ts";
import { platformName } from "../platform.ts";
import { containerdName, fullName } from "./image-name.ts";
import type { Descriptor } from "./types.ts";
import { isIndexType, isManifestType, refName } from "./types.ts";

export interface ImageChoice {
  /** Value of `org.opencontainers.image.ref.name`, or a whole name such as `app:1.0`; needed when there are several images. */
  tag?: string;
  /** Needed when the image is there for several platforms. */
  platform?: Platform;
}

/**
 * The one image of an index that the choice leaves.
 * @param where what errors call the index
 * @throws SheafError SHEAF_IMAGE when none or several are left, with what there is
 */
export function chooseImage(where: string, descriptors: readonly Descriptor[], choice: ImageChoice): Descriptor {
  const images = descriptors.filter(isImage);
  const { tag, platform } = choice;
  const named = distinct(tag === undefined ? images : images.filter((image) => isNamed(image, tag)));
  if (named.length === 0) throw noSuchTag(where, images, tag);
  // An index or an image that doesn't tell its platform is looked into later.
  const fitting = named.filter((image) => !platform || !image.platform || isFor(image, platform));
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  if (platform && !only) throw noSuchPlatform(where, platform, named.map(platformOf));
  throw several(where, named);
}

/** @param there architectures that there are instead */
export function noSuchPlatform(where: string, platform: Platform, there: readonly string[]): SheafError {
  return new SheafError("SHEAF_IMAGE", `${where} does not hold the image for ${platformName(platform)}`, {
    details: [["it holds", there.join(", ")]],
    hint: "choose another --platform, or build the image for this one",
  });
}

/** Attestations, signatures and SBOMs sit in an index beside the images. */
function isImage(descriptor: Descriptor): boolean {
  if (descriptor.annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  if (descriptor.artifactType !== undefined) return false;
  return isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
}

function isNamed({ annotations }: Descriptor, tag: string): boolean {
  return annotations?.[refName] === tag || annotations?.[containerdName] === fullName(tag);
}

function isFor(image: Descriptor, platform: Platform): boolean {
  return image.platform?.os === platform.os && image.platform.architecture === platform.architecture;
}

/** An image may be there under several tags. */
function distinct(images: readonly Descriptor[]): Descriptor[] {
  return [...new Map(images.map((image) => [image.digest, image])).values()];
}

function noSuchTag(where: string, images: readonly Descriptor[], tag: string | undefined): SheafError {
  const what = tag === undefined || images.length === 0 ? "holds no image" : `has no image with the tag ${tag}`;
  return new SheafError("SHEAF_IMAGE", `${where} ${what}`, {
    details: images.length === 0 ? [] : [["tags", tagsOf(images)]],
    hint: images.length === 0 ? "check the path" : "name one of its tags",
  });
}

function several(where: string, named: readonly Descriptor[]): SheafError {
  const tags = new Set(named.map((image) => image.annotations?.[refName]));
  const details: [string, string][] = [
    ["tags", tagsOf(named)],
    ["platforms", named.map(platformOf).join(", ")],
  ];
  return tags.size > 1
    ? new SheafError("SHEAF_IMAGE", `${where} holds several images`, { details, hint: "name one of its tags" })
    : new SheafError("SHEAF_IMAGE", `${where} holds the image for several platforms`, {
        details,
        hint: "name one with --platform",
      });
}

function tagsOf(images: readonly Descriptor[]): string {
  return [...new Set(images.map((image) => image.annotations?.[refName] ?? "(untagged)"))].join(", ");
}

function platformOf({ platform }: Descriptor): string {
  return platform?.architecture ?? "unknown";
}
