import type { CheckResult, ImageVerdict } from "../contract/verdict.ts";
import { escapeText, visibleText } from "./html/markup.ts";

/**
 * The verdict as the JUnit XML that CI systems read: a suite a group, a case a check. A warning is a case that passes, with
 * its words as output; what could not be decided is an `error`; what was not run or does not apply is `skipped`.
 */
export function verdictJunit(verdict: ImageVerdict): string {
  const groups = [...new Set(verdict.checks.map(({ group }) => group))];
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites ${attributes({ name: `sheaf verify ${verdict.image}`, ...counts(verdict.checks) })}>`,
    ...groups.map((group) => suite(group, verdict)),
    "</testsuites>",
    "",
  ].join("\n");
}

function suite(group: string, { image, digest, platform, runtime, verdict, checks }: ImageVerdict): string {
  const own = checks.filter((check) => check.group === group);
  const skipped = own.filter((check) => check.verdict === "skipped").length;
  const properties = { image, digest, platform, runtime: runtime ?? "not run", verdict };
  return [
    `  <testsuite ${attributes({ name: group, ...counts(own), skipped: String(skipped) })}>`,
    "    <properties>",
    ...Object.entries(properties).map(([name, value]) => `      <property ${attributes({ name, value })}/>`),
    "    </properties>",
    ...own.map((check) => testCase(check, image)),
    "  </testsuite>",
  ].join("\n");
}

function counts(checks: readonly CheckResult[]): Record<string, string> {
  const count = (wanted: CheckResult["verdict"]) => String(checks.filter(({ verdict }) => verdict === wanted).length);
  const time = seconds(checks.reduce((sum, check) => sum + check.seconds, 0));
  return { tests: String(checks.length), failures: count("fail"), errors: count("error"), time };
}

function testCase(check: CheckResult, image: string): string {
  const { id, title, verdict } = check;
  const start = `    <testcase ${attributes({ classname: `${image}.${check.group}`, name: `${id}: ${title}`, time: seconds(check.seconds) })}`;
  const outcome = { pass: () => "", fail: failure, error: failure, warn: warning, skipped }[verdict](check);
  return outcome === "" ? `${start}/>` : `${start}>\n      ${outcome}\n    </testcase>`;
}

function failure(check: CheckResult): string {
  const element = check.verdict === "fail" ? "failure" : "error";
  return `<${element} ${attributes({ message: promised(check), type: check.id })}>${content(words(check))}</${element}>`;
}

function warning(check: CheckResult): string {
  return `<system-out>${content(["warning", promised(check), ...words(check)])}</system-out>`;
}

function skipped({ measured, notRun }: CheckResult): string {
  // As text: Jenkins' schema has no attributes here.
  return `<skipped>${content([notRun ? `not run: ${measured}` : measured])}</skipped>`;
}

function promised({ measured, limit }: CheckResult): string {
  return limit === undefined ? measured : `${measured}, promised is ${limit}`;
}

function words({ evidence = [], hint, accepted }: CheckResult): string[] {
  return [
    ...evidence,
    ...(accepted ? [`accepted until ${accepted.until}: ${accepted.reason}`] : []),
    ...(hint === undefined ? [] : [hint]),
  ];
}

function content(lines: readonly string[]): string {
  return escapeText(visibleText(lines.join("\n")));
}

function attributes(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escapeText(visibleText(value)).replaceAll(/[\t\n]/g, " ")}"`)
    .join(" ");
}

function seconds(value: number): string {
  return value.toFixed(3);
}
