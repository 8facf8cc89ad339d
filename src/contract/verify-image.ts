import { targetsOfLabel } from "../cuda/labels.ts";
import { SheafError } from "../errors.ts";
import type { Image } from "../oci/image.ts";
import { applyBaseline, type Baseline } from "./baseline.ts";
import { type CheckAbout, groupOf, groups, type StaticContext } from "./check.ts";
import type { Contract } from "./contract.ts";
import { customChecks } from "./custom-checks.ts";
import type { DockerfileFacts } from "./dockerfile-facts.ts";
import type { ImageFacts } from "./facts/image-facts.ts";
import { type Finding, notApplicable, notRun, undecided } from "./finding.ts";
import { staticChecks } from "./registry.ts";
import { type RebuildCheck, rebuildChecks } from "./rebuild/checks.ts";
import type { Rebuild } from "./rebuild/rebuild.ts";
import { runningChecks } from "./running/registry.ts";
import type { Session } from "./running/session.ts";
import type { StartMoment } from "./start-moment.ts";
import { type CheckResult, type ImageVerdict, overallVerdict } from "./verdict.ts";

export interface VerifyOptions {
  /** As the person named the image. */
  name: string;
  image: Image;
  facts: ImageFacts;
  contract: Contract;
  dockerfile?: DockerfileFacts;
  /** Runs the image; whoever opened it closes it. */
  session?: Session;
  /** Without a session: why nothing is run. */
  notRunning?: string;
  /** The project that it was built from, under each way to build it; or why that can't be built here. Absent unless it is asked for. */
  rebuilds?: readonly Rebuild[] | string;
  baseline?: Baseline;
  signal: AbortSignal;
  /** Called as each check starts. */
  onStart?: (check: CheckAbout) => void;
  /** Called as each check ends. */
  onResult?: (result: CheckResult) => void;
}

export interface Verification {
  verdict: ImageVerdict;
  /** For reports that show the image's bytes. */
  facts: ImageFacts;
  /** Compute capabilities, as 86, that its label promises code for. */
  gpuTargets?: number[];
  /** What each check of the verdict holds and why, by id. */
  abouts: ReadonlyMap<string, CheckAbout>;
  /** The first start of the image, where it was run and answered. */
  start?: StartMoment[];
  /** What checks threw that no person can mend. */
  bugs: Error[];
}

/** Holds an image to its contract: every check of it once, in the order of the groups. */
export async function verifyImage(options: VerifyOptions): Promise<Verification> {
  const { name, image, facts, contract, dockerfile, session, baseline, signal, onStart, onResult } = options;
  const start = performance.now();
  const context: StaticContext = { image, facts, contract, ...(dockerfile ? { dockerfile } : {}) };
  const bugs: Error[] = [];
  const results: CheckResult[] = [];
  const abouts = new Map<string, CheckAbout>();
  const add = async (about: CheckAbout, run: () => Finding | Promise<Finding>): Promise<void> => {
    signal.throwIfAborted();
    abouts.set(about.id, about);
    onStart?.(about);
    const result = await runCheck(about, reasonToSkip(contract, about.id), { run, bugs });
    results.push(result);
    onResult?.(result);
  };
  for (const check of staticChecks) await add(check, () => check.run(context));
  const custom = customChecks(contract);
  for (const check of custom.static) await add(check, () => check.run(context));
  for (const check of [...runningChecks, ...custom.running]) {
    await add(check, () =>
      session ? check.run({ ...context, name, session, signal }) : notRun(options.notRunning ?? "nothing runs it"),
    );
  }
  for (const check of rebuildChecks) await add(check, () => rebuild(check, options));
  const ordered = groups.flatMap((group) => results.filter((result) => result.group === group));
  const { checks, report } = baseline ? applyBaseline(ordered, baseline) : { checks: ordered };
  return {
    verdict: {
      image: name,
      digest: image.digest,
      platform: `${image.platform.os}/${image.platform.architecture}`,
      ...(session ? { runtime: session.runtime.description } : {}),
      verdict: overallVerdict(checks),
      checks,
      ...(report ? { baseline: report } : {}),
      seconds: secondsSince(start),
    },
    facts,
    gpuTargets: targetsOfLabel(image.config.config?.Labels),
    abouts,
    ...(session && session.moments.length > 0 ? { start: session.moments } : {}),
    bugs,
  };
}

function rebuild(check: RebuildCheck, { rebuilds, contract }: VerifyOptions): Finding | Promise<Finding> {
  if (rebuilds === undefined) return notApplicable("builds are measured with --rebuild");
  return typeof rebuilds === "string" ? notRun(rebuilds) : check.run({ contract, rebuilds });
}

interface CheckRun {
  run: () => Finding | Promise<Finding>;
  bugs: Error[];
}

async function runCheck(about: CheckAbout, skipped: string | undefined, { run, bugs }: CheckRun): Promise<CheckResult> {
  const start = performance.now();
  const { id, title } = about;
  let finding: Finding;
  try {
    finding = skipped === undefined ? await run() : notApplicable(skipped);
  } catch (error) {
    if (error instanceof SheafError) {
      finding = undecided(error.message, {
        evidence: error.details.map(([label, value]) => `${label}: ${value}`),
        ...(error.hints.length > 0 ? { hint: error.hints.join("; ") } : {}),
      });
    } else if (error instanceof Error && error.name !== "AbortError") {
      bugs.push(error);
      finding = undecided(`the check itself failed: ${error.message}`, { hint: "this is a bug in Sheaf: report it" });
    } else throw error;
  }
  return { id, title, group: groupOf(id), ...finding, seconds: secondsSince(start) };
}

/** The contract's own reason to leave a check out, by its id or its group. */
function reasonToSkip({ skip }: Contract, id: string): string | undefined {
  const reason = skip[id] ?? skip[`${groupOf(id)}.*`];
  return reason === undefined ? undefined : `left out by the contract: ${reason}`;
}

function secondsSince(start: number): number {
  return Math.round(performance.now() - start) / 1000;
}
