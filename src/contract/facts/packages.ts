import { field, parseControl } from "../../debian/control.ts";
import { byCodeUnit } from "../../order.ts";
import { type ImageFacts, textOf } from "./image-facts.ts";

/** A package in dpkg's database. */
export interface InstalledPackage {
  name: string;
  version: string;
  /** Paths that it has, as its lists name them, without a leading slash; undefined when it has no list. */
  files?: string[];
}

/** What dpkg's database says is installed: its one file, or the folder that images without dpkg have. */
export function installedPackages(facts: ImageFacts): InstalledPackage[] {
  const packages: InstalledPackage[] = [];
  for (const [path, file] of facts.files) {
    if (file.text === undefined || !/^var\/lib\/dpkg\/status(?:\.d\/[^/]+(?<!\.md5sums))?$/.test(path)) continue;
    for (const stanza of parseControl(textOf(file) ?? "")) {
      const name = field(stanza, "Package");
      const version = field(stanza, "Version");
      // Images without dpkg leave the status out.
      if (!name || !version || !(field(stanza, "Status") ?? "install ok installed").endsWith(" installed")) continue;
      const files = filesOf(facts, name, field(stanza, "Architecture"));
      packages.push({ name, version, ...(files ? { files } : {}) });
    }
  }
  return packages.toSorted((a, b) => byCodeUnit(a.name, b.name));
}

/** Every path that some package has. */
export function packagedPaths(facts: ImageFacts): Set<string> {
  return new Set(facts.derived(installedPackages).flatMap(({ files = [] }) => files));
}

/** The names in the package's `.list`, else in its `.md5sums`, which leaves configuration files and links out. */
function filesOf(facts: ImageFacts, name: string, architecture: string | undefined): string[] | undefined {
  const names = [name, `${name}:${architecture}`];
  for (const each of names) {
    const list = facts.text(`var/lib/dpkg/info/${each}.list`);
    if (list !== undefined) return list.split("\n").flatMap((line) => withoutSlash(line));
  }
  const sums = [...names.map((each) => `info/${each}`), ...names.map((each) => `status.d/${each}`)]
    .map((each) => facts.text(`var/lib/dpkg/${each}.md5sums`))
    .find((text) => text !== undefined);
  return sums?.split("\n").flatMap((line) => withoutSlash(line.slice(34)));
}

function withoutSlash(line: string): string[] {
  const path = line.trim().replace(/^(?:\.?\/)+/, "");
  return path === "" || path === "." ? [] : [path];
}
