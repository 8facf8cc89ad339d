import { type Dockerfile, findStage, type Instruction, type Stage } from "../../project/evidence/dockerfile.ts";
import type { StaticContext } from "../check.ts";
import type { DockerfileFacts } from "../dockerfile-facts.ts";
import { type Finding, fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";

/** A problem of the Dockerfile and the line that it is in. */
export interface LineProblem {
  line: number;
  what: string;
}

export function withDockerfile(context: StaticContext, judge: (dockerfile: DockerfileFacts) => Finding): Finding {
  return context.dockerfile ? judge(context.dockerfile) : notApplicable("no Dockerfile is given: --dockerfile FILE");
}

export function lineFinding(
  file: string,
  problems: readonly LineProblem[],
  { fine, hint }: { fine: string; hint: string },
): Finding {
  const [first] = problems;
  if (!first) return pass(fine);
  return fail(`${file}:${first.line}: ${first.what}`, {
    evidence: firstOf(problems.map(({ line, what }) => `${file}:${line}: ${what}`)),
    hint,
  });
}

/** A stage and those that it is built on, the first one first. */
export function stageChain(parsed: Dockerfile, stage: Stage): Stage[] {
  const chain: Stage[] = [];
  for (let each: Stage | undefined = stage; each; each = findStage(parsed, each.base, each.index)) chain.unshift(each);
  return chain;
}

/** Where something is copied or mounted from, `builder` of `COPY --from=builder` and of `RUN --mount=from=builder`. */
export function fromFlags({ flags }: Instruction): string[] {
  const mounted = /(?:^|,)from=([^,]+)/.exec(flags["mount"] ?? "")?.[1];
  return [flags["from"], mounted].filter((each) => each !== undefined);
}
