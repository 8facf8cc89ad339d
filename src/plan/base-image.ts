import * as fs from "node:fs";
import * as path from "node:path";

import { SheafError } from "../errors.ts";
import { BaseImage } from "../ingest/base/base-image.ts";
import { knownBase, type NamedBase } from "../ingest/base/facts.ts";
import { type Platform, platformName } from "../platform.ts";
import type { Digest } from "../store/store.ts";
import type { PlanServices } from "./services.ts";

export interface BaseRequest {
  /** An OCI layout or an archive, either followed by `:TAG` where it holds several. */
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
 * Opens the base image that was asked for: from the store when its file has not changed, else read once.
 * @throws SheafError SHEAF_BASE when it is no image, not for the platform, or can't carry Python
 */
export async function openBase(request: BaseRequest, services: PlanServices): Promise<ChosenBase> {
  const { wanted, source, folder, platform } = request;
  const place = findFile(wanted, folder);
  if (!place) throw noFile(wanted, source);
  const { store } = services;
  const key = JSON.stringify([place, stateOf(place.file), platformName(platform)]);
  const known = store.readRecord<{ digest: Digest; name?: string }>("base-at", key);
  const facts = known && knownBase(store, known.digest);
  const base = facts ? { facts, name: known.name } : await ingest(place, request, services);
  if (!facts) store.writeRecord("base-at", key, { digest: base.facts.digest, name: base.name });
  refuseForeignLibc(wanted, base);
  return {
    image: new BaseImage(store, { ...base, file: path.basename(place.file), reused: facts !== undefined }),
    source,
  };
}

interface Place {
  file: string;
  tag?: string;
}

function findFile(wanted: string, folder: string): Place | undefined {
  const file = path.resolve(folder, wanted);
  if (fs.existsSync(file)) return { file };
  const colon = wanted.lastIndexOf(":");
  const before = colon > 0 ? path.resolve(folder, wanted.slice(0, colon)) : undefined;
  return before !== undefined && fs.existsSync(before) ? { file: before, tag: wanted.slice(colon + 1) } : undefined;
}

/** A file that has the same size and times is the same; of a layout the index tells. */
function stateOf(file: string): unknown {
  const stat = fs.statSync(file);
  const { size, mtimeMs, ctimeMs, ino } = stat.isDirectory()
    ? (fs.statSync(path.join(file, "index.json"), { throwIfNoEntry: false }) ?? stat)
    : stat;
  return [size, mtimeMs, ctimeMs, ino];
}

async function ingest(
  { file, tag }: Place,
  { wanted, platform }: BaseRequest,
  services: PlanServices,
): Promise<NamedBase> {
  const { store, tasks, emit } = services;
  const started = performance.now();
  const label = `base ${path.basename(file)}`;
  emit({ type: "work-start", id: file, group: "base", label });
  try {
    const base = await tasks.base({
      storeRoot: store.root,
      file,
      platform,
      ...(tag === undefined ? {} : { tag }),
    });
    emit({ type: "work-end", id: file, group: "base", reused: false });
    const message = `${label} read: ${base.facts.layers.length} layers, ${base.facts.os.name}`;
    emit({ type: "stage", stage: "base", message, seconds: (performance.now() - started) / 1000 });
    return base;
  } catch (error) {
    if (error instanceof SheafError && unreadable.has(error.code)) throw notAnImage(wanted, error);
    throw error;
  }
}

const unreadable: ReadonlySet<string> = new Set(["SHEAF_IMAGE", "SHEAF_TAR", "SHEAF_COMPRESSION"]);

function notAnImage(wanted: string, cause: SheafError): SheafError {
  return new SheafError("SHEAF_BASE", `${wanted} can't be the base: ${cause.message}`, {
    details: cause.details,
    hint: [
      ...(cause.code === "SHEAF_IMAGE" ? cause.hints : []),
      "a base is what docker save, podman save or skopeo copy … oci:DIR write",
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

function noFile(wanted: string, source: string): SheafError {
  const isReference = /^[a-z0-9][\w.-]*(?::\d+)?(?:\/[\w.-]+)*(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/.test(wanted);
  const isPath = /^[./~]|\.(?:tar|tgz|gz|oci)$/.test(wanted);
  if (!isReference || isPath) {
    return new SheafError("SHEAF_BASE", `the base ${wanted} is not there (${source})`, {
      hint: ["check the path of the OCI layout or archive", "--base debian composes a base"],
    });
  }
  const file = `${wanted.split("/").at(-1)?.split(/[:@]/)[0] ?? "base"}.tar`;
  return new SheafError(
    "SHEAF_BASE",
    `there is no file ${wanted}, and bases are not pulled from registries (${source})`,
    {
      hint: [
        `with Docker: docker pull ${wanted} && docker save ${wanted} -o ${file}, then --base ${file}`,
        `without: skopeo copy docker://${wanted} oci:base, then --base base`,
        "or --base debian, which composes a base from Debian packages",
      ],
    },
  );
}
