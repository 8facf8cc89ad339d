import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import { BaseImage } from "../ingest/base/base-image.ts";
import { knownBase, type NamedBase } from "../ingest/base/facts.ts";
import { type Platform, platformName } from "../platform.ts";
import type { Digest } from "../store/store.ts";
import { type BasePlace, findBase, keyOfBase } from "./base-place.ts";
import type { PlanServices } from "./services.ts";

export interface BaseRequest {
  /** An OCI layout or an archive, either followed by `:TAG` where it holds several; or the name of an image in a registry. */
  wanted: string;
  /** `--base`, or the file of the configuration. */
  source: string;
  /** What a relative path starts from. */
  folder: string;
  platform: Platform;
}

/** A base that the user named, and who did. */
export interface ChosenBase {
  image: BaseImage;
  source: string;
}

/**
 * Opens the base image that was asked for: from the store when its file has not changed, else read once. An image of a registry is
 * asked for once: what its tag named then is what it names here, until `--refresh`.
 * @throws SheafError SHEAF_BASE when it is no image, not for the platform, or can't carry Python; SHEAF_OFFLINE
 */
export async function openBase(request: BaseRequest, services: PlanServices): Promise<ChosenBase> {
  const { wanted, source, folder, platform } = request;
  const place = await findBase(wanted, folder, source);
  const { store, refresh } = services;
  const key = JSON.stringify([...keyOfBase(place), platformName(platform)]);
  const mayHaveMoved = place.kind === "registry" && place.reference.digest === undefined;
  const known =
    refresh && mayHaveMoved ? undefined : store.readRecord<{ digest: Digest; name?: string }>("base-at", key);
  const facts = known && knownBase(store, known.digest);
  const base = facts ? { facts, name: known.name } : await ingest(place, request, services);
  if (!facts) store.writeRecord("base-at", key, { digest: base.facts.digest, name: base.name });
  refuseForeignLibc(wanted, base);
  return { image: new BaseImage(store, { ...base, file: titleOf(place), reused: facts !== undefined }), source };
}

function titleOf(place: BasePlace): string {
  return place.kind === "file" ? path.basename(place.file) : place.name;
}

async function ingest(place: BasePlace, request: BaseRequest, services: PlanServices): Promise<NamedBase> {
  const { emit } = services;
  const started = performance.now();
  const id = `base ${request.wanted}`;
  const label = `base ${titleOf(place)}`;
  emit({ type: "work-start", id, group: "base", label });
  try {
    const base = await read(place, request, services);
    emit({ type: "work-end", id, group: "base", reused: false });
    const message = `${label} read: ${base.facts.layers.length} layers, ${base.facts.os.name}`;
    emit({ type: "stage", stage: "base", message, seconds: (performance.now() - started) / 1000 });
    return base;
  } catch (error) {
    if (error instanceof SheafError && unreadable.has(error.code)) throw notAnImage(place, request.wanted, error);
    throw error;
  }
}

async function read(place: BasePlace, { wanted, platform }: BaseRequest, services: PlanServices): Promise<NamedBase> {
  const { store, tasks, offline } = services;
  const task = { storeRoot: store.root, platform };
  if (place.kind === "file") {
    const { file, tag } = place;
    return tasks.base({ ...task, file, ...(tag === undefined ? {} : { tag }) });
  }
  const { name } = place;
  if (place.kind === "registry") {
    if (offline) throw notFetched(wanted);
    return { ...(await tasks.base({ ...task, reference: name })), name };
  }
  const folder = store.makeTemporary("base");
  const file = path.join(folder, "image.tar");
  try {
    await place.engine.save(name, file);
    return { ...(await tasks.base({ ...task, file })), name };
  } finally {
    await fs.promises.rm(folder, { recursive: true, force: true });
  }
}

function notFetched(wanted: string): SheafError {
  return new SheafError("SHEAF_OFFLINE", `the base ${wanted} is not in the cache, and --offline forbids fetching it`, {
    hint: ["run the same command once without --offline", "or --base debian, which composes a base"],
  });
}

const unreadable: ReadonlySet<string> = new Set([
  "SHEAF_IMAGE",
  "SHEAF_TAR",
  "SHEAF_COMPRESSION",
  "SHEAF_REGISTRY",
  "SHEAF_REGISTRY_AUTH",
  "SHEAF_FETCH",
]);

function notAnImage(place: BasePlace, wanted: string, cause: SheafError): SheafError {
  const fromRegistry = [
    `if this machine's Docker has it: --base docker-daemon:${wanted}`,
    "or save it where a registry can be reached, and name the archive: skopeo copy docker://… oci-archive:base.tar",
  ];
  return new SheafError("SHEAF_BASE", `${wanted} can't be the base: ${cause.message}`, {
    details: cause.details,
    hint: [
      ...(cause.code === "SHEAF_TAR" || cause.code === "SHEAF_COMPRESSION" ? [] : cause.hints),
      ...(place.kind === "registry"
        ? fromRegistry
        : ["a base is what docker save, podman save or skopeo copy … oci:DIR write"]),
    ],
    cause,
  });
}

function refuseForeignLibc(wanted: string, { facts }: NamedBase): void {
  if (facts.libc === "glibc") return;
  const what = facts.libc === "musl" ? `is built on musl (${facts.os.name})` : "has no C library";
  throw new SheafError("SHEAF_BASE_LIBC", `the base ${wanted} ${what}, and Sheaf chooses wheels for glibc`, {
    hint: [
      "take a base with glibc, such as python:3.12-slim instead of python:3.12-alpine",
      "or --base debian, which composes a small one",
    ],
  });
}
