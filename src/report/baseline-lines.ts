import type { BaselineReport } from "../contract/verdict.ts";
import { plural } from "../units.ts";

/** What a baseline comes to, a sentence a fact; the first is there in any case. */
export function baselineLines({ file, accepted, new: fresh, expired, unused }: BaselineReport): string[] {
  const failures = accepted.length + fresh.length + expired.length;
  return [
    failures === 0
      ? `${file}: nothing fails that it could accept`
      : `${file} accepts ${accepted.length} of ${plural(failures, "failure")}${listed(accepted)}`,
    ...(fresh.length > 0 ? [`new since then${listed(fresh)}`] : []),
    ...(expired.length > 0 ? [`accepted until a day that is over${listed(expired)}`] : []),
    ...unused.map(({ id, why }) => `of no use: ${id} ${why}`),
  ];
}

function listed(ids: readonly string[]): string {
  return ids.length === 0 ? "" : `: ${ids.join(", ")}`;
}
