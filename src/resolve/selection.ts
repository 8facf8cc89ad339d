import { SheafError } from "../errors.ts";
import { byCodeUnit } from "../order.ts";
import { didYouMean } from "../did-you-mean.ts";

interface SelectionCheck {
  /** Normalised names. */
  selected: { extras: string[]; groups: string[] };
  known: { extras: string[]; groups: string[] };
  where: string;
}

/** The error for an extra or group that nothing defines, with the nearest name that is. */
export function unknownNameError(check: SelectionCheck): SheafError | undefined {
  for (const kind of ["extras", "groups"] as const) {
    const known = [...new Set(check.known[kind])].toSorted(byCodeUnit);
    const unknown = check.selected[kind].find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    const one = kind === "extras" ? "extra" : "group";
    const near = didYouMean(unknown, known);
    const other = check.known[kind === "extras" ? "groups" : "extras"].includes(unknown);
    return new SheafError(
      kind === "extras" ? "SHEAF_UNKNOWN_EXTRA" : "SHEAF_UNKNOWN_GROUP",
      `there is no ${one} ${JSON.stringify(unknown)} in ${check.where}${near ? `, did you mean ${near}?` : ""}`,
      {
        details: [["known", known.length > 0 ? known.join(", ") : "none"]],
        hint: other ? `it is ${kind === "extras" ? "a dependency group: use groups" : "an extra: use extras"}` : [],
      },
    );
  }
  return undefined;
}
