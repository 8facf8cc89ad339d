import type { RecordRow } from "../../wheel/record.ts";
import { type InstalledDistribution, installedDistributions } from "./distributions.ts";
import type { ImageFacts } from "./image-facts.ts";

/**
 * Distributions of which the metadata alone is there, so that their dependents are satisfied, while another one has all of their
 * modules: builds of one library under several names, such as OpenCV's, of which one is kept. By their dist-info.
 */
export function hollowTwins(facts: ImageFacts): Set<string> {
  const all = facts.derived(installedDistributions);
  const listedBy = new Map<string, number>();
  for (const each of all) for (const { path } of contentOf(each)) listedBy.set(path, (listedBy.get(path) ?? 0) + 1);
  const modules = new Map(all.map((each) => [each.info, modulesOf(each, facts)]));
  return new Set(
    all
      .filter((each) => {
        const own = contentOf(each);
        if (own.length === 0 || own.some(({ path }) => facts.files.has(path) && listedBy.get(path) === 1)) return false;
        const [wanted, others] = [modulesOf(each), all.filter(({ info }) => info !== each.info)];
        if (wanted.size === 0) return false;
        return others.some(({ info }) => [...wanted].every((module) => modules.get(info)?.has(module)));
      })
      .map(({ info }) => info),
  );
}

function contentOf({ record = [], info }: InstalledDistribution): RecordRow[] {
  return record.filter(({ path }) => !path.startsWith(`${info}/`) && !/\.py[co]$|(?:^|\/)s?bin\//.test(path));
}

/** Top-level names in the site-packages; with facts those that something is there of. Libraries that were put beside the modules are none. */
function modulesOf(distribution: InstalledDistribution, facts?: ImageFacts): Set<string> {
  const { folder } = distribution;
  const names = contentOf(distribution)
    .filter(({ path }) => path.startsWith(`${folder}/`) && (!facts || facts.files.has(path)))
    .map(({ path }) => path.slice(folder.length + 1).split("/")[0] ?? "");
  return new Set(names.filter((name) => !name.endsWith(".libs")));
}
