import type { CheckAbout, Group } from "../contract/check.ts";
import type { BaselineReport, CheckResult, ImageVerdict } from "../contract/verdict.ts";
import { baselineLines } from "./baseline-lines.ts";
import { formatBytes, formatSeconds, plural, printable, shorten, type Style, visibleLength, wrap } from "./text.ts";

/** Checks whose findings say most of their group: they stand beside the counts. */
const highlights = new Set([
  "config.user-name",
  "config.healthcheck",
  "config.exec-form",
  "files.secret",
  "files.compilers",
  "files.deleted",
  "python.record",
  "python.imports",
  "native.libraries",
  "native.symbols",
  "gpu.cuda-absent",
  "gpu.one-cuda",
  "gpu.targets",
  "gpu.min-driver",
  "size.unpacked",
  "size.compressed",
  "size.layers",
  "scanner.packages",
  "scanner.distributions",
  "format.readable",
  "dockerfile.image",
]);

/** Figures that stand beside their limits under other words than their checks' own. */
const figures: Record<string, string | undefined> = {
  "runtime.start": "first answer",
  "runtime.health": "health",
  "runtime.memory": "at rest",
  "rebuild.clean": "clean",
  "rebuild.cached": "unchanged",
  "rebuild.code": "code",
  "rebuild.dependency": "dependency",
};

/** The verdict as a person reads it: a line a group, then what failed with what it was seen by and what to do, the sum last. */
export function verdictText(verdict: ImageVerdict, style: Style, width: number): string {
  const { checks } = verdict;
  const head = [verdict.image, shortDigest(verdict.digest), verdict.platform, verdict.runtime ?? "not run"].join(" · ");
  const groups = [...new Set(checks.map(({ group }) => group))];
  const lines = groups.flatMap((group) => groupLines(group, { checks, style, width }));
  const failing = checks.filter((check) => check.verdict !== "pass" && check.verdict !== "skipped");
  const order = { warn: 0, error: 1, fail: 2, pass: 3, skipped: 3 };
  const told = failing
    .toSorted((a, b) => order[a.verdict] - order[b.verdict])
    .flatMap((check) => ["", ...failureLines(check, style, width)]);
  return [
    ...wrap(printable(head), width),
    "",
    ...lines,
    ...told,
    ...baselineText(verdict.baseline, style, width),
    "",
    ...summaryLines(verdict, style, width),
  ].join("\n");
}

interface GroupContext {
  checks: readonly CheckResult[];
  style: Style;
  width: number;
}

function groupLines(group: Group, { checks, style, width }: GroupContext): string[] {
  const all = checks.filter((check) => check.group === group);
  const count = (verdicts: CheckResult["verdict"][]) => all.filter(({ verdict }) => verdicts.includes(verdict)).length;
  const [passed, warned, failed] = [count(["pass"]), count(["warn"]), count(["fail", "error"])];
  const ran = passed + warned + failed;
  const counts = [
    passed > 0 ? style.green(`${String(passed).padStart(2)} ✓`) : "    ",
    ...(warned > 0 ? [style.yellow(`${warned} !`)] : []),
    ...(failed > 0 ? [style.red(`${failed} ✗`)] : []),
  ].join("  ");
  const start = `  ${style.dim(group.padEnd(11))}${counts}`;
  if (ran === 0)
    return [`${start}${style.dim(`  ${all.some(({ notRun }) => notRun) ? "not run" : "does not apply"}`)}`];
  const says = all.filter(({ verdict }) => verdict === "pass").flatMap(highlightOf);
  const room = width - visibleLength(start) - 3;
  return [says.length === 0 || room < 16 ? start : `${start}   ${shorten(printable(says.join(" · ")), room)}`];
}

function highlightOf({ id, measured, limit, figure }: CheckResult): string[] {
  const name = figures[id];
  if (name !== undefined && figure) {
    const text = figure.unit === "bytes" ? formatBytes(figure.measured) : formatSeconds(figure.measured);
    return [`${name} ${text}${limit === undefined ? "" : ` of ${limit}`}`];
  }
  if (!highlights.has(id)) return [];
  return [limit !== undefined && figure && figure.measured > 0 ? `${measured} of ${limit}` : measured];
}

function failureLines(check: CheckResult, style: Style, width: number): string[] {
  const mark = { fail: style.red("✗"), error: style.red("?"), warn: style.yellow("!"), pass: "", skipped: "" }[
    check.verdict
  ];
  const limit = check.limit === undefined ? "" : `, promised is ${check.limit}`;
  const head = `${check.id.padEnd(28)} ${printable(check.measured + limit)}`;
  const [first = "", ...more] = wrap(head, width - 4);
  const body = (text: string) => wrap(printable(text), width - 6).map((line) => `      ${line}`);
  return [
    `  ${mark} ${style.bold(first)}`,
    ...more.map((line) => `    ${style.bold(line)}`),
    // Often the first of the evidence is what stands above it.
    ...(check.evidence ?? [])
      .filter((line) => line !== check.measured)
      .flatMap(body)
      .map((line) => style.dim(line)),
    ...(check.accepted ? body(`accepted until ${check.accepted.until}: ${check.accepted.reason}`) : []),
    ...(check.hint === undefined ? [] : body(check.hint)),
    ...(check.verdict === "fail" && check.group !== "custom"
      ? [style.dim(`      sheaf verify --explain ${check.id}`)]
      : []),
  ];
}

/** What the baseline accepts, what is new since it, and which of its entries are of no use. */
function baselineText(report: BaselineReport | undefined, style: Style, width: number): string[] {
  if (!report) return [];
  const indent = " ".repeat(13);
  return [
    "",
    ...baselineLines(report)
      .flatMap((line) => wrap(printable(line), width - indent.length))
      .map((line, index) => `${index === 0 ? `  ${style.dim("baseline".padEnd(11))}` : indent}${line}`),
  ];
}

function summaryLines({ checks, verdict }: ImageVerdict, style: Style, width: number): string[] {
  const count = (wanted: CheckResult["verdict"]) => checks.filter((check) => check.verdict === wanted).length;
  const notRun = checks.filter((check) => check.notRun);
  const inapplicable = checks.filter((check) => check.verdict === "skipped" && !check.notRun).length;
  const parts = [
    `${count("pass")} passed`,
    ...(count("warn") > 0 ? [`${count("warn")} warned`] : []),
    ...(count("error") > 0 ? [`${count("error")} undecided`] : []),
    ...(count("fail") > 0 ? [`${count("fail")} failed`] : []),
    ...(notRun.length > 0 ? [`${notRun.length} not run (${notRunReasons(notRun)})`] : []),
    ...(inapplicable > 0 ? [`${inapplicable} did not apply`] : []),
  ];
  const paint = { pass: style.green, fail: style.red, incomplete: style.yellow }[verdict];
  const [first = "", ...more] = wrap(`${parts.join(", ")}`, width);
  return [
    paint(first),
    ...more.map((line) => paint(line)),
    ...(verdict === "incomplete" ? wrap(incompleteText, width).map((line) => style.yellow(line)) : []),
  ];
}

const incompleteText = "Nothing failed, but this is no pass: what was not run is not known.";

function notRunReasons(checks: readonly CheckResult[]): string {
  const byReason = new Map<string, string[]>();
  for (const { id, measured } of checks) byReason.set(measured, [...(byReason.get(measured) ?? []), id]);
  return [...byReason].map(([reason, ids]) => `${idsText(ids)}: ${printable(reason)}`).join("; ");
}

function idsText(ids: readonly string[]): string {
  return ids.length <= 4 ? ids.join(", ") : [...new Set(ids.map((id) => `${id.split(".")[0]}.*`))].join(", ");
}

function shortDigest(digest: string): string {
  return digest.length < 30 ? digest : `${digest.slice(0, 11)}…${digest.slice(-2)}`;
}

/** Ids with what is fine when they pass, a group after the other. */
export function checkListText(checks: readonly CheckAbout[], style: Style, width: number): string {
  const column = Math.max(...checks.map(({ id }) => id.length)) + 2;
  return checks
    .flatMap(({ id, title }) => {
      const [first = "", ...more] = wrap(title, Math.max(20, width - column));
      return [`${style.bold(id.padEnd(column))}${first}`, ...more.map((line) => `${" ".repeat(column)}${line}`)];
    })
    .join("\n");
}

/** What a check holds and why, for `--explain`. */
export function explanationText(about: CheckAbout, style: Style, width: number): string {
  const block = (label: string, text: string) => [
    style.dim(label),
    ...wrap(text, width - 2).map((line) => `  ${line}`),
  ];
  return [
    `${style.bold(about.id)}  ${about.title}`,
    "",
    ...block("what it holds", about.holds),
    ...block("why", about.why),
    ...(about.sources.length > 0
      ? [style.dim(plural(about.sources.length, "source")), ...about.sources.map((each) => `  ${each}`)]
      : []),
  ].join("\n");
}
