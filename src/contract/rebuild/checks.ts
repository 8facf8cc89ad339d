import { formatBytes, formatSeconds, plural } from "../../units.ts";
import type { CheckAbout } from "../check.ts";
import type { Contract } from "../contract.ts";
import { fail, type Finding, notApplicable, notRun, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";
import { unlessBusy } from "../running/busy-machine.ts";
import { type BuildStep, type Measured, measuredText, type Rebuild, type StepResult } from "./rebuild.ts";

/** A check that builds the project again. */
export interface RebuildCheck extends CheckAbout {
  run(context: RebuildContext): Promise<Finding>;
}

export interface RebuildContext {
  contract: Contract;
  /** The project under each way to build it. */
  rebuilds: readonly Rebuild[];
}

interface Tried {
  rebuild: Rebuild;
  result: StepResult;
}

/** Builds with every builder, and holds the slowest to the limit. */
async function timed(
  { contract, rebuilds }: RebuildContext,
  step: "clean" | "cached" | "code" | "dependency",
  { told, hint }: { told: (measured: Measured, rebuild: Rebuild) => string; hint: string },
): Promise<Finding> {
  const limit = contract.build[step];
  const tried = await tryAll(rebuilds, step);
  const broken = tried.find(({ result }) => "failed" in result);
  if (broken && "failed" in broken.result) {
    return fail(broken.result.failed, {
      limit: formatSeconds(limit),
      evidence: broken.result.evidence,
      hint: `see it fail: ${broken.rebuild.builder.look}`,
    });
  }
  const measured = tried.flatMap(({ rebuild, result }) => ("seconds" in result ? [{ rebuild, result }] : []));
  const slowest = measured.toSorted((a, b) => b.result.seconds - a.result.seconds)[0];
  if (!slowest) return notRun(absence(tried));
  const { result, rebuild } = slowest;
  const more = {
    limit: formatSeconds(limit),
    figure: { measured: Math.round(result.seconds * 1000) / 1000, limit, unit: "seconds" as const },
    evidence: [
      ...measured.map((each) => `${each.rebuild.builder.name}: ${told(each.result, each.rebuild)}`),
      ...tried.flatMap((each) =>
        "absent" in each.result ? [`${each.rebuild.builder.name}: ${each.result.absent}`] : [],
      ),
    ],
  };
  if (result.seconds <= limit) return pass(measuredText(result, rebuild.builder), more);
  const slow = fail(measuredText(result, rebuild.builder), {
    ...more,
    hint: `${hint}; ${rebuild.builder.look} shows where it goes`,
  });
  return unlessBusy(slow, rebuild.taken);
}

async function tryAll(rebuilds: readonly Rebuild[], step: BuildStep): Promise<Tried[]> {
  const tried: Tried[] = [];
  // One after another: they are measured.
  for (const rebuild of rebuilds) tried.push({ rebuild, result: await rebuild.step(step) });
  return tried;
}

function absence(tried: readonly Tried[]): string {
  return tried.flatMap(({ result }) => ("absent" in result ? [result.absent] : []))[0] ?? "nothing builds it";
}

function layersText({ newLayers, layers }: Measured): string {
  if (newLayers.length === 0) return `all ${plural(layers.length, "layer")} as before`;
  return `${newLayers.length} of ${plural(layers.length, "layer")} new: ${firstOf(newLayers, 4).join(", ")}`;
}

export const rebuildClean: RebuildCheck = {
  id: "rebuild.clean",
  title: "a clean build takes no longer than promised",
  holds:
    "With `--rebuild`: the project's copy is built with an empty store, downloads included (`sheaf build`), or with --no-cache (`docker build`, which keeps base images and what cache mounts hold), and the seconds of the whole command are held to `build.clean`.",
  why: "It is what a new machine, a cold CI job and an urgent fix wait for.",
  sources: ["the project's contract"],
  run: (context) =>
    timed(context, "clean", {
      told: ({ seconds, layers, downloaded }, { builder }) =>
        `${formatSeconds(seconds)}, ${plural(layers.length, "layer")}${downloaded === undefined ? "" : `, ${formatBytes(downloaded)} downloaded`}; ${builder.given}`,
      hint: "take wheels instead of sources, and download less",
    }),
};

export const rebuildCached: RebuildCheck = {
  id: "rebuild.cached",
  title: "a build of nothing new is quick",
  holds: "With `--rebuild`: the same copy is built once more, and held to `build.cached`.",
  why: "A cache that is never hit shows here: a step that depends on the time, a COPY of what changes by itself.",
  sources: ["the project's contract"],
  run: (context) =>
    timed(context, "cached", {
      told: (measured) => `${formatSeconds(measured.seconds)}, ${layersText(measured)}`,
      hint: "look for steps that run although nothing has changed",
    }),
};

export const rebuildSame: RebuildCheck = {
  id: "rebuild.same",
  title: "two builds give the same image",
  holds:
    "With `--rebuild`, of `sheaf build`: the same copy is built once more with every layer made anew, and the image's digest is compared.",
  why: "What differs by itself is pushed, pulled and reviewed again for nothing, and nobody can tell what a source became.",
  sources: ["reproducible-builds.org: definition"],
  run: async ({ rebuilds }) => {
    const rebuild = rebuilds.find(({ builder }) => builder.isReproducible);
    if (!rebuild) return notApplicable("docker build writes times into its layers, and promises nothing of the kind");
    const [first, again] = [await rebuild.step("clean"), await rebuild.step("anew")];
    if ("absent" in again) return notRun(again.absent);
    if ("failed" in again)
      return fail(again.failed, { evidence: again.evidence, hint: `see it fail: ${rebuild.builder.look}` });
    if (!("digest" in first)) return notRun("the clean build failed");
    if (first.digest === again.digest) return pass(`${first.digest.slice(0, 19)}… twice`);
    const known = new Set(first.layers.map(({ diffId }) => diffId));
    const others = again.layers.filter(({ diffId }) => !known.has(diffId)).map(({ name }) => name);
    return fail(`${first.digest.slice(0, 19)}… and ${again.digest.slice(0, 19)}…`, {
      evidence:
        others.length > 0
          ? firstOf(others).map((name) => `differs: ${name}`)
          : ["the layers are the same, the settings differ"],
      hint: "this is a bug in Sheaf, or in the interpreter that compiles: report it with the two images",
    });
  },
};

export const rebuildCode: RebuildCheck = {
  id: "rebuild.code",
  title: "a changed line of code is built quickly",
  holds:
    "With `--rebuild`: a comment is added to the module that starts, in the copy, and the build after it is held to `build.code`.",
  why: "Source that is copied before the dependencies are installed has them installed again for every line.",
  sources: ["the project's contract", "Docker: optimizing builds, order of layers"],
  run: (context) =>
    timed(context, "code", {
      told: (measured) => `${formatSeconds(measured.seconds)} after ${measured.change}; ${layersText(measured)}`,
      hint: "install dependencies before the source is copied",
    }),
};

export const rebuildDependency: RebuildCheck = {
  id: "rebuild.dependency",
  title: "a changed dependency is built quickly",
  holds:
    "With `--rebuild`: one distribution that nothing requires and the app's code does not import is left out of the project's lock, requirements and pyproject.toml, in the copy, and the build after it is held to `build.dependency`. Of poetry.lock, pdm.lock and Pipfile.lock it is not run: only their tools can write them.",
  why: "One security release a week is installed with all that did not change.",
  sources: ["the project's contract"],
  run: (context) =>
    timed(context, "dependency", {
      told: (measured) => `${formatSeconds(measured.seconds)} with ${measured.change}; ${layersText(measured)}`,
      hint: "let the installer keep its downloads: RUN --mount=type=cache,target=FOLDER, where it has its cache",
    }),
};

/** In the order in which they are shown; each builds what it needs of the others before. */
export const rebuildChecks: readonly RebuildCheck[] = [
  rebuildClean,
  rebuildCached,
  rebuildSame,
  rebuildCode,
  rebuildDependency,
];
