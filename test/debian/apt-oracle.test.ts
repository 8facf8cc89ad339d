import { execFileSync } from "node:child_process";
import * as fs from "node:fs";

import { beforeAll, describe, expect, it } from "vitest";

import { compactIndex, openIndexes, type PackageLookup } from "../../src/debian/package-index.ts";
import { resolvePackages } from "../../src/debian/resolve.ts";

const lists = "/var/lib/apt/lists";
const files = fs.existsSync(lists) ? fs.readdirSync(lists).filter((name) => /_Packages(\.\w+)?$/.test(name)) : [];
const reason = "needs apt with its package lists";

describe.skipIf(files.length === 0)(`resolving beside apt-get (${reason})`, () => {
  let lookup: PackageLookup;

  beforeAll(() => {
    const parts = files.map((name) => {
      const text = execFileSync("/usr/lib/apt/apt-helper", ["cat-file", `${lists}/${name}`], { maxBuffer: 1 << 29 });
      return { bytes: compactIndex(text), uri: "http://archive.example.test" };
    });
    lookup = openIndexes(parts);
  });

  const sets = [
    ["libgl1"],
    ["curl", "libpq5", "libmagic1", "poppler-utils"],
    ["postgresql-client", "imagemagick"],
    ["ffmpeg"],
  ];

  it.each(sets.map((names) => [names.join(" "), names] as const))(
    "takes what apt-get takes for %s",
    (_, names) => {
      const found = names.filter((name) => lookup.versions(name).length > 0);
      const mine = resolvePackages(found, { lookup, archive: "the test's archive" });
      expect(mine.map((pkg) => `${pkg.name} ${pkg.version}`)).toEqual(simulate(found));
    },
    60_000,
  );
});

/** What apt-get would install into a root in which nothing is installed. */
function simulate(names: string[]): string[] {
  const options = ["-s", "-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=1", "--no-install-recommends"];
  const output = execFileSync("apt-get", [...options, "install", ...names], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  const installed = [...output.matchAll(/^Inst (\S+) \((\S+)/gm)].map((match) => `${match[1]} ${match[2]}`);
  return installed.toSorted((a, b) => ((a.split(" ")[0] ?? "") < (b.split(" ")[0] ?? "") ? -1 : 1));
}
