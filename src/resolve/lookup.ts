import * as fs from "node:fs";
import { fileURLToPath } from "node:url";

import { SheafError } from "../errors.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import { sha256, type Store } from "../store/store.ts";
import { normalizeName } from "../wheel/filename.ts";
import { credentialsByOrigin, splitCredentials, withCredentials } from "./credentials.ts";
import { discoverDefaultIndex } from "./default-index.ts";
import type { IndexSettings } from "./index-config.ts";
import { compareVersions, sameVersion } from "./pep440.ts";
import { parseSdistFilename, type Pin } from "./pins.ts";
import { satisfies } from "./specifiers.ts";
import { type IndexFile, parseHtmlPage, readLinksFolder, readProjectPage } from "./simple-index.ts";
import { didYouMean } from "../did-you-mean.ts";

/** The files of one pinned release at an index. */
export interface Release {
  files: IndexFile[];
  /** Without credentials. */
  index: string;
}

/** Looks pins up in simple indexes; what was found for a pin is kept in the store for ever. */
export class Lookup {
  readonly #services: { store: Store; fetcher: Fetcher };
  readonly #settings: IndexSettings;
  readonly #credentials: Map<string, string>;
  readonly #refresh: boolean;
  readonly #pages = new Map<string, Promise<IndexFile[] | undefined>>();
  #default: Promise<string> | undefined;

  constructor(services: { store: Store; fetcher: Fetcher }, settings: IndexSettings, refresh: boolean) {
    this.#services = services;
    this.#settings = settings;
    this.#refresh = refresh;
    this.#credentials = credentialsByOrigin([
      settings.default ?? "",
      ...settings.extra,
      ...Object.values(settings.named),
    ]);
  }

  /**
   * The pinned version's files, those alone that have a pinned hash when the pin has any.
   * @throws SheafError SHEAF_NOT_FOUND, SHEAF_HASH_MISMATCH, SHEAF_INDEX, SHEAF_INDEX_AUTH, SHEAF_OFFLINE
   */
  async release(pin: Pin): Promise<Release> {
    const key = JSON.stringify([1, pin.name, pin.version, hashesOf(pin), this.#shownIndexes(pin)]);
    const known = this.#refresh ? undefined : this.#services.store.readRecord<Release>("index-release", key);
    if (known) return known;
    const release = await this.#find(pin);
    // A folder of links may change; an index doesn't take back what a release has.
    if (!release.files.some((file) => file.url.startsWith("file:"))) {
      this.#services.store.writeRecord("index-release", key, release);
    }
    return release;
  }

  /**
   * Exactly this version, from the indexes and folders that are configured and from `more`: the index that everybody asks
   * without being told to is left alone. Undefined when none has it, or nothing may be asked.
   */
  async configuredRelease(pin: Pin, more: readonly string[]): Promise<Release | undefined> {
    const { default: main, extra } = this.#settings;
    for (const place of this.#settings.findLinks) {
      const files = exactly(await this.#links(place, pin.name), pin).map(withLocalHash);
      if (files.length > 0) return { files, index: place };
    }
    const indexes = this.#settings.noIndex ? [] : [...extra, ...more, ...(main === undefined ? [] : [main])];
    for (const index of new Set(indexes.map((url) => splitCredentials(url).url))) {
      try {
        const { files } = await this.release({ ...pin, index });
        return { files: exactly(files, pin), index };
      } catch (error) {
        if (!(error instanceof SheafError) || !absent.has(error.code)) throw error;
      }
    }
    return undefined;
  }

  /** Every file of the project at the first index that has it; for advice in errors. */
  async everyFile(pin: Pin): Promise<IndexFile[]> {
    for (const index of await this.#indexes(pin)) {
      const files = await this.#page(index, pin.name);
      if (files && files.length > 0) return files;
    }
    return [];
  }

  /** A URL with the credentials of its origin, when an index has some. */
  credentialed(url: string): string {
    return withCredentials(url, this.#credentials);
  }

  async #find(pin: Pin): Promise<Release> {
    const hashes = new Set(hashesOf(pin));
    const looked: string[] = [];
    const seen: IndexFile[] = [];
    let replaced: { index: string; count: number } | undefined;
    for (const place of this.#settings.findLinks) {
      const files = ofVersion(await this.#links(place, pin.name), pin).map(withLocalHash);
      const matching = hashes.size > 0 ? acceptable(files, hashes) : highestOf(files, pin);
      if (matching.length > 0) return { files: matching, index: place };
    }
    for (const index of this.#settings.noIndex ? [] : await this.#indexes(pin)) {
      const shown = splitCredentials(index).url;
      looked.push(shown);
      const files = await this.#page(index, pin.name);
      if (!files) continue;
      // By hash first: a page may name thousands of files, whose versions would have to be read one by one.
      const matching =
        hashes.size > 0 ? ofVersion(acceptable(files, hashes), pin) : highestOf(ofVersion(files, pin), pin);
      if (matching.length > 0) return { files: matching, index: shown };
      const count = ofVersion(files, pin).length;
      if (count > 0) replaced ??= { index: shown, count };
      seen.push(...files);
    }
    if (replaced) throw mismatchError(pin, hashes.size, replaced);
    const versions = new Set(seen.map((file) => versionOf(file.filename, pin.name) ?? ""));
    throw notFoundError(pin, looked.concat(this.#settings.findLinks), [...versions]);
  }

  /** In the order in which they are asked. */
  async #indexes(pin: Pin): Promise<string[]> {
    if (pin.index) return [this.credentialed(pin.index)];
    const main = this.#settings.default ?? (await (this.#default ??= discoverDefaultIndex(this.#services.store)));
    // Hashes say which file is meant, so the usual index may answer first. Without them an extra index goes first, as in uv:
    // a stranger's project of the same name at the usual one must not win. Local versions live in extra indexes.
    const mainFirst = hashesOf(pin).length > 0 && !pin.version.includes("+");
    return mainFirst ? [main, ...this.#settings.extra] : [...this.#settings.extra, main];
  }

  #shownIndexes(pin: Pin): string[] {
    const { default: main = "", extra, findLinks } = this.#settings;
    return (pin.index ? [pin.index] : [main, ...extra, ...findLinks]).map((url) => splitCredentials(url).url);
  }

  #page(index: string, name: string): Promise<IndexFile[] | undefined> {
    const key = `${index} ${name}`;
    const under = this.#pages.get(key) ?? readProjectPage(this.#services.fetcher, index, name);
    this.#pages.set(key, under);
    return under;
  }

  async #links(place: string, name: string): Promise<IndexFile[]> {
    if (!/^https?:/i.test(place)) return readLinksFolder(place.replace(/^file:\/\//, ""), name);
    const answer = await this.#services.fetcher.get(this.credentialed(place));
    const files = answer.status === 200 ? parseHtmlPage(Buffer.from(answer.body).toString("utf8"), answer.url) : [];
    return files.filter((file) => versionOf(file.filename, name) !== undefined);
  }
}

/** What says that a release can't be had, and of nothing else that it went wrong. */
const absent: ReadonlySet<string> = new Set(["SHEAF_NOT_FOUND", "SHEAF_OFFLINE"]);

function exactly(files: IndexFile[], pin: Pin): IndexFile[] {
  return files.filter((file) => sameVersion(versionOf(file.filename, pin.name) ?? "", pin.version));
}

/** Every hash that a file of the pin may have: the pin's own and those of the files that the lock names. */
export function hashesOf(pin: Pin): string[] {
  return [...pin.hashes, ...pin.files.flatMap((file) => file.sha256 ?? [])];
}

/** Without hashes the highest version is meant, as with pip: 2.3.1+cu121 before 2.3.1. */
function highestOf(files: IndexFile[], pin: Pin): IndexFile[] {
  const versions = files.map((file) => versionOf(file.filename, pin.name) ?? "");
  const highest = versions.toSorted(compareVersions).at(-1) ?? "";
  return files.filter((_, index) => sameVersion(versions[index] ?? "", highest));
}

/** Files with a pinned hash, and those whose hash the index doesn't tell. */
function acceptable(files: IndexFile[], hashes: Set<string>): IndexFile[] {
  return files.filter((file) => file.sha256 === undefined || hashes.has(file.sha256));
}

function withLocalHash(file: IndexFile): IndexFile {
  if (!file.url.startsWith("file:")) return file;
  const bytes = fs.readFileSync(fileURLToPath(file.url));
  return { ...file, sha256: sha256(bytes).slice(7), size: bytes.length };
}

function ofVersion(files: IndexFile[], pin: Pin): IndexFile[] {
  return files.filter((file) => {
    const version = versionOf(file.filename, pin.name);
    // `==2.3.1` is satisfied by 2.3.1+cu121 too.
    return version !== undefined && (sameVersion(version, pin.version) || satisfies(version, `==${pin.version}`));
  });
}

/** The version in a file's name, read cheaply: a page holds thousands of names of which few are looked at closely. */
function versionOf(filename: string, name: string): string | undefined {
  if (!filename.endsWith(".whl")) return parseSdistFilename(filename, name)?.version;
  const [project = "", version] = filename.split("-", 2);
  return normalizeName(project) === name ? version : undefined;
}

function mismatchError(pin: Pin, pinned: number, found: { index: string; count: number }): SheafError {
  return new SheafError(
    "SHEAF_HASH_MISMATCH",
    `${pin.name} ${pin.version}: none of the ${pinned} hashes in ${pin.source} belongs to a file at the index`,
    {
      details: [
        ["index", found.index],
        ["files there", String(found.count)],
      ],
      hint: [
        "the lock was made from another index, or the files were replaced since: find out which before you go on",
        "name the index that the lock was made from (PIP_INDEX_URL, --index-url), or lock anew",
      ],
    },
  );
}

function notFoundError(pin: Pin, looked: string[], versions: string[]): SheafError {
  const known = versions.filter((version) => version !== "").toSorted(compareVersions);
  const near = didYouMean(pin.version, known);
  return new SheafError(
    "SHEAF_NOT_FOUND",
    known.length > 0
      ? `${pin.name} has no version ${pin.version}`
      : `${pin.name} ${pin.version} is in none of the indexes`,
    {
      details: [
        ["pinned in", pin.source],
        ["looked in", looked.join(", ") || "no index (no-index is set)"],
        ...(known.length > 0 ? [["newest there", known.slice(-5).join(" ")] as [string, string]] : []),
      ],
      hint: near
        ? `did you mean ${near}?`
        : "if it is in a private index, name it: PIP_EXTRA_INDEX_URL, or [[tool.uv.index]] in pyproject.toml",
    },
  );
}
