import type { CheckResult, ImageVerdict } from "../contract/verdict.ts";
import { baselineLines } from "./baseline-lines.ts";
import { printable } from "./text.ts";

const marks: Record<CheckResult["verdict"], string> = { pass: "✓", fail: "✗", warn: "!", skipped: "–", error: "?" };
const titles: Record<ImageVerdict["verdict"], string> = {
  pass: "keeps its promises",
  fail: "breaks promises",
  incomplete: "not wholly checked",
};

/** The verdict for a pull request's comment or a job's summary: what failed first, then every check. */
export function verdictMarkdown(verdict: ImageVerdict): string {
  const { checks } = verdict;
  const count = (wanted: CheckResult["verdict"]) => checks.filter((check) => check.verdict === wanted).length;
  const failing = checks.filter(({ verdict: each }) => each === "fail" || each === "error" || each === "warn");
  const notRun = checks.filter((check) => check.notRun).length;
  return [
    `## ${markdownText(verdict.image)}: ${titles[verdict.verdict]}`,
    "",
    `${count("pass")} passed, ${count("fail")} failed, ${count("warn")} warned, ${count("error")} undecided, ${notRun} not run · \`${verdict.digest}\` · ${verdict.platform}`,
    ...(verdict.baseline ? ["", ...baselineLines(verdict.baseline).map((line) => `- ${markdownText(line)}`)] : []),
    ...failing.flatMap(failureLines),
    "",
    "<details><summary>All checks</summary>",
    "",
    "| | check | found | promised |",
    "|---|---|---|---|",
    ...checks.map(
      ({ verdict: each, id, measured, limit }) =>
        `| ${marks[each]} | \`${id}\` | ${markdownText(measured)} | ${markdownText(limit ?? "")} |`,
    ),
    "",
    "</details>",
    "",
  ].join("\n");
}

function failureLines({ id, verdict, measured, limit, evidence = [], hint, accepted }: CheckResult): string[] {
  return [
    "",
    `### ${marks[verdict]} \`${id}\` ${markdownText(measured)}${limit === undefined ? "" : ` (promised: ${markdownText(limit)})`}`,
    "",
    ...evidence.filter((line) => line !== measured).map((line) => `- ${markdownText(line)}`),
    ...(accepted ? [`- accepted until ${accepted.until}: ${markdownText(accepted.reason)}`] : []),
    ...(hint === undefined ? [] : ["", markdownText(hint)]),
  ];
}

/** Text of an image may not become markup of the page that shows it. */
export function markdownText(value: string): string {
  return printable(value)
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[\\`*_{}[\]<>#|~]/g, (character) => `\\${character}`)
    .replaceAll("@", "@\u200b");
}
