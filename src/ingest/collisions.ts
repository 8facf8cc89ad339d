import { SheafError, throwAll } from "../errors.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { PythonLayout } from "../filesystem/layout.ts";
import type { IngestedWheel } from "./wheel.ts";
import type { WheelFacts } from "./wheel.ts";
import { byCodeUnit } from "../order.ts";

export interface Collisions {
  /** Distribution → paths that it must not write. */
  excluded: Map<string, string[]>;
  /** What was decided between different contents, for the plan. */
  notes: string[];
}

export interface CollisionRules {
  layout: PythonLayout;
  /** Distributions whose files win over others'. */
  keepFilesOf: readonly string[];
}

/**
 * Paths that more than one distribution writes. Equal bytes belong to the first distribution by name and are left out of
 * the others. Where they differ, pip lets the order of installation decide; here a distribution that is told to wins, and
 * the first by name where nothing is imported from there (scripts, stray tests and texts). Anything else is an error.
 *
 * @throws SheafError SHEAF_COLLISION
 */
export function findCollisions(
  wheels: readonly IngestedWheel[],
  entriesOf: (facts: WheelFacts) => EntryFacts[],
  rules: CollisionRules,
): Collisions {
  const owners = new Map<string, { name: string; entry: EntryFacts }>();
  const excluded = new Map<string, string[]>();
  const decided = new Map<string, Conflict>();
  const conflicts = new Map<string, Conflict>();
  const exclude = (name: string, path: string) => excluded.set(name, [...(excluded.get(name) ?? []), path]);
  const twins = findTwins(wheels, rules.keepFilesOf);
  const twinNotes: string[] = [];
  for (const { distribution, facts } of inOrder(wheels, rules)) {
    const kept = twins.get(distribution.name);
    if (kept !== undefined)
      twinNotes.push(`${distribution.name} and ${kept} are the same library; ${kept}'s files are kept`);
    for (const entry of entriesOf(facts)) {
      if (kept !== undefined && !entry.path.includes(".dist-info/")) {
        exclude(distribution.name, entry.path);
        continue;
      }
      const owner = owners.get(entry.path);
      if (!owner) {
        owners.set(entry.path, { name: distribution.name, entry });
        continue;
      }
      exclude(distribution.name, entry.path);
      if (owner.entry.sha256 === entry.sha256) continue;
      const harmless = rules.keepFilesOf.includes(owner.name) || isHarmless(entry.path, rules.layout);
      const place = harmless ? decided : conflicts;
      const key = `${owner.name} ${distribution.name}`;
      const conflict = place.get(key) ?? { first: owner.name, second: distribution.name, paths: [] };
      conflict.paths.push(entry.path);
      place.set(key, conflict);
    }
  }
  throwAll([...conflicts.values()].map(collisionError));
  return { excluded, notes: [...twinNotes, ...[...decided.values()].map(decisionNote)] };
}

interface Conflict {
  /** The one whose files stay. */
  first: string;
  second: string;
  paths: string[];
}

/**
 * Builds of one library under several names, what a server wants first: dependencies ask for one of them and projects add
 * another, and pip lets the last one overwrite the rest. The metadata of all stays, so that their dependents are satisfied.
 */
const twinFamilies = [
  ["opencv-contrib-python-headless", "opencv-python-headless", "opencv-contrib-python", "opencv-python"],
  ["psycopg2-binary", "psycopg2"],
];

/** @returns distribution → its twin whose files are kept */
function findTwins(wheels: readonly IngestedWheel[], keepFilesOf: readonly string[]): Map<string, string> {
  const present = new Set(wheels.map(({ distribution }) => distribution.name));
  const twins = new Map<string, string>();
  for (const family of twinFamilies) {
    const here = family.filter((name) => present.has(name));
    const kept = here.find((name) => keepFilesOf.includes(name)) ?? here[0];
    for (const name of here) if (kept !== undefined && name !== kept) twins.set(name, kept);
  }
  return twins;
}

function inOrder(wheels: readonly IngestedWheel[], { keepFilesOf }: CollisionRules): IngestedWheel[] {
  const rank = ({ distribution }: IngestedWheel) => (keepFilesOf.includes(distribution.name) ? 0 : 1);
  return wheels.toSorted((a, b) => rank(a) - rank(b) || byCodeUnit(a.distribution.name, b.distribution.name));
}

/** Scripts, and what wheels drop beside the packages by mistake: nobody imports it. */
function isHarmless(path: string, { scripts, purelib, platlib }: PythonLayout): boolean {
  if (path.startsWith(`${scripts}/`)) return true;
  const root = [purelib, platlib].find((each) => path.startsWith(`${each}/`));
  const inside = root === undefined ? path : path.slice(root.length + 1);
  return (
    /^(tests?|docs?|examples?|benchmarks?|scripts?)\//.test(inside) ||
    /^[^/]+\.(md|rst|txt|toml|cfg)$/i.test(inside) ||
    /^(LICEN[CS]E|README|CHANGELOG|NOTICE|AUTHORS)[^/]*$/i.test(inside)
  );
}

function decisionNote({ first, second, paths }: Conflict): string {
  const more = paths.length > 1 ? ` and ${paths.length - 1} more` : "";
  return `${first} and ${second} both write ${paths[0]}${more}; ${first}'s is kept`;
}

function collisionError({ first, second, paths }: Conflict): SheafError {
  return new SheafError("SHEAF_COLLISION", `${first} and ${second} write the same file with different contents`, {
    details: paths.slice(0, 5).map((path) => ["file", path]),
    hint: [
      "if the code needs only one of them, take the other out of the dependencies",
      `or keep one's files: [tool.sheaf] keep-files-of = ["${first}"]`,
    ],
  });
}
