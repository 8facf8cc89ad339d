import { createHash } from "node:crypto";

import type { CheckAbout } from "../contract/check.ts";
import type { CheckResult, ImageVerdict } from "../contract/verdict.ts";
import type { Verification } from "../contract/verify-image.ts";
import { visibleText } from "./html/markup.ts";
import { markdownText } from "./verdict-markdown.ts";

const levels = { fail: "error", error: "error", warn: "warning" } as const;

export interface SarifOptions {
  /** Of Sheaf. */
  version: string;
  /** File of the repository that findings belong to, where one is known: the Dockerfile. */
  file?: string;
}

/**
 * The verdict as SARIF 2.1.0, as code scanning takes it: a rule a check with its reasons as help, a result for each that
 * failed, warned or could not decide, and a notification for each that was not run. A result keeps its fingerprint from build
 * to build; a failure that the baseline accepts is a suppressed one.
 */
export function verdictSarif({ verdict, abouts, bugs }: Verification, options: SarifOptions): string {
  const { checks, image, digest, platform } = verdict;
  const rules = checks.map((check) => rule(check, abouts.get(check.id)));
  const run = {
    tool: { driver: { name: "Sheaf", semanticVersion: options.version, rules } },
    automationDetails: { id: `sheaf-verify/${nameWithoutTag(image)}/` },
    invocations: [
      {
        executionSuccessful: bugs.length === 0,
        toolExecutionNotifications: checks.flatMap((check, ruleIndex) =>
          check.notRun ? [notRunNotification(check, ruleIndex)] : [],
        ),
      },
    ],
    results: checks.flatMap((check, ruleIndex) =>
      isResult(check) ? [result(check, { ruleIndex, verdict, options })] : [],
    ),
    properties: {
      image: visibleText(image),
      digest,
      platform,
      verdict: verdict.verdict,
      ...(verdict.baseline ? { newSinceBaseline: verdict.baseline.new } : {}),
    },
  };
  const log = {
    $schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
    version: "2.1.0",
    runs: [run],
  };
  return JSON.stringify(log, undefined, 2);
}

function rule({ id, title, group }: CheckResult, about: CheckAbout | undefined): Record<string, unknown> {
  const helpUri = about?.sources.find((source) => /^https:\/\/\S+$/.test(source));
  return {
    id: visibleText(id),
    shortDescription: { text: visibleText(title) },
    ...(about ? { fullDescription: { text: visibleText(about.holds) }, help: help(about) } : {}),
    ...(helpUri === undefined ? {} : { helpUri }),
    defaultConfiguration: { level: "error" },
    properties: { tags: ["container", group] },
  };
}

function help({ holds, why, sources }: CheckAbout): { text: string; markdown: string } {
  const listed = sources.map((source) => `- ${visibleText(source)}`);
  const plain = [holds, why, ...(listed.length > 0 ? [`Sources:\n${listed.join("\n")}`] : [])].map(visibleText);
  const marked = [
    `**What it holds** ${markdownText(holds)}`,
    `**Why** ${markdownText(why)}`,
    ...(sources.length > 0
      ? [`**Sources**\n\n${sources.map((source) => `- ${markdownText(source)}`).join("\n")}`]
      : []),
  ];
  return { text: plain.join("\n\n"), markdown: marked.join("\n\n") };
}

type ResultCheck = CheckResult & { verdict: keyof typeof levels };

function isResult(check: CheckResult): check is ResultCheck {
  return check.verdict in levels;
}

interface ResultContext {
  ruleIndex: number;
  verdict: ImageVerdict;
  options: SarifOptions;
}

function result(check: ResultCheck, { ruleIndex, verdict, options }: ResultContext): Record<string, unknown> {
  const { id, measured, limit, evidence = [], hint, accepted } = check;
  const told = limit === undefined ? measured : `${measured}, promised is ${limit}`;
  const image = nameWithoutTag(verdict.image);
  return {
    ruleId: visibleText(id),
    ruleIndex,
    level: levels[check.verdict],
    message: {
      text: [told, ...evidence, ...(hint === undefined ? [] : [hint])].map(visibleText).join("\n"),
      markdown: [
        markdownText(told),
        ...(evidence.length > 0 ? [evidence.map((line) => `- ${markdownText(line)}`).join("\n")] : []),
        ...(hint === undefined ? [] : [markdownText(hint)]),
      ].join("\n\n"),
    },
    locations: [
      {
        physicalLocation: physicalLocation(check, options.file ?? image),
        logicalLocations: [
          {
            name: visibleText(image),
            fullyQualifiedName: visibleText(`${image}@${verdict.digest}`),
            kind: "module",
          },
        ],
      },
    ],
    partialFingerprints: { "sheafCheck/v1": createHash("sha256").update(`${image}\0${id}`).digest("hex") },
    ...(accepted
      ? {
          suppressions: [
            {
              kind: "external",
              status: "accepted",
              justification: `${visibleText(accepted.reason)} (until ${accepted.until})`,
            },
          ],
        }
      : {}),
  };
}

/** The line of the file that the evidence names first, as `Dockerfile:7`; else its first one, which code scanning asks for. */
function physicalLocation({ evidence = [] }: CheckResult, file: string): Record<string, unknown> {
  const lines = evidence.flatMap((line) => (line.startsWith(`${file}:`) ? [line.slice(file.length + 1)] : []));
  const startLine = lines.map((line) => Number(/^[1-9]\d{0,6}(?!\d)/.exec(line)?.[0])).find((line) => line > 0) ?? 1;
  return { artifactLocation: { uri: relativeUri(file) }, region: { startLine } };
}

/** A path as a relative URI reference, RFC 3986 section 4.2: nothing before a slash reads as a scheme. */
function relativeUri(path: string): string {
  const segments = path.split(/[/\\]/).map((segment) => encodeURIComponent(visibleText(segment)));
  return segments.join("/");
}

function notRunNotification({ id, measured }: CheckResult, index: number): Record<string, unknown> {
  return {
    level: "note",
    message: { text: visibleText(`${id} was not run: ${measured}`) },
    associatedRule: { id: visibleText(id), index },
  };
}

/** The same for every build: without tag and digest. */
function nameWithoutTag(image: string): string {
  return image.replace(/@sha256:[0-9a-f]+$/, "").replace(/(?<=[^/]):[\w.-]+$/, "");
}
