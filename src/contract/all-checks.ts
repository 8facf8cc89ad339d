import { didYouMean } from "../did-you-mean.ts";
import { SheafError } from "../errors.ts";
import type { CheckAbout } from "./check.ts";
import { groupOf } from "./check.ts";
import type { Contract } from "./contract.ts";
import { customChecks } from "./custom-checks.ts";
import { rebuildChecks } from "./rebuild/checks.ts";
import { staticChecks } from "./registry.ts";
import { runningChecks } from "./running/registry.ts";

/** Every check that there is, in the order in which they are run; with a contract those that it brings itself. */
export function allChecks(contract?: Contract): CheckAbout[] {
  const custom = contract ? customChecks(contract) : { static: [], running: [] };
  return [...staticChecks, ...custom.static, ...runningChecks, ...custom.running, ...rebuildChecks];
}

/**
 * A check that is skipped by a name which it has not would count all the same.
 * @throws SheafError SHEAF_CONTRACT
 */
export function refuseUnknownSkips(contract: Contract): void {
  const ids = allChecks(contract).map(({ id }) => id);
  const known = [...ids, ...new Set(ids.map((id) => `${groupOf(id)}.*`))];
  const unknown = Object.keys(contract.skip).filter((id) => !known.includes(id));
  if (unknown.length === 0) return;
  throw new SheafError(
    "SHEAF_CONTRACT",
    `the contract skips ${unknown.join(", ")}, which ${unknown.length === 1 ? "is no check" : "are no checks"}`,
    {
      details: unknown.flatMap((id): [string, string][] => {
        const near = didYouMean(id, known);
        return near === undefined ? [] : [[id, `did you mean ${near}?`]];
      }),
      hint: "sheaf verify --explain GROUP lists the checks of a group",
    },
  );
}
