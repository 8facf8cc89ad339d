import { SheafError } from "../errors.ts";
import { isTable, parseToml } from "../project/toml.ts";
import type { CheckResult } from "./verdict.ts";

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

/** Failures that the baseline accepts become warnings; entries that are over, or match nothing, are told. */
export function applyBaseline(
  results: readonly CheckResult[],
  baseline: Baseline | undefined,
): { checks: CheckResult[]; stale: string[] } {
  if (!baseline) return { checks: [...results], stale: [] };
  const { entries, file, today } = baseline;
  const used = new Set<BaselineEntry>();
  const checks = results.map((result): CheckResult => {
    const entry = entries.find(({ id }) => id === result.id);
    if (!entry || result.verdict !== "fail") return result;
    used.add(entry);
    const { reason, until } = entry;
    if (until >= today) return { ...result, verdict: "warn", accepted: { reason, until } };
    const evidence = [...(result.evidence ?? []), `${file} accepted it until ${until}: ${reason}`];
    return { ...result, evidence };
  });
  const ran = new Set(results.filter(({ verdict }) => verdict !== "skipped").map(({ id }) => id));
  const known = new Set(results.map(({ id }) => id));
  const stale = entries
    .filter((entry) => !used.has(entry) && (ran.has(entry.id) || !known.has(entry.id)))
    .map(({ id }) => (known.has(id) ? `${id} does not fail any more` : `${id} is no check`));
  return { checks, stale };
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
