import {
  argumentsOf,
  type Dockerfile,
  dockerWords,
  findStage,
  type Instruction,
  type Stage,
} from "../../project/evidence/dockerfile.ts";
import { DockerIgnore } from "../../project/ignore.ts";
import { secretByName } from "../../project/secrets.ts";
import type { StaticCheck } from "../check.ts";
import { fail, notApplicable } from "../finding.ts";
import { fromFlags, lineFinding, type LineProblem, withDockerfile } from "./dockerfile-problems.ts";

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
      if (!isGlobal && scope.some((each) => mayRead(each, name))) continue;
      // A stage that is built on this one has its arguments too.
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

/** A RUN has arguments as variables: tools read theirs without a word, and what a script of the project reads is not known. */
function mayRead({ keyword, text, heredocs }: Instruction, name: string): boolean {
  if (keyword !== "RUN") return false;
  return (
    readByTools.test(name) ||
    heredocs.length > 0 ||
    /(?:^|[\s;&|"'])(?:\.{0,2}\/[\w./-]+|[\w./-]+\.(?:sh|py))\b/.test(text)
  );
}

const readByTools =
  /^(?:DEBIAN_|DEBCONF_|APT_|PIP_|PYTHON(?!_VERSION$)|UV_|POETRY_|PDM_|NPM_|YARN_|CARGO_|GO|GIT_|SSL_|CURL_|REQUESTS_|LD_|CUDA_|TORCH_|SOURCE_DATE_EPOCH$|TZ$|LANG$|LC_|PATH$|HOME$|CC$|CXX$|C(?:PP|XX)?FLAGS$|LDFLAGS$|MAKEFLAGS$|MAX_JOBS$|(?:https?|no|ftp|all)_proxy$)/i;

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
    "Every FROM, and every image that COPY --from or RUN --mount takes from, names a tag other than latest, or a digest; a build argument in it has a default.",
  why: "`FROM python` is another Python one morning.",
  sources: ["hadolint DL3006, DL3007", "Dockerfile best practices: pin base image versions"],
  run: (context) =>
    withDockerfile(context, ({ file, parsed }) => {
      const problems = [
        ...parsed.stages.flatMap(({ base, line, index }) => baseProblem(parsed, { base, line, index })),
        ...parsed.instructions.flatMap((instruction) =>
          fromFlags(instruction).flatMap((from) => sourceProblem(parsed, from, instruction)),
        ),
      ].toSorted((a, b) => a.line - b.line);
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

/** What a COPY or a mount takes from: a stage, or else an image. */
function sourceProblem(parsed: Dockerfile, from: string, { keyword, line }: Instruction): LineProblem[] {
  if (findStage(parsed, from) || /^\d+$/.test(from) || from.includes("@sha256:") || from.includes("$")) return [];
  const tag = /:([^/:]*)$/.exec(from)?.[1];
  if (tag === undefined) return [{ line, what: `${keyword} from ${from}, which is no stage and has no tag` }];
  return tag === "latest" ? [{ line, what: `${keyword} from ${from} takes whatever is newest` }] : [];
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
    "Docker: Dockerfile.dockerignore outranks .dockerignore",
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
          const isFolder = taken.some((path) => path !== source);
          for (const path of [...taken, ...(isFolder ? probes(source) : [])].filter((each) => !isIgnored(each))) {
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
