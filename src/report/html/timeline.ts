import type { StartMoment } from "../../contract/start-moment.ts";
import { formatSeconds } from "../../units.ts";
import { markup, type Markup, trusted } from "./markup.ts";

/** From `run` to healthy: a row a moment, each with a bar from the start. */
export function timeline(moments: readonly StartMoment[]): Markup {
  const ordered = moments.toSorted((a, b) => a.seconds - b.seconds);
  const end = Math.max(0.001, ...ordered.map(({ seconds }) => seconds));
  const rows = ordered.map(({ label, seconds, limit }, index) => {
    const before = ordered[index - 1]?.seconds ?? 0;
    const bar = `--from:${percent(before, end)};--to:${percent(seconds, end)}`;
    const allowed = limit === undefined ? undefined : markup` <span class="limit">of ${formatSeconds(limit)}</span>`;
    const late = limit !== undefined && seconds > limit;
    return markup`<tr ${late ? trusted('class="late"') : undefined}>
      <th scope="row"><bdi>${label}</bdi></th>
      <td class="span" aria-hidden="true"><span style="${trusted(bar)}"></span></td>
      <td class="figure">${formatSeconds(seconds)}${allowed}</td>
    </tr>`;
  });
  return markup`<table class="timeline">
    <caption>Seconds since the container was started</caption>
    <thead class="unseen">
      <tr>
        <th scope="col">moment</th>
        <td></td>
        <th scope="col">after</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function percent(value: number, whole: number): string {
  return ((value / whole) * 100).toFixed(2);
}
