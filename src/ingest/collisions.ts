import { SheafError, throwAll } from "../errors.ts";
import type { EntryFacts } from "../filesystem/entry.ts";
import type { IngestedWheel } from "./ingest.ts";
import type { WheelFacts } from "./wheel.ts";

/**
 * Paths that more than one distribution writes. Equal bytes belong to the first distribution by name and are left out of
 * the others; different bytes are an error, because pip would let the order of installation decide.
 * @returns distribution → paths that it must not write
 */
export function findCollisions(
  wheels: readonly IngestedWheel[],
  entriesOf: (facts: WheelFacts) => EntryFacts[],
): Map<string, string[]> {
  const owners = new Map<string, { name: string; entry: EntryFacts }>();
  const excluded = new Map<string, string[]>();
  const conflicts = new Map<string, { first: string; second: string; paths: string[] }>();
  for (const { distribution, facts } of wheels) {
    for (const entry of entriesOf(facts)) {
      const owner = owners.get(entry.path);
      if (!owner) {
        owners.set(entry.path, { name: distribution.name, entry });
      } else if (owner.entry.sha256 === entry.sha256) {
        excluded.set(distribution.name, [...(excluded.get(distribution.name) ?? []), entry.path]);
      } else {
        const key = `${owner.name} ${distribution.name}`;
        const conflict = conflicts.get(key) ?? { first: owner.name, second: distribution.name, paths: [] };
        conflict.paths.push(entry.path);
        conflicts.set(key, conflict);
      }
    }
  }
  throwAll([...conflicts.values()].map(collisionError));
  return excluded;
}

function collisionError({ first, second, paths }: { first: string; second: string; paths: string[] }): SheafError {
  return new SheafError("SHEAF_COLLISION", `${first} and ${second} write the same file with different contents`, {
    details: paths.slice(0, 5).map((path) => ["file", path]),
    hint: [
      `if the code needs only one of them, take the other out of the dependencies`,
      `or keep one: [tool.sheaf] keep-files-of = ["${first}"]`,
    ],
  });
}
