import * as fs from "node:fs";
import { fileURLToPath } from "node:url";

import { SheafError, throwAll } from "../errors.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import { sha256, type Store } from "../store/store.ts";
import { type ChosenFile, chooseFile, chooseWheel, noFitError, wheelOf } from "./choose-file.ts";
import { mapConcurrently } from "../concurrency.ts";
import { dependencyChain } from "./dependency-chain.ts";
import { hashesOf, type Lookup } from "./lookup.ts";
import { sameVersion } from "./pep440.ts";
import { filenameOf, type Pin, type ReleaseFile } from "./pins.ts";
import type { Distribution, Target } from "./resolution.ts";
import type { IndexFile } from "./simple-index.ts";
import { satisfies } from "./specifiers.ts";
import { byCodeUnit } from "../order.ts";

interface MaterialiseContext {
  store: Store;
  fetcher: Fetcher;
  lookup: Lookup;
  target: Target;
  noBuild: boolean;
  /** Names, or `:all:`, whose wheels or sdists are not wanted (pip's --no-binary and --only-binary). */
  noBinary: ReadonlySet<string>;
  onlyBinary: ReadonlySet<string>;
  onDistribution?: (distribution: Distribution) => void;
}

interface Materialised {
  distributions: Distribution[];
  warnings: string[];
}

const lookupsAtOnce = 16;

/**
 * Chooses one file for every pin, all problems reported together.
 * @throws SheafError SHEAF_NO_WHEEL, SHEAF_PYTHON, and what looking up throws
 */
export async function materialise(pins: Pin[], context: MaterialiseContext): Promise<Materialised> {
  const errors: SheafError[] = [];
  const warnings: string[] = [];
  const chosen = await mapConcurrently(pins, lookupsAtOnce, async (pin) => {
    try {
      return await materialiseOne(pin, { ...context, pins, warnings });
    } catch (error) {
      if (!(error instanceof SheafError) || global.has(error.code)) throw error;
      errors.push(error);
      return undefined;
    }
  });
  throwAll(errors.toSorted((a, b) => byCodeUnit(a.message, b.message)));
  return { distributions: chosen.filter((distribution) => distribution !== undefined), warnings: warnings.toSorted() };
}

/** Problems that every look-up would meet alike: told once. */
const global = new Set([
  "SHEAF_OFFLINE",
  "SHEAF_NO_INDEX",
  "SHEAF_FETCH",
  "SHEAF_INDEX_AUTH",
  "SHEAF_DISK_FULL",
  "SHEAF_STORE",
]);

type OneContext = MaterialiseContext & { pins: Pin[]; warnings: string[] };

async function materialiseOne(pin: Pin, context: OneContext): Promise<Distribution> {
  const named = wanted(
    pin,
    pin.files.filter((file) => file.url !== undefined),
    context,
  );
  const direct = choose(pin, named, context);
  // A lock that names URLs names all that it allows: what it lacks is not looked for elsewhere.
  if (direct) return finish(pin, direct, context);
  if (named.length > 0) throw await noFit(pin, named, context);
  // File names in the lock tell without any request when nothing can fit.
  if (pin.files.length > 0 && !choose(pin, wanted(pin, pin.files, context), context))
    throw await noFit(pin, pin.files, context);
  const release = await context.lookup.release(pin);
  const files = wanted(pin, fittingPython(pin, release.files, context), context);
  const found = choose(pin, files, context);
  if (!found) throw await noFit(pin, files, context);
  const yanked = (found.file as IndexFile).yanked;
  if (yanked !== undefined) {
    context.warnings.push(`${pin.name} ${pin.version} (${pin.source}) is yanked${yanked ? `: ${yanked}` : ""}`);
  }
  return finish(pin, found, context);
}

function choose(pin: Pin, files: ReleaseFile[], context: OneContext): ChosenFile | undefined {
  return context.noBuild ? chooseWheel(files, context.target) : chooseFile(files, pin.name, context.target);
}

function wanted<T extends ReleaseFile>(pin: Pin, files: T[], context: OneContext): T[] {
  const has = (names: ReadonlySet<string>) => names.has(":all:") || names.has(pin.name);
  return files.filter((file) => !has(file.filename.endsWith(".whl") ? context.noBinary : context.onlyBinary));
}

function fittingPython(pin: Pin, files: IndexFile[], context: OneContext): IndexFile[] {
  const fitting = files.filter((file) => !file.requiresPython || satisfies(context.target.python, file.requiresPython));
  if (fitting.length > 0 || files.length === 0) return fitting;
  const requires = files[0]?.requiresPython ?? "";
  throw new SheafError(
    "SHEAF_PYTHON",
    `${pin.name} ${pin.version} needs Python ${requires}, the image has ${context.target.python}`,
    {
      details: [
        ["pinned in", pin.source],
        ["asked for by", chainOf(pin, context).join(" ← ") || "the project"],
      ],
      hint: "choose another Python with --python, or another version of it and lock anew",
    },
  );
}

async function noFit(pin: Pin, files: ReleaseFile[], context: OneContext): Promise<SheafError> {
  const allFiles = context.fetcher.offline ? [] : await context.lookup.everyFile(pin).catch(() => []);
  return noFitError({
    name: pin.name,
    version: pin.version,
    source: pin.source,
    target: context.target,
    files,
    allFiles,
    chain: chainOf(pin, context),
    noBuild: context.noBuild && hasSdist(files),
  });
}

function hasSdist(files: ReleaseFile[]): boolean {
  return files.some((file) => !file.filename.endsWith(".whl"));
}

function chainOf(pin: Pin, context: OneContext): string[] {
  return dependencyChain(context.pins, pin.name).slice(1);
}

async function finish(pin: Pin, chosen: ChosenFile, context: OneContext): Promise<Distribution> {
  if (chosen.note) context.warnings.push(chosen.note);
  const { file } = chosen;
  const url = file.url ?? "";
  const hash = file.sha256 ?? (await hashOfFile(pin, url, context));
  const size = file.size ?? localSize(url);
  const distribution: Distribution = {
    name: pin.name,
    version: versionOf(pin, file),
    kind: chosen.kind,
    filename: file.filename || filenameOf(url),
    sha256: hash,
    ...(size !== undefined && { size }),
    url: context.lookup.credentialed(url),
    source: pin.source,
    requiredBy: pin.requiredBy,
  };
  context.onDistribution?.(distribution);
  return distribution;
}

/** The file's own version where it tells more than the pin: 2.3.1+cu121 for `==2.3.1`. */
function versionOf(pin: Pin, file: ReleaseFile): string {
  const version = wheelOf(file.filename)?.version ?? pin.version;
  return sameVersion(version, pin.version) ? pin.version : version;
}

function localSize(url: string): number | undefined {
  return url.startsWith("file:") ? fs.statSync(fileURLToPath(url), { throwIfNoEntry: false })?.size : undefined;
}

/** Larger than any wheel that an index takes. */
const largestFile = 4 * 1024 * 1024 * 1024 - 1;

/** The index tells no hash: the bytes do. They go into the store, so that nothing is fetched twice. */
async function hashOfFile(pin: Pin, url: string, context: OneContext): Promise<string> {
  const { body } = await readFileAnswer(pin, url, context);
  const digest = sha256(body).slice(7);
  const pinned = hashesOf(pin);
  if (pinned.length > 0 && !pinned.includes(digest)) {
    throw new SheafError(
      "SHEAF_HASH_MISMATCH",
      `${pin.name} ${pin.version}: ${filenameOf(url)} has none of the hashes in ${pin.source}`,
      {
        details: [["has", `sha256:${digest}`]],
      },
    );
  }
  context.store.putBlob(body);
  return digest;
}

async function readFileAnswer(pin: Pin, url: string, context: OneContext): Promise<{ body: Uint8Array }> {
  if (url.startsWith("file:")) {
    const file = fileURLToPath(url);
    if (fs.existsSync(file)) return { body: fs.readFileSync(file) };
    throw new SheafError("SHEAF_NOT_FOUND", `${pin.name}: there is no ${file}`, {
      details: [["pinned in", pin.source]],
    });
  }
  const answer = await context.fetcher.get(context.lookup.credentialed(url), {
    maxBytes: largestFile,
    label: `${pin.name} ${pin.version}`,
  });
  if (answer.status === 200) return answer;
  throw new SheafError(
    "SHEAF_NOT_FOUND",
    `${pin.name} ${pin.version}: ${filenameOf(url)} is answered with ${answer.status}`,
    {
      details: [["pinned in", pin.source]],
    },
  );
}
