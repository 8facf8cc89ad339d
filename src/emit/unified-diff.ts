import { linesOf } from "./generated-file.ts";

/** The two sides' names, as after `---` and `+++`. */
export interface DiffNames {
  from: string;
  to: string;
}

/** One line of both texts put together: `" "` in both, `"-"` only in the first, `"+"` only in the second. */
interface Step {
  mark: " " | "-" | "+";
  text: string;
}

const context = 3;

/** More differing lines than this are shown as all removed and all added: the search takes the square of them. */
const mostDifferences = 1000;

/** The difference of two texts as `diff -u` writes it; empty when their lines are the same. */
export function unifiedDiff(before: string, after: string, names: DiffNames): string {
  const steps = compare(linesOf(before), linesOf(after));
  const hunks = hunksOf(steps);
  if (hunks.length === 0) return "";
  return [`--- ${names.from}`, `+++ ${names.to}`, ...hunks.flatMap(([start, end]) => hunkLines(steps, start, end))]
    .map((line) => `${line}\n`)
    .join("");
}

/** Ranges of steps with changes and the lines around them; neighbours whose context touches are one. */
function hunksOf(steps: readonly Step[]): [start: number, end: number][] {
  const hunks: [start: number, end: number][] = [];
  for (const [index, step] of steps.entries()) {
    if (step.mark === " ") continue;
    const start = Math.max(0, index - context);
    const end = Math.min(steps.length, index + context + 1);
    const last = hunks.at(-1);
    if (last && start <= last[1]) last[1] = end;
    else hunks.push([start, end]);
  }
  return hunks;
}

function hunkLines(steps: readonly Step[], start: number, end: number): string[] {
  const before = steps.slice(0, start);
  const inside = steps.slice(start, end);
  const count = (list: readonly Step[], other: "-" | "+"): number => list.filter(({ mark }) => mark !== other).length;
  const range = (other: "-" | "+"): string => {
    const length = count(inside, other);
    const first = count(before, other) + (length === 0 ? 0 : 1);
    return length === 1 ? String(first) : `${first},${length}`;
  };
  return [`@@ -${range("+")} +${range("-")} @@`, ...inside.map(({ mark, text }) => `${mark}${text}`)];
}

function compare(before: readonly string[], after: readonly string[]): Step[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const same = (text: string): Step => ({ mark: " ", text });
  return [
    ...before.slice(0, head).map(same),
    ...shortestEdit(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

/** Myers, An O(ND) Difference Algorithm and Its Variations (1986): furthest reaching paths by number of edits. */
function shortestEdit(before: readonly string[], after: readonly string[]): Step[] {
  const total = before.length + after.length;
  const limit = Math.min(total, mostDifferences);
  const furthest = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let edits = 0; edits <= limit; edits += 1) {
    trace.push(new Map(furthest));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = stepDown(furthest, diagonal, edits)
        ? (furthest.get(diagonal + 1) ?? 0)
        : (furthest.get(diagonal - 1) ?? 0) + 1;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x += 1;
      furthest.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return backtrack(trace, before, after);
    }
  }
  return [...before.map((text): Step => ({ mark: "-", text })), ...after.map((text): Step => ({ mark: "+", text }))];
}

function backtrack(
  trace: readonly ReadonlyMap<number, number>[],
  before: readonly string[],
  after: readonly string[],
): Step[] {
  const steps: Step[] = [];
  let x = before.length;
  let y = after.length;
  for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
    const furthest = trace[edits] ?? new Map<number, number>();
    const diagonal = x - y;
    const down = stepDown(furthest, diagonal, edits);
    const previous = down ? diagonal + 1 : diagonal - 1;
    const fromX = edits === 0 ? 0 : (furthest.get(previous) ?? 0);
    const fromY = edits === 0 ? 0 : fromX - previous;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      x -= 1;
      y -= 1;
      steps.push({ mark: " ", text: before[x] ?? "" });
    }
    if (edits === 0) break;
    if (down) steps.push({ mark: "+", text: after[--y] ?? "" });
    else steps.push({ mark: "-", text: before[--x] ?? "" });
  }
  return steps.toReversed();
}

/** Whether the best path to a diagonal comes by an added line, rather than by a removed one. */
function stepDown(furthest: ReadonlyMap<number, number>, diagonal: number, edits: number): boolean {
  if (diagonal === -edits) return true;
  return diagonal !== edits && (furthest.get(diagonal - 1) ?? -1) < (furthest.get(diagonal + 1) ?? -1);
}
