/** One vertex of a build, as BuildKit's plain progress tells it. */
export interface BuildStep {
  /** Such as `runtime 3/7`, or `internal`. */
  stage: string;
  /** What the Dockerfile says, in one line: `COPY --link app app`. */
  instruction: string;
  outcome: "cached" | "done" | "failed" | "unfinished";
}

/**
 * Steps of `docker build --progress=plain`, of the old and the newer client, in the order in which they are first named.
 * Steps of one build have numbers: `#7 [builder 2/4] RUN …`, later `#7 CACHED` or `#7 DONE 0.1s`.
 */
export function readSteps(log: string): BuildStep[] {
  const steps = new Map<string, BuildStep>();
  for (const line of log.split("\n")) {
    const [, number = "", rest = ""] = /^#(\d+) (.*)$/.exec(line) ?? [];
    const known = steps.get(number);
    if (!known) {
      const [, stage, instruction = ""] = /^\[([^\]]+)\] (.*)$/.exec(rest) ?? [];
      if (stage !== undefined) steps.set(number, { stage, instruction, outcome: "unfinished" });
      continue;
    }
    if (rest === "CACHED") known.outcome = "cached";
    else if (/^DONE [\d.]+s$/.test(rest)) known.outcome = "done";
    else if (/^(?:ERROR|CANCELED)\b/.test(rest)) known.outcome = "failed";
  }
  return [...steps.values()];
}

/** Instructions that were carried out anew: neither cached nor BuildKit's own. */
export function executed(steps: readonly BuildStep[]): string[] {
  return steps
    .filter(({ stage, outcome }) => stage !== "internal" && outcome === "done")
    .map(({ instruction }) => instruction)
    .filter((instruction) => !instruction.startsWith("FROM "));
}
