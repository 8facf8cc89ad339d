import { SheafError } from "../errors.ts";
import { isTable, parseToml } from "../project/toml.ts";
import type { BaselineReport, CheckResult } from "./verdict.ts";

/** Known failures that are accepted for a while. */
export interface Baseline {
  /** As the person named the file. */
  file: string;
  entries: BaselineEntry[];
  /** The day that counts as today: `2026-11-23`. */
  today: string;
}

export interface BaselineEntry {
  id: string;
  reason: string;
  /** The last day on which it is accepted: `2027-01-31`. */
  until: string;
}

/**
 * Reads a baseline: TOML with one `[[accept]]` for each known failure, which has `id`, `reason` and `until`.
 * @throws SheafError SHEAF_BASELINE with all problems at once, SHEAF_TOML
 */
export async function readBaseline(file: string, text: string, today: string): Promise<Baseline> {
  const table = await parseToml(text, file);
  const problems: [string, string][] = [];
  for (const key of Object.keys(table)) if (key !== "accept") problems.push([key, "unknown key, known is accept"]);
  const list = table["accept"] ?? [];
  if (!Array.isArray(list)) problems.push(["accept", "expected a list of tables: [[accept]]"]);
  const entries: BaselineEntry[] = [];
  for (const [index, value] of (Array.isArray(list) ? list : []).entries()) {
    const entry = readEntry(value);
    if (typeof entry === "string") problems.push([`accept ${index + 1}`, entry]);
    else entries.push(entry);
  }
  if (problems.length === 0) return { file, entries, today };
  throw new SheafError("SHEAF_BASELINE", `${file} is no baseline`, {
    details: problems,
    hint: 'each known failure is an [[accept]] with id = "files.secret", reason = "…" and until = 2027-01-31',
  });
}

/** Failures that the baseline accepts become warnings; what is new since it, is over, or matches nothing, is told. */
export function applyBaseline(
  results: readonly CheckResult[],
  { entries, file, today }: Baseline,
): { checks: CheckResult[]; report: BaselineReport } {
  const report: BaselineReport = { file, accepted: [], new: [], expired: [], unused: [] };
  const checks = results.map((result): CheckResult => {
    const { id, verdict, evidence = [] } = result;
    if (verdict !== "fail") return result;
    // Of several entries for one check the longest counts.
    const entry = entries.filter((each) => each.id === id).toSorted((a, b) => (a.until < b.until ? 1 : -1))[0];
    if (!entry) {
      report.new.push(id);
      return result;
    }
    const { reason, until } = entry;
    if (until >= today) {
      report.accepted.push(id);
      return { ...result, verdict: "warn", accepted: { reason, until } };
    }
    report.expired.push(id);
    return { ...result, evidence: [...evidence, `${file} accepted it until ${until}: ${reason}`] };
  });
  const verdicts = new Map(results.map(({ id, verdict }) => [id, verdict]));
  for (const id of new Set(entries.map((entry) => entry.id))) {
    const verdict = verdicts.get(id);
    if (verdict === undefined) report.unused.push({ id, why: "is no check" });
    // What was not run may fail again, and so may what could not decide.
    else if (verdict === "pass" || verdict === "warn") report.unused.push({ id, why: "does not fail any more" });
  }
  return { checks, report };
}

function readEntry(value: unknown): BaselineEntry | string {
  if (!isTable(value)) return "is not a table";
  const { id, reason, until } = value;
  const unknown = Object.keys(value).find((key) => !["id", "reason", "until"].includes(key));
  if (unknown !== undefined) return `has the unknown key ${unknown}`;
  if (typeof id !== "string" || id === "") return "has no id";
  if (typeof reason !== "string" || reason.trim() === "") return `${id} has no reason`;
  // A date of TOML's own, or a text.
  const day = until instanceof Date ? until.toISOString().slice(0, 10) : until;
  if (typeof day !== "string" || !isDay(day)) return `${id} needs until = YYYY-MM-DD: nothing is accepted for ever`;
  return { id, reason, until: day };
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
}
