import { didYouMean } from "../did-you-mean.ts";
import { SheafError } from "../errors.ts";
import { layerFromRecord } from "../oci/compose-layer.ts";
import { type Image, platformOf } from "../oci/image.ts";
import type { ImageConfig, Manifest } from "../oci/types.ts";
import type { ImagePlan } from "../plan/image-plan.ts";
import { hostPlatform, platformName } from "../platform.ts";
import type { Digest, Store } from "../store/store.ts";
import type { BuiltImage, BuiltLayer } from "./assemble.ts";
import { byCodeUnit } from "../order.ts";

/** What the store keeps of a built image under its tag: everything but bytes, which are blobs. */
interface StoredImage {
  reference: string;
  platform: string;
  /** The repository that it was built from. */
  root: string;
  /** ms since 1970, for `sheaf images` alone: it is in no image. */
  builtAt: number;
  digest: Digest;
  manifest: Digest;
  config: Digest;
  layers: BuiltLayer[];
  plan: ImagePlan;
}

/** An image of the store, ready to be written, run or inspected. */
export interface OpenedImage {
  reference: string;
  builtAt: number;
  image: Image;
  layers: BuiltLayer[];
  plan: ImagePlan;
}

const kind = "image";

/** Puts an image under a tag; whatever had it before loses it. */
export function saveImage(
  store: Store,
  reference: string,
  { built, plan, root }: { built: BuiltImage; plan: ImagePlan; root: string },
): void {
  const { image, layers } = built;
  const platform = platformName(plan.platform);
  const known = store.readRecord<StoredImage>(kind, keyOf(reference, platform));
  if (
    known?.digest === image.digest &&
    known.root === root &&
    store.hasBlob(known.manifest) &&
    store.hasBlob(known.config)
  )
    return;
  const record: StoredImage = {
    reference,
    platform,
    root,
    builtAt: Date.now(),
    digest: image.digest,
    manifest: store.putBlob(image.manifestBytes),
    config: store.putBlob(image.configBytes),
    layers,
    plan,
  };
  store.writeRecord(kind, keyOf(reference, platform), record);
}

/** Every image of the store, newest first. */
export function listImages(store: Store): Omit<StoredImage, "layers" | "plan" | "manifest" | "config">[] {
  return store
    .listRecords<StoredImage>(kind)
    .toSorted((a, b) => b.builtAt - a.builtAt || byCodeUnit(a.reference, b.reference));
}

/** Sizes of a stored image in bytes. */
export function storedSizes(store: Store): Map<string, { compressed: number; unpacked: number; layers: number }> {
  return new Map(
    store.listRecords<StoredImage>(kind).map(({ reference, platform, layers }) => [
      `${reference} ${platform}`,
      {
        compressed: layers.reduce((sum, { record }) => sum + record.size, 0),
        unpacked: layers.reduce((sum, { record }) => sum + record.unpackedSize, 0),
        layers: layers.length,
      },
    ]),
  );
}

/** Every blob that an image of the store consists of. */
export function usedBlobs(store: Store): Set<Digest> {
  return new Set(
    store
      .listRecords<StoredImage>(kind)
      .flatMap(({ manifest, config, layers }) => [manifest, config, ...layers.flatMap(({ record }) => record.parts)]),
  );
}

/**
 * Opens an image by its tag, where `:latest` may be left out, or by its digest or that of its config, which may be cut short:
 * `sha256:5f0c1a2b3c4d`. This machine's platform comes first where a tag has several and none is asked for.
 * @throws SheafError SHEAF_NO_IMAGE when the store has none, SHEAF_DAMAGED when parts of it are gone
 */
export function openStoredImage(store: Store, reference: string, platform?: string): OpenedImage {
  const all = store.listRecords<StoredImage>(kind);
  const found = findStored(all, reference, platform);
  if (!found) throw unknownImage(reference, all);
  const manifestBytes = store.readBlob(found.manifest);
  const configBytes = store.readBlob(found.config);
  if (!manifestBytes || !configBytes) throw damagedImage(reference);
  const config = JSON.parse(Buffer.from(configBytes).toString("utf8")) as ImageConfig;
  const image: Image = {
    digest: found.digest,
    manifest: JSON.parse(Buffer.from(manifestBytes).toString("utf8")) as Manifest,
    manifestBytes,
    config,
    configBytes,
    layers: found.layers.map(({ record }) => layerFromRecord(store, record)),
    platform: platformOf(config),
  };
  return { reference: found.reference, builtAt: found.builtAt, image, layers: found.layers, plan: found.plan };
}

function findStored(all: StoredImage[], reference: string, platform: string | undefined): StoredImage | undefined {
  const digest = /(?:^|@)(sha256:[0-9a-f]{6,64})$/.exec(reference)?.[1];
  const wanted = withTag(reference);
  const named = all.filter((each) =>
    digest === undefined ? each.reference === wanted : each.digest.startsWith(digest) || each.config.startsWith(digest),
  );
  if (digest !== undefined && new Set(named.map((each) => each.digest)).size > 1) throw ambiguous(digest, named);
  const host = hostPlatform();
  const preferred = platform ?? (host && platformName(host));
  const fitting = named.find((each) => each.platform === preferred);
  return fitting ?? (platform === undefined ? named[0] : undefined);
}

function ambiguous(digest: string, named: StoredImage[]): SheafError {
  return new SheafError("SHEAF_NO_IMAGE", `several images of the store have a digest that begins with ${digest}`, {
    details: [["images", named.map((each) => `${each.reference} ${each.digest}`).join(", ")]],
    hint: "give more of its digits",
  });
}

export function withTag(reference: string): string {
  return /:[^/]+$/.test(reference) ? reference : `${reference}:latest`;
}

/** What `sheaf run` means without a name: the newest image of a repository, an API before others. */
export function newestOf(store: Store, root: string): string {
  const mine = store.listRecords<StoredImage>(kind).filter((each) => each.root === root);
  const newest = mine.toSorted(
    (a, b) => Number(b.plan.role === "api") - Number(a.plan.role === "api") || b.builtAt - a.builtAt,
  )[0];
  if (newest) return newest.reference;
  throw new SheafError("SHEAF_NO_IMAGE", "no image of this folder has been built", {
    hint: ["sheaf build", "or name one: sheaf images lists them"],
  });
}

function keyOf(reference: string, platform: string): string {
  return `${reference} ${platform}`;
}

function unknownImage(reference: string, all: StoredImage[]): SheafError {
  const near = didYouMean(
    withTag(reference),
    all.map((each) => each.reference),
  );
  return new SheafError("SHEAF_NO_IMAGE", `the store has no image ${withTag(reference)}`, {
    details: all.length > 0 ? [["it has", all.map((each) => each.reference).join(", ")]] : [],
    hint: [
      ...(near === undefined ? [] : [`did you mean ${near}?`]),
      all.length > 0 ? "sheaf images lists them" : "sheaf build makes one",
    ],
  });
}

function damagedImage(reference: string): SheafError {
  return new SheafError("SHEAF_DAMAGED", `parts of ${withTag(reference)} are gone from the store`, {
    hint: "sheaf build makes it again",
  });
}
