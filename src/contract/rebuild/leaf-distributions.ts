import type { RuntimeConfig } from "../../oci/types.ts";
import { byCodeUnit } from "../../order.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { type InstalledDistribution, installedDistributions } from "../facts/distributions.ts";
import { type ImageFacts, textOf } from "../facts/image-facts.ts";
import { sum } from "../lists.ts";
import { fileName, startWords } from "../role.ts";

/** A distribution that the project could do without, as far as a build can tell. */
export interface Leaf {
  name: string;
  version: string;
  bytes: number;
}

/**
 * Distributions that nothing else in the image requires, that bring nothing for themselves alone, that the app's own code does
 * not import, and that the command does not start: what is left builds without them. The smallest first; last those that an
 * extra of another one asks for, which may have been chosen or not.
 */
export function leafDistributions(facts: ImageFacts, config: RuntimeConfig): Leaf[] {
  const all = facts.derived(installedDistributions);
  const requiredBy = dependents(all, (requirement) => !/\bextra\s*==/.test(requirement));
  const wantedBy = dependents(all, () => true);
  const imported = ownImports(facts);
  const installed = new Set(all.map(({ name }) => name));
  const words = new Set([...startWords(config), ...(config.Healthcheck?.Test ?? [])].map(fileName));
  return all
    .filter((distribution) => {
      const { name, requires, record, entryPoints, directUrl } = distribution;
      if (requiredBy.has(name) || record === undefined || directUrl) return false;
      if (words.has(name) || entryPoints.some((point) => words.has(point.name))) return false;
      if (topModules(distribution).some((module) => imported.has(module))) return false;
      return requires
        .map(requiredName)
        .filter((each) => installed.has(each))
        .every((each) => (wantedBy.get(each)?.size ?? 0) > 1);
    })
    .map(({ name, version, record = [] }) => ({ name, version, bytes: sum(record, ({ size }) => size ?? 0) }))
    .toSorted(
      (a, b) =>
        Number(wantedBy.has(a.name)) - Number(wantedBy.has(b.name)) || a.bytes - b.bytes || byCodeUnit(a.name, b.name),
    );
}

/** Who requires what, by the name of what is required. */
function dependents(
  all: readonly InstalledDistribution[],
  counts: (requirement: string) => boolean,
): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { name, requires } of all) {
    for (const each of requires.filter(counts).map(requiredName))
      found.set(each, (found.get(each) ?? new Set()).add(name));
  }
  return found;
}

/** Conditions don't count: what might be required stays. */
function requiredName(requirement: string): string {
  return normalizeName(/^\s*([A-Za-z0-9][\w.-]*)/.exec(requirement)?.[1] ?? "");
}

/** Names that its files can be imported by. */
function topModules({ folder, record = [] }: InstalledDistribution): string[] {
  const names = record.flatMap(({ path }) => {
    const first = path.startsWith(`${folder}/`) ? (path.slice(folder.length + 1).split("/")[0] ?? "") : "";
    return /\.(?:dist-info|egg-info|data|pth)$/.test(first) ? [] : [first.replace(/\..*$/, "")];
  });
  return [...new Set(names)].filter((name) => name !== "" && name !== "__pycache__");
}

/** Top-level modules that the sources of the app name in any import, wherever that stands. */
function ownImports(facts: ImageFacts): Set<string> {
  const found = new Set<string>();
  for (const file of facts.files.values()) {
    const text = file.path.endsWith(".py") ? textOf(file) : undefined;
    for (const [, from, list] of text?.matchAll(/^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import|import[ \t]+([^\n#;]+))/gm) ??
      [])
      for (const name of from === undefined ? (list ?? "").split(",") : [from])
        found.add(/^[ \t]*(\w+)/.exec(name)?.[1] ?? "");
  }
  return found;
}
