import { SheafError } from "../errors.ts";
import { evaluateMarker, type MarkerEnvironment } from "./markers.ts";
import type { DeclaredRequirement } from "./pyproject.ts";
import { satisfies } from "./specifiers.ts";

interface StalenessCheck {
  lock: string;
  /** Where the requirements stand: `pyproject.toml`. */
  declaredIn: string;
  declared: DeclaredRequirement[];
  environment: MarkerEnvironment;
  /** Versions that the lock holds of a name; empty for one without a version (a local package). */
  lockedVersions: (name: string) => (string | undefined)[] | undefined;
  /** The project's own name, which an extra may ask for. */
  ownName?: string;
  /** What brings the lock up to date: `uv lock`. */
  command: string;
}

/**
 * A lock is stale when the project asks for something that it lacks, or for a version that it doesn't pin.
 * @throws SheafError SHEAF_LOCK_STALE that names each
 */
export function checkStaleness(check: StalenessCheck): void {
  const problems: [string, string][] = [];
  for (const { requirement, part } of check.declared) {
    if (requirement.name === check.ownName) continue;
    if (requirement.marker && !evaluateMarker(requirement.marker, check.environment)) continue;
    const versions = check.lockedVersions(requirement.name);
    if (versions === undefined) {
      problems.push([requirement.name, `asked for in ${part}, not in the lock`]);
      continue;
    }
    const pinned = versions.filter((version) => version !== undefined);
    if (requirement.url || pinned.length < versions.length) continue;
    if (pinned.some((version) => satisfies(version, requirement.specifiers))) continue;
    problems.push([
      requirement.name,
      `${part} ask for ${requirement.specifier}, the lock pins ${pinned.join(" and ")}`,
    ]);
  }
  if (problems.length === 0) return;
  const names = problems.map(([name]) => name);
  throw new SheafError("SHEAF_LOCK_STALE", `${check.lock} is older than ${check.declaredIn}: ${names.join(", ")}`, {
    details: problems,
    hint: `run ${check.command}, and commit ${check.lock}`,
  });
}
