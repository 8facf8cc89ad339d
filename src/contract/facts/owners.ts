import { installedDistributions } from "./distributions.ts";
import type { ImageFacts } from "./image-facts.ts";
import { installedPackages } from "./packages.ts";

export interface Owner {
  kind: "distribution" | "package";
  name: string;
  version: string;
  /** The file has the content that the owner's list says; of packages, whose lists have MD5, only that it is listed. */
  genuine: boolean;
}

/** Who brought each file: distributions by their RECORD, Debian packages by dpkg's lists. Paths without links. */
export function ownersOf(facts: ImageFacts): Map<string, Owner> {
  const owners = new Map<string, Owner>();
  const add = (path: string, owner: Owner): void => {
    const place = facts.files.has(path) ? path : facts.tree.place(path);
    // The owner whose content it really has comes first.
    if (facts.files.has(place) && !owners.get(place)?.genuine) owners.set(place, owner);
  };
  for (const { name, version, record = [] } of facts.derived(installedDistributions)) {
    for (const { path, hash } of record) {
      const genuine = hash === undefined || hash === `sha256=${facts.files.get(path)?.sha256}`;
      add(path, { kind: "distribution", name, version, genuine });
    }
  }
  for (const { name, version, files = [] } of facts.derived(installedPackages)) {
    for (const path of files) add(path, { kind: "package", name, version, genuine: true });
  }
  return owners;
}

/** `botocore 1.40.57`, or `files of no package`. */
export function ownerName(owner: Owner | undefined): string {
  return owner ? `${owner.name} ${owner.version}` : "no package";
}
