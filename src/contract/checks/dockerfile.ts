import {
  argumentsOf,
  type Dockerfile,
  dockerWords,
  findStage,
  type Instruction,
  type Stage,
  substitute,
} from "../../project/evidence/dockerfile.ts";
import { DockerIgnore } from "../../project/ignore.ts";
import { secretByName } from "../../project/secrets.ts";
import type { StaticCheck, StaticContext } from "../check.ts";
import type { DockerfileFacts } from "../dockerfile-facts.ts";
import { probeOf } from "../facts/probe.ts";
import { type Finding, fail, notApplicable, pass } from "../finding.ts";
import { firstOf } from "../lists.ts";
import { startWords } from "../role.ts";

function withDockerfile(context: StaticContext, judge: (dockerfile: DockerfileFacts) => Finding): Finding {
  return context.dockerfile ? judge(context.dockerfile) : notApplicable("no Dockerfile is given: --dockerfile FILE");
}

/** The instructions of the last stage, those of the stages that it is built on before its own. */
function lastStage({ stages }: Dockerfile, parsed: Dockerfile): Instruction[] {
  const chain: Stage[] = [];
  for (let stage = stages.at(-1); stage; stage = findStage(parsed, stage.base, stage.index)) chain.unshift(stage);
  return chain.flatMap(({ instructions }) => instructions);
}

/** A problem of the Dockerfile and the line that it is in. */
interface LineProblem {
  line: number;
  what: string;
}

function lineFinding(
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

export const dockerfileImage: StaticCheck = {
  id: "dockerfile.image",
  title: "the image is what the Dockerfile says",
  holds:
    "USER, WORKDIR, ENTRYPOINT, CMD, EXPOSE, STOPSIGNAL and HEALTHCHECK of the last stage, as far as they are literal, compared with the image's config.",
  why: "An image that was built from something older passes every other check, and is not what the review approved.",
  sources: ["Dockerfile reference"],
  run: (context) =>
    withDockerfile(context, ({ file, parsed }) => {
      const config = context.image.config.config ?? {};
      const last = new Map<string, Instruction>();
      for (const instruction of lastStage(parsed, parsed)) last.set(instruction.keyword, instruction);
      const problems: LineProblem[] = [];
      const compare = (keyword: string, actual: string | undefined): void => {
        const instruction = last.get(keyword);
        const told = instruction && literal(instruction.text, parsed.escape);
        if (!instruction || told === undefined || told === actual) return;
        problems.push({ line: instruction.line, what: `${keyword} ${told}, the image has ${actual ?? "none"}` });
      };
      compare("USER", config.User);
      compare("STOPSIGNAL", config.StopSignal);
      if (last.get("WORKDIR")?.text.startsWith("/")) compare("WORKDIR", config.WorkingDir);
      const command = last.get("ENTRYPOINT")?.json ?? [];
      const words = [...command, ...(last.get("CMD")?.json ?? [])];
      const start = last.get("CMD") ?? last.get("ENTRYPOINT");
      const isExec = [last.get("CMD"), last.get("ENTRYPOINT")].every((each) => !each || each.json);
      if (start && isExec && words.join("\0") !== startWords(config).join("\0"))
        problems.push({
          line: start.line,
          what: `starts ${words.join(" ")}, the image ${startWords(config).join(" ")}`,
        });
      const health = last.get("HEALTHCHECK");
      const hasHealth = probeOf(config.Healthcheck) !== undefined;
      if (health && /^CMD\b/i.test(health.text) && !hasHealth)
        problems.push({ line: health.line, what: "has a HEALTHCHECK, the image has none" });
      for (const instruction of lastStage(parsed, parsed).filter(({ keyword }) => keyword === "EXPOSE")) {
        for (const port of (literal(instruction.text, parsed.escape) ?? "")
          .split(/\s+/)
          .filter((each) => /^\d+(?:\/\w+)?$/.test(each))) {
          const name = port.includes("/") ? port : `${port}/tcp`;
          if (!config.ExposedPorts?.[name])
            problems.push({ line: instruction.line, what: `EXPOSE ${port}, the image does not expose it` });
        }
      }
      return lineFinding(file, problems, {
        fine: `built from ${file}`,
        hint: "build the image again from this Dockerfile",
      });
    }),
};

/** The text without quotes, undefined when it holds a variable. */
function literal(text: string, escape: string): string | undefined {
  return text.includes("$") ? undefined : substitute(text, () => undefined, escape).trim();
}

export const dockerfileArgs: StaticCheck = {
  id: "dockerfile.args",
  title: "build arguments have an effect",
  holds:
    "The ARGs of the contract's `build-args` are there; every ARG is used after it; one that stands before the first FROM is taken up again in the stage that uses it.",
  why: "`--build-arg ENABLE_GPU=true` that nothing reads builds the same image without a word; an ARG before FROM is empty in every stage that doesn't name it again.",
  sources: ["Dockerfile reference: ARG and FROM"],
  run: (context) =>
    withDockerfile(context, ({ file, parsed }) => {
      const { buildArgs } = context.contract;
      const all = parsed.instructions.filter(({ keyword }) => keyword === "ARG");
      const names = new Set(all.flatMap((each) => argumentsOf(each, parsed.escape).map(([name]) => name)));
      const missing = buildArgs
        .filter((name) => !names.has(name))
        .map((name) => ({ line: 1, what: `has no ARG ${name}` }));
      if (names.size === 0 && missing.length === 0) return notApplicable(`${file} takes no arguments`);
      return lineFinding(file, [...missing, ...unusedArguments(parsed)], {
        fine: [...names].join(", "),
        hint: "use the argument ($NAME) after its ARG, in the same stage; remove what nothing reads",
      });
    }),
};

function unusedArguments(parsed: Dockerfile): LineProblem[] {
  const { instructions, stages, escape } = parsed;
  const firstFrom = stages[0]?.line ?? Number.POSITIVE_INFINITY;
  const problems: LineProblem[] = [];
  for (const instruction of instructions.filter(({ keyword }) => keyword === "ARG")) {
    const isGlobal = instruction.line < firstFrom;
    for (const [name] of argumentsOf(instruction, escape)) {
      const later = instructions.filter(({ line }) => line > instruction.line);
      const stage = stages.findLast(({ line }) => line < instruction.line);
      const next = stages.find(({ line }) => line > instruction.line)?.line ?? Number.POSITIVE_INFINITY;
      const scope = isGlobal
        ? later.filter(({ keyword, line }) => keyword === "FROM" || (keyword === "ARG" && line < firstFrom))
        : later.filter(({ line }) => line < next);
      if (scope.some((each) => mentions(each, name))) continue;
      // A stage that is built on this one has its arguments too; a RUN sees them as variables without naming them.
      if (stage?.name !== undefined && stages.some(({ base }) => base.toLowerCase() === stage.name)) continue;
      if (
        isGlobal &&
        later.some(
          (each) =>
            each.keyword === "ARG" &&
            each.line > firstFrom &&
            argumentsOf(each, escape).some(([again]) => again === name),
        )
      )
        continue;
      const unseen = isGlobal && later.some((each) => each.keyword !== "ARG" && mentions(each, name));
      problems.push({
        line: instruction.line,
        what: unseen
          ? `ARG ${name} stands before FROM, and no stage names it again: it is empty there`
          : `ARG ${name} is used by nothing`,
      });
    }
  }
  return problems;
}

function mentions({ text, flags, heredocs }: Instruction, name: string): boolean {
  const pattern = new RegExp(`\\$\\{?${name}\\b`);
  return (
    pattern.test(text) ||
    Object.values(flags).some((value) => pattern.test(value)) ||
    heredocs.some(({ body }) => pattern.test(body))
  );
}

export const dockerfileBase: StaticCheck = {
  id: "dockerfile.base",
  title: "every base is named by a version",
  holds:
    "Every FROM and every COPY --from of an image names a tag other than latest, or a digest; a build argument in it has a default.",
  why: "`FROM python` is another Python one morning.",
  sources: ["hadolint DL3006, DL3007", "Dockerfile best practices: pin base image versions"],
  run: (context) =>
    withDockerfile(context, ({ file, parsed }) => {
      const problems = parsed.stages.flatMap(({ base, line, index }) => baseProblem(parsed, { base, line, index }));
      const bases = parsed.stages.filter(({ base, index }) => !findStage(parsed, base, index)).map(({ base }) => base);
      return lineFinding(file, problems, {
        fine: [...new Set(bases)].join(", "),
        hint: "FROM python:3.12-slim, or with its digest",
      });
    }),
};

function baseProblem(parsed: Dockerfile, { base, line, index }: Pick<Stage, "base" | "line" | "index">): LineProblem[] {
  if (base === "scratch" || findStage(parsed, base, index) || base.includes("@sha256:")) return [];
  const tag = /:([^/:]*)$/.exec(base)?.[1];
  if (base === "" || tag === "" || /:-|-$/.test(base))
    return [{ line, what: `FROM ${base}: an argument in it has no default` }];
  if (tag === undefined) return [{ line, what: `FROM ${base} has no tag` }];
  return tag === "latest" ? [{ line, what: `FROM ${base} is whatever is newest` }] : [];
}

export const dockerfileIgnore: StaticCheck = {
  id: "dockerfile.ignore",
  title: "the .dockerignore keeps out what must not ship, and nothing that is copied",
  holds:
    "There is one; what COPY takes from the context is not left out by it; .env files, keys and .git that COPY would take are, in folders below too.",
  why: "Its patterns are anchored to the context's root, unlike .gitignore's: `.env` leaves app/.env in. And `*.md` leaves out the README.md that COPY names, which fails the build.",
  sources: [
    "Docker: build context, .dockerignore",
    "moby/buildkit pull request 6512",
    "measured: hatchling needs the README.md that the recipe ignores",
  ],
  run: (context) =>
    withDockerfile(context, (facts) => {
      const { file, parsed, ignore, context: paths } = facts;
      const copies = parsed.instructions.filter(
        ({ keyword, flags }) => /^(?:COPY|ADD)$/.test(keyword) && flags["from"] === undefined,
      );
      if (copies.length === 0) return notApplicable(`${file} copies nothing from its context`);
      if (!ignore)
        return fail("there is no .dockerignore", { hint: "write one: .git, **/.env, **/__pycache__, .venv, tests" });
      const rules = new DockerIgnore(ignore.text, ignore.file);
      const isIgnored = (path: string) => rules.match(path)?.ignored === true;
      const problems: LineProblem[] = [];
      for (const copy of copies) {
        const sources = (copy.json ?? dockerWords(copy.text, parsed.escape)).slice(0, -1).map((each) => normal(each));
        for (const source of sources) {
          if (/[*?[$]|^<<|:\/\//.test(source)) continue;
          const taken = paths.filter((path) => source === "" || path === source || path.startsWith(`${source}/`));
          if (taken.length > 0 && taken.every(isIgnored))
            problems.push({ line: copy.line, what: `COPY ${source}, which ${ignore.file} leaves out` });
          for (const path of [...taken, ...probes(source)].filter((each) => !isIgnored(each))) {
            const reason = unwanted(path);
            if (reason !== undefined)
              problems.push({ line: copy.line, what: `COPY ${source || "."} would take ${path}: ${reason}` });
          }
        }
      }
      return lineFinding(file, problems, {
        fine: ignore.file,
        hint: "patterns count from the context's root: write **/.env, and !README.md for what is needed",
      });
    }),
};

/** What lies in many working copies, though not in this one. */
function probes(source: string): string[] {
  return source === "" ? [".git/config", ".env"] : [`${source}/.env`];
}

function unwanted(path: string): string | undefined {
  if (/(?:^|\/)\.(?:git|hg|svn)\//.test(path)) return "the repository's history";
  if (/(?:^|\/)(?:\.venv|venv|node_modules)\//.test(path)) return "an environment of this machine";
  return secretByName(path);
}

function normal(source: string): string {
  return source
    .replace(/^["']|["']$/g, "")
    .split("/")
    .filter((segment) => segment !== "" && segment !== ".")
    .join("/");
}
