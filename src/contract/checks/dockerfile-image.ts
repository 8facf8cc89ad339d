import {
  type Dockerfile,
  dockerWords,
  type Instruction,
  pairsOf,
  type Stage,
  substitute,
} from "../../project/evidence/dockerfile.ts";
import type { Image } from "../../oci/image.ts";
import { kindOf } from "../../oci/history.ts";
import { formatSeconds } from "../../units.ts";
import type { StaticCheck } from "../check.ts";
import { environmentOf } from "../facts/programs.ts";
import { probeOf } from "../facts/probe.ts";
import { startWords } from "../role.ts";
import { lineFinding, type LineProblem, stageChain, withDockerfile } from "./dockerfile-problems.ts";

export const dockerfileImage: StaticCheck = {
  id: "dockerfile.image",
  title: "the image is what the Dockerfile says",
  holds:
    "USER, WORKDIR, ENV, LABEL, ENTRYPOINT, CMD, EXPOSE, STOPSIGNAL and HEALTHCHECK of the last stage, or of `--target`, as far as they are literal, compared with the image's config; its RUN commands compared with the history where Docker or BuildKit wrote it.",
  why: "An image that was built from something older passes every other check, and is not what the review approved.",
  sources: ["Dockerfile reference"],
  run: (context) =>
    withDockerfile(context, ({ file, parsed, target }) => {
      const { image } = context;
      const stage = target ?? parsed.stages.at(-1);
      const problems = stage ? problemsOf(image, parsed, stage) : [];
      const of = stage?.name === undefined || stage === parsed.stages.at(-1) ? "" : `, stage ${stage.name}`;
      return lineFinding(file, problems, {
        fine: `built from ${file}${of}`,
        hint:
          (problems.length > 0 ? hintOfStage(image, parsed, stage) : undefined) ??
          "build the image again from this Dockerfile",
      });
    }),
};

/** Where the image agrees with another stage than the one that is asked for. */
function hintOfStage(image: Image, parsed: Dockerfile, asked: Stage | undefined): string | undefined {
  const fitting = parsed.stages.findLast(
    (stage) => stage !== asked && startsSomething(parsed, stage) && problemsOf(image, parsed, stage).length === 0,
  );
  if (!fitting) return undefined;
  if (fitting === parsed.stages.at(-1)) return "it is what the last stage says: leave --target out";
  const name = fitting.name ?? String(fitting.index);
  return `it is what the stage ${name} says: --target ${name}`;
}

function startsSomething(parsed: Dockerfile, stage: Stage): boolean {
  return stageChain(parsed, stage).some(({ instructions }) =>
    instructions.some(({ keyword }) => keyword === "CMD" || keyword === "ENTRYPOINT"),
  );
}

function problemsOf(image: Image, parsed: Dockerfile, stage: Stage): LineProblem[] {
  const chain = stageChain(parsed, stage);
  const said: Said = {
    instructions: chain.flatMap(({ instructions }) => instructions),
    last: lastOf(chain),
    escape: parsed.escape,
  };
  // What Sheaf built itself has variables and labels of its own, whatever a Dockerfile beside it says.
  const isSheaf = image.config.history?.some((entry) => kindOf(entry) !== "base") === true;
  return [
    ...settingProblems(image, said),
    ...(isSheaf ? [] : pairProblems(image, said)),
    ...startProblems(image, said),
    ...healthProblems(image, said),
    ...portProblems(image, said),
    ...runProblems(image, said),
  ].toSorted((a, b) => a.line - b.line);
}

/** What the stages of an image say. */
interface Said {
  instructions: Instruction[];
  /** The one that counts, of those of which one counts. */
  last: Map<string, Instruction>;
  escape: string;
}

function lastOf(chain: readonly Stage[]): Map<string, Instruction> {
  const last = new Map<string, Instruction>();
  for (const { instructions } of chain) {
    // An ENTRYPOINT ends what the base says of CMD.
    if (instructions.some(({ keyword }) => keyword === "ENTRYPOINT")) last.delete("CMD");
    for (const instruction of instructions) last.set(instruction.keyword, instruction);
  }
  return last;
}

function settingProblems({ config: { config = {} } }: Image, { last, escape }: Said): LineProblem[] {
  const compare = (keyword: string, actual: string | undefined): LineProblem[] => {
    const instruction = last.get(keyword);
    const told = instruction && literal(instruction.text, escape);
    if (!instruction || told === undefined || told === actual) return [];
    return [{ line: instruction.line, what: `${keyword} ${told}, the image has ${actual ?? "none"}` }];
  };
  const workdir = last.get("WORKDIR")?.text ?? "";
  return [
    ...compare("USER", config.User),
    ...compare("STOPSIGNAL", config.StopSignal),
    ...(/^\/.*[^/]$/.test(workdir) ? compare("WORKDIR", config.WorkingDir?.replace(/(?<=.)\/$/, "")) : []),
  ];
}

/** ENV and LABEL: the last value of a name counts. */
function pairProblems({ config: { config = {} } }: Image, { instructions, escape }: Said): LineProblem[] {
  const actual: Record<string, (name: string) => string | undefined> = {
    ENV: (name) => environmentOf(config).get(name),
    LABEL: (name) => config.Labels?.[name],
  };
  const told = new Map<string, { keyword: string; name: string; value: string; line: number }>();
  for (const instruction of instructions) {
    const { keyword, line } = instruction;
    if (!(keyword in actual)) continue;
    for (const [name, value] of pairsOf(instruction, escape)) {
      const plain = substitute(name, () => undefined, escape);
      told.set(`${keyword} ${plain}`, { keyword, name: plain, value, line });
    }
  }
  return [...told.values()].flatMap(({ keyword, name, value, line }): LineProblem[] => {
    const [wanted, is] = [literal(value, escape), actual[keyword]?.(name)];
    if (wanted === undefined || wanted === is) return [];
    return [{ line, what: `${keyword} ${name}=${wanted}, the image has ${is === undefined ? "none" : is}` }];
  });
}

function startProblems({ config: { config = {} } }: Image, { last }: Said): LineProblem[] {
  const parts: [instruction: Instruction | undefined, is: string[]][] = [
    [last.get("ENTRYPOINT"), config.Entrypoint ?? []],
    [last.get("CMD"), config.Cmd ?? []],
  ];
  const wrong = parts.find(([instruction, is]) => instruction && !starts(instruction, is));
  const told = parts.flatMap(([instruction]) => wordsOf(instruction)).join(" ");
  // Where the whole is the same, it does not matter which part says what.
  if (!wrong?.[0] || told === startWords(config).join(" ")) return [];
  return [{ line: wrong[0].line, what: `starts ${told}, the image ${startWords(config).join(" ")}` }];
}

/** The shell form has a shell before it, of whatever name. */
function starts({ json, text }: Instruction, is: readonly string[]): boolean {
  return json ? json.join("\0") === is.join("\0") : spaced(is.at(-1) ?? "") === spaced(text);
}

function wordsOf(instruction: Instruction | undefined): string[] {
  return instruction ? (instruction.json ?? [instruction.text]) : [];
}

function healthProblems({ config: { config = {} } }: Image, { last }: Said): LineProblem[] {
  const health = last.get("HEALTHCHECK");
  if (!health) return [];
  const { line, flags } = health;
  const actual = config.Healthcheck;
  const isCheck = /^CMD\b/i.test(health.text);
  if (isCheck && probeOf(actual) === undefined)
    return [
      {
        line,
        what: "has a HEALTHCHECK, the image has none (OCI images built by Podman have none unless --format docker)",
      },
    ];
  if (!isCheck) return probeOf(actual) === undefined ? [] : [{ line, what: "HEALTHCHECK NONE, the image has one" }];
  const figures: [flag: string, is: number | undefined][] = [
    ["interval", actual?.Interval],
    ["timeout", actual?.Timeout],
    ["start-period", actual?.StartPeriod],
  ];
  const wrong = figures.flatMap(([flag, is = 0]): LineProblem[] => {
    const wanted = nanoseconds(flags[flag]);
    if (wanted === undefined || wanted === is) return [];
    return [
      {
        line,
        what: `HEALTHCHECK --${flag}=${flags[flag]}, the image has ${is === 0 ? "none" : formatSeconds(is / 1e9)}`,
      },
    ];
  });
  const retries = /^\d+$/.test(flags["retries"] ?? "") ? Number(flags["retries"]) : undefined;
  if (retries !== undefined && retries !== (actual?.Retries ?? 0))
    wrong.push({ line, what: `HEALTHCHECK --retries=${retries}, the image has ${actual?.Retries ?? "none"}` });
  return wrong;
}

/** Go's durations, as far as people write them: `30s`, `1m30s`, `500ms`. */
function nanoseconds(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:\d+(?:\.\d+)?(?:ms|h|m|s))+$/.test(text)) return undefined;
  const units: Record<string, number> = { h: 3600e9, m: 60e9, s: 1e9, ms: 1e6 };
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)].reduce(
    (total, [, amount = "", unit = ""]) => total + Number(amount) * (units[unit] ?? 0),
    0,
  );
}

function portProblems({ config: { config = {} } }: Image, { instructions, escape }: Said): LineProblem[] {
  return instructions
    .filter(({ keyword }) => keyword === "EXPOSE")
    .flatMap(({ text, line }) =>
      (literal(text, escape) ?? "")
        .split(/\s+/)
        .filter((port) => /^\d+(?:\/\w+)?$/.test(port))
        .filter((port) => !config.ExposedPorts?.[port.includes("/") ? port.toLowerCase() : `${port}/tcp`])
        .map((port) => ({ line, what: `EXPOSE ${port}, the image does not expose it` })),
    );
}

/**
 * Commands stand in the history as they are written, variables and all: after `|1 NAME=value` of the arguments, and `/bin/sh -c`.
 * Here-documents are written in other ways; Sheaf and others that need no Dockerfile write other histories.
 */
function runProblems({ config: { history = [] } }: Image, { instructions, escape }: Said): LineProblem[] {
  const steps = history.filter((entry) => kindOf(entry) === "base").map(({ created_by: by = "" }) => spaced(by));
  if (!steps.some((step) => /^(?:RUN |\|\d+ |\/bin\/\w+ -c )/.test(step))) return [];
  return instructions
    .filter(({ keyword, heredocs }) => keyword === "RUN" && heredocs.length === 0)
    .flatMap(({ json, text, line }): LineProblem[] => {
      const command = spaced(json ? json.join(" ") : text);
      if (steps.some((step) => step.includes(command))) return [];
      return [
        { line, what: `RUN ${dockerWords(command, escape).slice(0, 6).join(" ")} is not in the image's history` },
      ];
    });
}

/** Blanks that a continued line leaves are told by nobody in the same way. */
function spaced(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** The text without quotes, undefined when it holds a variable. */
function literal(text: string, escape: string): string | undefined {
  return text.includes("$") ? undefined : substitute(text, () => undefined, escape).trim();
}
