import type { CheckResult, ImageVerdict } from "../contract/verdict.ts";

/** The verdict for machines, as schemas/verdict.schema.json describes it: every key is there, null where nothing is to say. */
export function verdictJson(verdict: ImageVerdict): Record<string, unknown> {
  return {
    image: verdict.image,
    digest: verdict.digest,
    platform: verdict.platform,
    runtime: verdict.runtime ?? null,
    verdict: verdict.verdict,
    seconds: verdict.seconds,
    checks: verdict.checks.map(checkJson),
    baseline: verdict.baseline ?? null,
  };
}

function checkJson(check: CheckResult): Record<string, unknown> {
  return {
    id: check.id,
    title: check.title,
    group: check.group,
    verdict: check.verdict,
    measured: check.measured,
    limit: check.limit ?? null,
    figure: check.figure ?? null,
    evidence: check.evidence ?? [],
    hint: check.hint ?? null,
    seconds: check.seconds,
    notRun: check.notRun ?? false,
    accepted: check.accepted ?? null,
  };
}
