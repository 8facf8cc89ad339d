import type { ImageFacts } from "../contract/facts/image-facts.ts";
import { byCodeUnit } from "../order.ts";
import type { VersionChange, VersionDiff } from "./image-diff.ts";

interface Versioned {
  name: string;
  version: string;
}

/** Compares what is installed on both sides by name, wherever it is installed. */
export function compareVersions(
  sides: { a: ImageFacts; b: ImageFacts },
  installed: (facts: ImageFacts) => readonly Versioned[],
): VersionDiff {
  const a = versionsOf(sides.a.derived(installed));
  const b = versionsOf(sides.b.derived(installed));
  const names = [...new Set([...a.keys(), ...b.keys()])].toSorted(byCodeUnit);
  const changes = names
    .map((name): VersionChange => ({ name, ...defined("a", a.get(name)), ...defined("b", b.get(name)) }))
    .filter((change) => change.a !== change.b);
  return { same: names.length - changes.length, changes };
}

function versionsOf(all: readonly Versioned[]): Map<string, string> {
  const versions = new Map<string, Set<string>>();
  for (const { name, version } of all) versions.set(name, (versions.get(name) ?? new Set()).add(version));
  return new Map([...versions].map(([name, each]) => [name, [...each].toSorted(byCodeUnit).join(", ")]));
}

function defined<Key extends string>(key: Key, value: string | undefined): { [key in Key]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { [key in Key]?: string };
}
