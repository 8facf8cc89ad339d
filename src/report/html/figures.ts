import type { Figure } from "../../contract/finding.ts";
import type { CheckResult } from "../../contract/verdict.ts";
import { formatBytes, formatSeconds } from "../../units.ts";
import { markup, type Markup, trusted } from "./markup.ts";

/** What was measured beside what is promised, as tiles; those that are over come first, then those nearest to their limits. */
export function figures(checks: readonly CheckResult[]): Markup | undefined {
  const shown = checks
    .flatMap((check) => (isShown(check) ? [{ check, figure: check.figure }] : []))
    .toSorted((a, b) => share(b.figure) - share(a.figure));
  if (shown.length === 0) return undefined;
  return markup`<section aria-labelledby="figures">
    <h2 id="figures" class="unseen">Figures</h2>
    <ul class="figures">
      ${shown.map(({ check, figure }) => tile(check, figure))}
    </ul>
  </section>`;
}

function isShown(check: CheckResult): check is CheckResult & { figure: Figure } {
  const { figure, verdict } = check;
  if (!figure || verdict === "skipped" || figure.measured <= 0) return false;
  return figure.limit === undefined ? figure.unit !== "count" : figure.limit > 0 || verdict !== "pass";
}

function tile({ id, title, verdict }: CheckResult, figure: Figure): Markup {
  const { measured, limit, unit } = figure;
  const filled = trusted(`--to:${Math.min(100, share(figure) * 100).toFixed(1)}`);
  const bar = markup`<span class="bar" aria-hidden="true"><span style="${filled}"></span></span>`;
  const promised = limit === undefined ? undefined : markup` <small>of ${format(limit, unit)}</small>`;
  return markup`<li class="${verdict}">
    <a href="#${id}" title="${title}">
      <span class="what">${id}</span>
      <span class="value">${format(measured, unit)}${promised}</span>
      ${limit === undefined ? undefined : bar}
    </a>
  </li>`;
}

function share({ measured, limit }: Figure): number {
  return limit === undefined || limit <= 0 ? 0 : measured / limit;
}

function format(value: number, unit: Figure["unit"]): string {
  if (unit === "bytes") return formatBytes(value);
  if (unit === "seconds") return value > 0 && value < 0.1 ? `${Math.round(value * 1000)} ms` : formatSeconds(value);
  return String(value);
}
