import { SheafError } from "../errors.ts";
import type { Emit } from "../events.ts";
import type { Fetcher } from "../fetch/fetcher.ts";
import type { Store } from "../store/store.ts";
import { keyringDigest } from "./keyring.ts";
import { checkDates, type Release, verifyInRelease } from "./release.ts";
import { type AptSource, readOsRelease } from "./sources.ts";

/** A suite whose signature was checked. */
export interface Suite {
  source: AptSource;
  /** Address of the suite's folder. */
  url: string;
  release: Release;
  components: string[];
}

export interface OpenSuitesOptions {
  store: Store;
  fetcher: Fetcher;
  emit: Emit;
  platform: { architecture: string };
  suite?: string;
  sources: AptSource[];
  refresh?: boolean;
  now?: () => Date;
  root: string;
}

/** A day: the distributions publish updates four times a day at most. */
const freshFor = 24 * 3600 * 1000;

/**
 * The main suite of a codename first, then its updates and security suites. Sources of anybody but the distribution, and
 * suites that are taken on request only, are left out.
 */
export async function openSuites(options: OpenSuitesOptions): Promise<Suite[]> {
  const codename = options.suite ?? readOsRelease(options.root)["VERSION_CODENAME"];
  const candidates = candidateSources(options, codename);
  const opened = await Promise.all(candidates.map((source) => openSuite(source, options)));
  const suites = opened.flatMap((suite) => {
    if (!suite) return [];
    const reason = whyNot(suite.release, codename);
    if (!reason) return [suite];
    options.emit({
      type: "warning",
      code: "SHEAF_APT_SOURCE_IGNORED",
      message: `${suite.source.origin} is left out: ${reason}`,
    });
    return [];
  });
  const main = suites.findIndex(
    (suite) => !/-|\//.test(suite.release.codename) && !/-(updates|security)$/.test(suite.source.suite),
  );
  const first = suites[main];
  if (!first) throw noMainSuite(options, codename);
  return [first, ...suites.filter((suite) => suite !== first)];
}

/** Names of the machine's own suites, or of another codename's put in their place. */
function candidateSources(options: OpenSuitesOptions, codename: string | undefined): AptSource[] {
  const usable: AptSource[] = [];
  for (const source of options.sources) {
    if (source.unsupported) {
      options.emit({
        type: "warning",
        code: "SHEAF_APT_SOURCE_IGNORED",
        message: `${source.origin} is left out: ${source.unsupported}`,
      });
    } else if (
      !/-(backports(-sloppy)?|proposed|proposed-updates)$/.test(source.suite) &&
      !source.suite.endsWith("/") &&
      fits(source, options)
    ) {
      usable.push(source);
    }
  }
  const own = readOsRelease(options.root)["VERSION_CODENAME"];
  const wanted = options.suite;
  const named = usable.some((source) => baseName(source.suite) === codename);
  const chosen = wanted && !named ? usable.filter((source) => !own || isDistributionSuite(source.suite, own)) : usable;
  const seen = new Set<string>();
  return chosen
    .filter((source) => !wanted || !named || baseName(source.suite) === wanted)
    .map((source) => (wanted && !named ? { ...source, suite: renameSuite(source.suite, wanted) } : source))
    .filter((source) => !seen.has(`${source.uri} ${source.suite}`) && seen.add(`${source.uri} ${source.suite}`));
}

function fits(source: AptSource, options: OpenSuitesOptions): boolean {
  return !source.architectures || source.architectures.includes(options.platform.architecture);
}

const roles = new Set(["stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"]);

function isDistributionSuite(suite: string, own: string): boolean {
  return baseName(suite) === own || roles.has(baseName(suite));
}

/** `bookworm` of `bookworm-updates`, `bookworm-security` and `bookworm/updates`. */
function baseName(suite: string): string {
  return suite.replace(/[-/](updates|security)$/, "");
}

function renameSuite(suite: string, codename: string): string {
  const end = /[-/](updates|security)$/.exec(suite)?.[0] ?? "";
  return `${codename}${end === "/updates" ? "-security" : end}`;
}

/** Why a signed suite is not used, in words. */
function whyNot(release: Release, codename: string | undefined): string | undefined {
  const maker = `${release.origin || "nobody"} / ${release.label || "no label"}`;
  const known = release.origin === "Debian" || release.origin === "Ubuntu";
  if (!known || !/^(Debian|Debian-Security|Ubuntu)$/.test(release.label))
    return `it is an archive of ${maker}, not the distribution's own`;
  if (release.notAutomatic) return `packages of ${release.suite} are installed on request only`;
  const base = baseName(release.codename);
  if (codename && base !== codename) return `it is ${base}, not ${codename}`;
  return undefined;
}

interface SuiteRecord {
  release: Release;
  /** Milliseconds, when the archive was asked. */
  checkedAt: number;
}

/** Undefined for a third party's suite that can't be had: apt's own business, not this image's. */
async function openSuite(source: AptSource, options: OpenSuitesOptions): Promise<Suite | undefined> {
  const url = `${source.uri}/dists/${source.suite}`;
  const now = options.now?.() ?? new Date();
  const key = JSON.stringify([3, url, keyringDigest(source.signedBy, options.root)]);
  const known = options.store.readRecord<SuiteRecord>("debian-suite", key);
  const age = known ? now.getTime() - known.checkedAt : Number.POSITIVE_INFINITY;
  const suite = (release: Release): Suite => ({ source, url, release, components: source.components });
  // Offline there is no newer one: what was valid when it was fetched stays in use.
  const ignoreExpiry = source.ignoreExpiry === true || options.fetcher.offline;
  const check = { url: `${url}/InRelease`, now, ignoreExpiry };
  if (known && age >= 0 && age < freshFor && !options.refresh) return suite(checkDates(known.release, check));
  if (known && options.fetcher.offline) return suite(checkDates(known.release, check));
  try {
    const release = await fetchRelease(source, { ...options, check });
    const newest = known && known.release.date > release.date ? known.release : release;
    const record: SuiteRecord = { release: newest, checkedAt: now.getTime() };
    options.store.writeRecord("debian-suite", key, record);
    return suite(newest);
  } catch (error) {
    if (!(error instanceof SheafError)) throw error;
    if (known && error.code === "SHEAF_FETCH") {
      options.emit({
        type: "warning",
        code: "SHEAF_DEB_STALE",
        message: `${url} can't be reached; the package index of ${known.release.date} is used`,
      });
      return suite(checkDates(known.release, check));
    }
    if (!isThirdParty(source, options)) throw error;
    options.emit({
      type: "warning",
      code: "SHEAF_APT_SOURCE_IGNORED",
      message: `${source.origin} is left out: ${error.message}`,
    });
    return undefined;
  }
}

async function fetchRelease(
  source: AptSource,
  options: OpenSuitesOptions & { check: { url: string; now: Date; ignoreExpiry: boolean } },
): Promise<Release> {
  const { check, fetcher } = options;
  const answer = await fetcher.get(check.url, { maxBytes: 16 * 1024 * 1024 });
  if (answer.status !== 200) {
    throw new SheafError("SHEAF_DEB_INDEX", `${check.url} is not there: the archive answers ${answer.status}`, {
      details: [["apt source", source.origin]],
      hint: "check the suite's name (--suite, or suite in [tool.sheaf]) and the apt source; apt-get update must work on this machine",
    });
  }
  return verifyInRelease(answer.body, { ...check, signedBy: source.signedBy, root: options.root });
}

/** By its suite's name alone, for a source that can't be asked. */
function isThirdParty(source: AptSource, options: OpenSuitesOptions): boolean {
  const codename = options.suite ?? readOsRelease(options.root)["VERSION_CODENAME"];
  return codename !== undefined && baseName(source.suite) !== codename && !roles.has(baseName(source.suite));
}

function noMainSuite(options: OpenSuitesOptions, codename: string | undefined): SheafError {
  const seen = options.sources.map((source) => `${source.origin} (${source.suite})`);
  return new SheafError(
    "SHEAF_APT_SOURCES",
    seen.length === 0
      ? "this machine has no apt sources, and the debian base is put together from them"
      : `no apt source of this machine is the main suite of Debian or Ubuntu${codename ? ` ${codename}` : ""}`,
    {
      details: [
        ["looked in", seen.join(", ") || "/etc/apt/sources.list, /etc/apt/sources.list.d"],
        ["architecture", options.platform.architecture],
      ],
      hint: "build on a Debian or Ubuntu machine (or container), or choose an image as the base: --base IMAGE",
    },
  );
}
