import type { CheckAbout } from "../../contract/check.ts";
import type { CheckResult } from "../../contract/verdict.ts";
import { html, type Markup, trusted } from "./markup.ts";

const marks: Record<CheckResult["verdict"], string> = { pass: "✓", fail: "✗", warn: "!", skipped: "–", error: "?" };
const words: Record<CheckResult["verdict"], string> = {
  pass: "passed",
  fail: "failed",
  warn: "warned",
  skipped: "did not apply",
  error: "undecided",
};
const order: Record<CheckResult["verdict"], number> = { fail: 0, error: 1, warn: 2, pass: 3, skipped: 4 };

/** The checks by group. What failed, could not decide or warned comes first and is open. */
export function checkGroups(checks: readonly CheckResult[], abouts: ReadonlyMap<string, CheckAbout>): Markup {
  const groups = [...new Set(checks.map(({ group }) => group))].map((name) => {
    const own = checks.filter(({ group }) => group === name).toSorted((a, b) => rank(a) - rank(b));
    return { name, own, worst: Math.min(...own.map(rank)) };
  });
  // Groups in which something is wrong first, the others as they are.
  const sorted = groups.toSorted((a, b) => Math.min(a.worst, 3) - Math.min(b.worst, 3));
  return html`${sorted.map(({ name, own, worst }) => groupMarkup({ name, own, open: worst < 3 }, abouts))}`;
}

/** Of checks that were not run, before those that do not apply. */
function rank({ verdict, notRun }: CheckResult): number {
  return order[verdict] - (notRun ? 0.5 : 0);
}

interface Group {
  name: string;
  own: readonly CheckResult[];
  open: boolean;
}

function groupMarkup({ name, own, open }: Group, abouts: ReadonlyMap<string, CheckAbout>): Markup {
  return html`<details class="group" ${open ? trusted(" open") : undefined}>
    <summary>
      <h3>${name}</h3>
      ${counts(own)}
    </summary>
    ${own.map((check) => checkMarkup(check, abouts.get(check.id)))}
  </details> `;
}

function counts(own: readonly CheckResult[]): Markup {
  const verdicts = (["fail", "error", "warn", "pass"] as const).flatMap((verdict) => {
    const count = own.filter((check) => check.verdict === verdict).length;
    return count === 0 ? [] : [html`<span class="count ${verdict}">${count} ${words[verdict]}</span> `];
  });
  const left = own.filter(({ notRun }) => notRun).length;
  return html`${verdicts}${left > 0 ? html`<span class="count skipped">${left} not run</span>` : undefined}`;
}

function checkMarkup(check: CheckResult, about: CheckAbout | undefined): Markup {
  const { id, title, verdict, measured, limit, evidence = [], hint, accepted } = check;
  const open = order[verdict] < 3;
  const word = check.notRun ? "not run" : words[verdict];
  const promised = limit === undefined ? undefined : html` <span class="limit">promised: <bdi>${limit}</bdi></span>`;
  return html`<details class="check ${verdict}" id="${id}" ${open ? trusted(" open") : undefined}>
    <summary>
      <span class="mark" aria-hidden="true">${marks[verdict]}</span><span class="unseen">${word}: </span
      ><code>${id}</code> <span class="measured"><bdi>${measured}</bdi>${promised}</span>
    </summary>
    <div class="body">
      ${
        evidence.length > 0
          ? html`<ul class="evidence">
              ${evidence.map((line) => html`<li><bdi>${line}</bdi></li>`)}
            </ul>`
          : undefined
      }
      ${accepted ? html`<p>Accepted until <time datetime="${accepted.until}">${accepted.until}</time>: <bdi>${accepted.reason}</bdi></p>` : undefined}
      ${hint === undefined ? undefined : html`<p class="hint"><b>What to do</b> <bdi>${hint}</bdi></p>`}
      <p class="promise"><b>The promise</b> ${title}${about ? html`. ${about.holds} ${about.why}` : undefined}</p>
      ${about && about.sources.length > 0 ? html`<p class="sources">${about.sources.join(" · ")}</p>` : undefined}
    </div>
  </details> `;
}
