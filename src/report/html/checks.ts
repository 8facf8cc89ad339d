import type { CheckAbout } from "../../contract/check.ts";
import type { CheckResult } from "../../contract/verdict.ts";
import { markup, type Markup, trusted } from "./markup.ts";

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
  return markup`${sorted.map(({ name, own, worst }) => groupMarkup({ name, own, open: worst < 3 }, abouts))}`;
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
  return markup`<details class="group" ${open ? trusted("open") : undefined}>
    <summary>
      <h3>${name}</h3>
      ${counts(own)}
    </summary>
    ${own.map((check) => checkMarkup(check, abouts.get(check.id)))}
  </details>`;
}

function counts(own: readonly CheckResult[]): Markup {
  const verdicts = (["fail", "error", "warn", "pass"] as const).flatMap((verdict) => {
    const count = own.filter((check) => check.verdict === verdict).length;
    return count === 0 ? [] : [markup`<span class="count ${verdict}">${count} ${words[verdict]}</span> `];
  });
  const left = own.filter(({ notRun }) => notRun).length;
  if (left > 0) return markup`${verdicts}<span class="count">${left} not run</span>`;
  return verdicts.length > 0 ? markup`${verdicts}` : markup`<span class="count">does not apply</span>`;
}

function checkMarkup(check: CheckResult, about: CheckAbout | undefined): Markup {
  const { id, title, verdict, measured, limit, evidence = [], hint, accepted } = check;
  const open = order[verdict] < 3;
  const word = check.notRun ? "not run" : words[verdict];
  const promised = limit === undefined ? undefined : markup` <span class="limit">promised: <bdi>${limit}</bdi></span>`;
  return markup`<details class="check ${verdict}" id="${id}" ${open ? trusted("open") : undefined}>
    <summary>
      <span class="mark" aria-hidden="true">${marks[verdict]}</span><span class="unseen">${word}: </span>
      <code>${id}</code> <span class="measured"><bdi>${measured}</bdi>${promised}</span>
    </summary>
    <div class="body">
      ${
        evidence.length > 0
          ? markup`<ul class="evidence">
              ${evidence.map((line) => markup`<li><bdi>${line}</bdi></li>`)}
            </ul>`
          : undefined
      }
      ${accepted ? acceptedMarkup(accepted) : undefined}
      ${hint === undefined ? undefined : markup`<p class="hint"><b>What to do</b> <bdi>${hint}</bdi></p>`}
      ${about ? aboutMarkup(about) : markup`<p class="promise"><b>The promise</b> ${title}</p>`}
    </div>
  </details>`;
}

function acceptedMarkup({ until, reason }: { until: string; reason: string }): Markup {
  return markup`<p>Accepted until <time datetime="${until}">${until}</time>: <bdi>${reason}</bdi></p>`;
}

function aboutMarkup({ title, holds, why, sources }: CheckAbout): Markup {
  const listed = sources.length > 0 ? markup`<p class="sources">${sources.join(" · ")}</p>` : undefined;
  return markup`<p class="promise"><b>The promise</b> ${withCode(title)}. ${withCode(holds)} ${withCode(why)}</p>
    ${listed}`;
}

/** What stands between backticks, as code. */
function withCode(text: string): Markup[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? markup`<code>${part}</code>` : markup`${part}`));
}
