import * as fs from "node:fs";
import * as path from "node:path";

import { didYouMean } from "../did-you-mean.ts";
import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { Engine } from "../engine/engine.ts";
import type { Image } from "../oci/image.ts";
import type { Platform } from "../platform.ts";
import { platformName } from "../platform.ts";
import { parseRegistryReference } from "../registry/reference.ts";
import type { Store } from "../store/store.ts";
import { listImages, type OpenedImage, openStoredImage } from "./stored-images.ts";

export interface OpenReferenceOptions {
  store: Store;
  /** Which image of several platforms is meant. */
  platform?: Platform;
  /** What relative paths start from, the current folder unless given. */
  folder?: string;
  /** Asks no registry. */
  offline?: boolean;
  environment?: NodeJS.ProcessEnv;
  emit?: Emit;
  signal?: AbortSignal;
}

export type ImageOrigin = "store" | "layout" | "archive" | "docker" | "podman" | "registry";

/** An image from anywhere, ready to be read. */
export interface OpenedReference {
  /** The name by which it was found: with its tag in the store, with its host in a registry. */
  title: string;
  image: Image;
  from: ImageOrigin;
  /** What the store knows besides of an image of its own. */
  stored?: OpenedImage;
  /** Ends connections and removes temporary files: layers can't be read any more. */
  close(): Promise<void>;
}

/**
 * Opens an image by one name, wherever it is. Looked at in this order, the first that has it wins:
 *
 * 1. a path: an OCI layout as a folder, or an archive of OCI or Docker, either with `:TAG` behind it where it holds several
 * 2. the store: a tag, or a digest that may be cut short
 * 3. Docker, then Podman, where they answer: a tag or an id
 * 4. the registry that the name names; Docker Hub where it names none
 *
 * A prefix, as skopeo has them, leaves no choice: `oci:`, `oci-archive:`, `docker-archive:`, `docker-daemon:`,
 * `containers-storage:` and `docker://`. Layers stay where they are and are streamed when they are read; those in an engine are
 * written into the store's temporary folder first, since an engine gives them in no useful order.
 * @throws SheafError SHEAF_NO_IMAGE with all that was tried; and whatever opening throws where the image is
 */
export async function openImageReference(reference: string, options: OpenReferenceOptions): Promise<OpenedReference> {
  const [, prefix = "", rest = ""] = /^(docker:\/\/|[a-z][a-z-]+:)(.+)$/s.exec(reference) ?? [];
  const only = prefixes[prefix];
  const search: Search = { name: only ? rest : reference, options, tried: [], names: [] };
  for (const look of only ?? everywhere) {
    options.signal?.throwIfAborted();
    const found = await look(search);
    if (found) return found;
  }
  throw nowhere(reference, search);
}

interface Search {
  name: string;
  options: OpenReferenceOptions;
  /** Where it was looked for in vain, and how that went. */
  tried: [place: string, answer: string][];
  /** What there is instead. */
  names: string[];
}

type Look = (search: Search) => Promise<OpenedReference | undefined>;

const everywhere: Look[] = [onDisk, inStore, (search) => inEngine(search), inRegistry];

const prefixes: Record<string, Look[] | undefined> = {
  "oci:": [onDisk],
  "oci-archive:": [onDisk],
  "docker-archive:": [onDisk],
  "docker-daemon:": [(search) => inEngine(search, "docker")],
  "containers-storage:": [(search) => inEngine(search, "podman")],
  "docker://": [inRegistry],
};

async function onDisk({ name, options, tried }: Search): Promise<OpenedReference | undefined> {
  const { folder = process.cwd(), platform, store } = options;
  const place = findPlace(path.resolve(folder, name));
  if (!place) {
    if (isPath(name)) tried.push(["files", "there is no such path"]);
    return undefined;
  }
  if (place.isFolder && !isLayout(place.file)) {
    tried.push(["files", `the folder ${name} is no OCI layout`]);
    return undefined;
  }
  const { openImageFile } = await import("../oci/open-file.ts");
  const image = await openImageFile(place.file, store, { tag: place.tag, platform });
  return { title: name, image, from: place.isFolder ? "layout" : "archive", close: async () => undefined };
}

async function inStore({ name, options, tried, names }: Search): Promise<OpenedReference | undefined> {
  if (isPath(name)) return undefined;
  const { store, platform } = options;
  try {
    const stored = openStoredImage(store, name, platform && platformName(platform));
    return { title: stored.reference, image: stored.image, from: "store", stored, close: async () => undefined };
  } catch (error) {
    if (!(error instanceof SheafError) || error.code !== "SHEAF_NO_IMAGE") throw error;
    names.push(...listImages(store).map((each) => each.reference));
    tried.push(["store", names.length === 0 ? "it is empty" : "has no such image"]);
    return undefined;
  }
}

async function inEngine(search: Search, only?: Engine["kind"]): Promise<OpenedReference | undefined> {
  const { name, options, tried, names } = search;
  const isId = /^sha256:[0-9a-f]+$/.test(name);
  if (isPath(name) || (!isId && !parseRegistryReference(name))) return undefined;
  const { findEngine } = await import("../engine/find.ts");
  const kinds = only ? [only] : (["docker", "podman"] as const);
  for (const kind of kinds) {
    const engine = await findEngine(kind, options.environment);
    if (engine && (await engine.imageId(name)) !== undefined) {
      const { openFromEngine } = await import("../engine/open-image.ts");
      return { title: name, from: kind, ...(await openFromEngine(engine, name, options)) };
    }
    tried.push([kind, engine ? "has no such image" : "does not answer"]);
    names.push(...((await engine?.tags()) ?? []));
  }
  return undefined;
}

async function inRegistry({ name, options, tried }: Search): Promise<OpenedReference | undefined> {
  const reference = isPath(name) ? undefined : parseRegistryReference(name);
  if (!reference) return undefined;
  const { host, qualified } = reference;
  if (options.offline) {
    tried.push([host, "is not asked, because of --offline"]);
    return undefined;
  }
  const [{ pullImage }, { formatReference }] = await Promise.all([
    import("../registry/pull.ts"),
    import("../registry/reference.ts"),
  ]);
  try {
    const { image, close } = await pullImage(reference, options);
    return { title: formatReference(reference), image, from: "registry", close };
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    // A name with a host can only mean that registry; one without may be a slip of the pen.
    const details: typeof tried = [...error.details, ...tried];
    if (qualified)
      throw new SheafError(error.code as `SHEAF_${string}`, error.message, { ...optionsOf(error), details });
    tried.push([host, error.message]);
    return undefined;
  }
}

function optionsOf({ hints, exitCode, cause }: SheafError) {
  return { hint: hints, exitCode, cause };
}

interface Place {
  file: string;
  tag?: string;
  isFolder: boolean;
}

/** The path as a whole, else what is before a colon: a tag, or a whole name such as `team/app:1.0`. */
function findPlace(whole: string): Place | undefined {
  for (let end = whole.length; end > 0; end = whole.lastIndexOf(":", end - 1)) {
    const file = whole.slice(0, end);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (stat)
      return { file, isFolder: stat.isDirectory(), ...(end < whole.length ? { tag: whole.slice(end + 1) } : {}) };
  }
  return undefined;
}

function isLayout(folder: string): boolean {
  return fs.existsSync(path.join(folder, "index.json")) || fs.existsSync(path.join(folder, "oci-layout"));
}

/** Whether it can mean nothing but a file: no name of an image is written so. */
function isPath(name: string): boolean {
  return /^(?:\.{0,2}\/|~)|\.(?:tar|tgz|tar\.\w+)$/.test(name);
}

function nowhere(reference: string, { name, tried, names }: Search): SheafError {
  const near = didYouMean(name, names) ?? didYouMean(`${name}:latest`, names);
  const known =
    tried.length > 0 ? tried : [["name", "it is neither a path nor the name of an image"] as [string, string]];
  return new SheafError("SHEAF_NO_IMAGE", `there is no image ${reference}`, {
    details: known,
    hint: [
      ...(near === undefined ? [] : [`did you mean ${near}?`]),
      "sheaf images lists the store's; an image can also be a layout, an archive, in Docker, Podman or a registry",
    ],
  });
}
