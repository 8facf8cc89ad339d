import { posix } from "node:path";
import type { DockerfileEvidence, EvidenceNote, Sourced } from "../project.ts";
import { debianPackages } from "./apt.ts";
import { readCommand, readShellCommand, type ReadCommand } from "./command.ts";
import {
  argumentsOf,
  dockerWords,
  findStage,
  pairsOf,
  parseDockerfile,
  substitute,
  type Dockerfile,
  type Instruction,
  type Stage,
} from "./dockerfile.ts";
import { installsOf } from "./installs.ts";

export interface DockerfileInput {
  text: string;
  /** Its path from the project's root. */
  file: string;
  /** Stage that is built; the last unless given. */
  target?: string;
  buildArgs?: ReadonlyMap<string, string>;
  /** Folder, from the project's root, that COPY takes from; the Dockerfile's own unless given. */
  context?: string;
  /** Text of a file of the repository, to read start scripts. */
  read?: (path: string) => string | undefined;
}

/** What a Dockerfile says, with the command read to its end. */
export interface DockerfileReading extends DockerfileEvidence {
  /** What ENTRYPOINT and CMD come to once shells, wrappers and scripts are taken off. */
  process?: ReadCommand;
  entrypoint?: Sourced<string[]>;
  cmd?: Sourced<string[]>;
  /** A path in the image as the file of the repository that was copied there. */
  script: (path: string) => { text: string; file: string } | undefined;
}

/** Reads a Dockerfile as evidence of what its owner wants. Nothing is run. */
export function readDockerfile(input: DockerfileInput): DockerfileReading {
  const dockerfile = parseDockerfile(input.text, input.buildArgs);
  const last =
    (input.target === undefined ? undefined : findStage(dockerfile, input.target)) ?? dockerfile.stages.at(-1);
  const state: State = { input, dockerfile, env: new Map(), shown: {}, args: new Map(), notes: [] };
  const reading: DockerfileReading = {
    file: input.file,
    aptPackages: [],
    env: {},
    ports: [],
    installs: [],
    copies: [],
    script: () => undefined,
  };
  if (!last) return reading;
  const chain = chainOf(dockerfile, last);
  const external = (chain[0] as Stage).base;
  reading.baseImage = sourced(external, state, (chain[0] as Stage).line);
  for (const stage of chain) readStage(stage, reading, state);
  const version =
    pythonOf(external) ??
    stagesUsed(dockerfile, chain)
      .map((stage) => pythonOf(stage.base))
      .find(Boolean);
  const versionStage = dockerfile.stages.find((stage) => pythonOf(stage.base) === version && version !== undefined);
  if (version !== undefined)
    reading.pythonVersion = sourced(version, state, versionStage?.line ?? (chain[0] as Stage).line);
  const { packages, notes } = debianPackages(chain, state.lookupFor, input.file);
  reading.aptPackages = packages;
  state.notes.push(...notes);
  const copied = allCopies(dockerfile, state);
  reading.installs = installsOf([...stagesUsed(dockerfile, chain), ...chain], {
    ...state,
    file: input.file,
    sourceOf: (path) => sourceIn(copied, path, input.read),
  });
  reading.env = state.shown;
  reading.script = (path) => scriptAt(copied, path, { workdir: reading.workdir?.value ?? "/", read: input.read });
  readProcess(reading, state);
  if (state.notes.length > 0) reading.notes = state.notes;
  return reading;
}

interface State {
  input: DockerfileInput;
  dockerfile: Dockerfile;
  env: Map<string, string>;
  shown: Record<string, Sourced<string>>;
  args: Map<string, string>;
  notes: EvidenceNote[];
  lookupFor?: (name: string) => string | undefined;
}

function readStage(stage: Stage, reading: DockerfileReading, state: State): void {
  const { escape, globals } = state.dockerfile;
  state.args = new Map();
  const lookup = (name: string): string | undefined => state.env.get(name) ?? state.args.get(name);
  state.lookupFor = lookup;
  for (const instruction of stage.instructions) {
    const value = (): string => substitute(instruction.text, lookup, escape).trim();
    switch (instruction.keyword) {
      case "ARG":
        for (const [name, fallback] of argumentsOf(instruction, escape)) {
          const given =
            state.input.buildArgs?.get(name) ??
            (fallback === undefined ? globals.get(name) : substitute(fallback, lookup, escape));
          if (given !== undefined) state.args.set(name, given);
        }
        break;
      case "ENV":
        readEnv(instruction, state, lookup);
        break;
      case "WORKDIR":
        reading.workdir = sourced(posix.resolve(reading.workdir?.value ?? "/", value()), state, instruction.line);
        break;
      case "EXPOSE":
        for (const port of value().split(/\s+/)) {
          const number = Number(port.split("/", 1)[0]);
          if (Number.isInteger(number) && number > 0 && number < 65_536)
            reading.ports.push(sourced(number, state, instruction.line));
        }
        break;
      case "COPY":
      case "ADD":
        reading.copies.push(...copiesOf(instruction, { state, workdir: reading.workdir?.value ?? "/", lookup }));
        break;
      case "ENTRYPOINT":
        reading.entrypoint = sourced(formOf(instruction), state, instruction.line);
        // Docker resets an inherited CMD when ENTRYPOINT is set in a later stage; within a stage the order is free.
        if (
          reading.cmd &&
          !stage.instructions.some(({ keyword, line }) => keyword === "CMD" && sourceLine(reading.cmd) === line)
        )
          delete reading.cmd;
        break;
      case "CMD":
        reading.cmd = sourced(formOf(instruction), state, instruction.line);
        break;
      case "HEALTHCHECK":
        if (/^NONE\b/i.test(instruction.text)) delete reading.health;
        else
          reading.health = sourced(
            (instruction.json?.join(" ") ?? instruction.text.replace(/^CMD\s+/i, "")).replaceAll(
              /\$(?:(\w+)|\{(\w+)\})/g,
              (whole, plain: string | undefined, braced: string | undefined) => lookup(plain ?? braced ?? "") ?? whole,
            ),
            state,
            instruction.line,
          );
        break;
      default:
    }
  }
}

function sourceLine(value: Sourced<unknown> | undefined): number {
  return Number(value?.source.slice(value.source.lastIndexOf(":") + 1));
}

/** All values of one ENV see the variables from before it. */
function readEnv(instruction: Instruction, state: State, lookup: (name: string) => string | undefined): void {
  const { escape } = state.dockerfile;
  const pairs = pairsOf(instruction, escape).map(([name, value]) => [name, substitute(value, lookup, escape)] as const);
  for (const [name, value] of pairs) {
    state.env.set(name, value);
    if (name !== "__proto__") state.shown[name] = sourced(value, state, instruction.line);
  }
}

/** `sh -c` around the shell form, as Docker does; marked by its first word. */
function formOf({ json, text }: Instruction): string[] {
  return json ?? ["/bin/sh", "-c", text];
}

function readProcess(reading: DockerfileReading, state: State): void {
  const { entrypoint, cmd } = reading;
  const main = entrypoint ?? cmd;
  if (!main) return;
  // Docker leaves a build argument unset when the command runs; its value is what the author meant.
  const lookup = (name: string): string | undefined => state.env.get(name) ?? state.args.get(name);
  const shellForm = (form: Sourced<string[]>): boolean =>
    form.value[0] === "/bin/sh" && form.value[1] === "-c" && form.value.length === 3;
  const context = { source: (cmd ?? main).source, lookup, script: reading.script };
  // CMD is ignored beside an ENTRYPOINT in shell form.
  const words = entrypoint && cmd && !shellForm(entrypoint) ? [...entrypoint.value, ...cmd.value] : main.value;
  if (words.length === 0) return;
  reading.process =
    words === main.value && shellForm(main)
      ? readShellCommand(main.value[2] as string, { ...context, source: main.source })
      : readCommand(words, context);
  reading.command = reading.process.command;
  state.notes.push(...reading.process.notes);
}

/** The stages that a stage is built on, the first one first. */
function chainOf(dockerfile: Dockerfile, last: Stage): Stage[] {
  const chain = [last];
  for (
    let base = findStage(dockerfile, last.base, last.index);
    base;
    base = findStage(dockerfile, base.base, base.index)
  )
    chain.unshift(base);
  return chain;
}

/** Stages, outside the chain, that the chain copies from, and theirs. */
function stagesUsed(dockerfile: Dockerfile, chain: Stage[]): Stage[] {
  const used = new Set<Stage>();
  const visit = (stages: Stage[]): void => {
    for (const stage of stages) {
      const froms = stage.instructions.flatMap(({ keyword, flags, text }) => [
        ...(keyword === "COPY" && flags["from"] !== undefined ? [flags["from"]] : []),
        ...[...(flags["mount"] ?? text).matchAll(/\bfrom=([\w.-]+)/g)].map((match) => match[1] as string),
      ]);
      for (const from of froms) {
        const source = findStage(dockerfile, from, stage.index);
        if (!source || used.has(source) || chain.includes(source)) continue;
        for (const one of chainOf(dockerfile, source)) if (!chain.includes(one)) used.add(one);
        visit(chainOf(dockerfile, source));
      }
    }
  };
  visit(chain);
  return [...used].toSorted((a, b) => a.index - b.index);
}

/** `3.12` or `3.12.1` out of `python:3.12-slim`, `…/uv:python3.12-bookworm`, `…/python-311`. */
export function pythonOf(image: string): string | undefined {
  const tagged =
    /(?:^|[/-])python[\w.-]*:v?(3\.\d+(?:\.\d+)?)(?![\w])/.exec(image) ??
    /(?:^|[/-])(?:python|pypy)[\w.-]*:(3\.\d+(?:\.\d+)?)/.exec(image);
  if (tagged) return tagged[1];
  const named = /python-?(3\.\d+(?:\.\d+)?)/.exec(image);
  if (named) return named[1];
  const joined = /python-?3(\d{1,2})(?!\d)/.exec(image);
  return joined ? `3.${joined[1]}` : undefined;
}

interface Copy {
  from: string;
  to: string;
  source: string;
}

function copiesOf(
  instruction: Instruction,
  { state, workdir, lookup }: { state: State; workdir: string; lookup: (name: string) => string | undefined },
): Copy[] {
  if (instruction.flags["from"] !== undefined) return [];
  const { escape } = state.dockerfile;
  const words = (instruction.json ?? dockerWords(instruction.text, escape))
    .map((word) => substitute(word, lookup, escape))
    .filter((word) => !word.startsWith("<<"));
  const to = words.pop();
  if (to === undefined) return [];
  const context = state.input.context ?? "";
  return words.map((from) => ({
    from: /^[a-z]+:\/\//.test(from) ? from : posix.join(context, from.replace(/^\/+/, "")).replace(/\/$/, "") || ".",
    // A slash at the end says that it is a folder.
    to: folderPath(posix.resolve(workdir, to), words.length > 1 || /(?:\/|(?:^|\/)\.{1,2})$/.test(to)),
    source: `${state.input.file}:${instruction.line}`,
  }));
}

/** A path with a slash at its end when it is a folder's. */
function folderPath(path: string, folder: boolean): string {
  return folder && !path.endsWith("/") ? `${path}/` : path;
}

function allCopies(dockerfile: Dockerfile, state: State): Copy[] {
  return dockerfile.stages.flatMap((stage) => {
    let workdir = "/";
    const values = new Map(state.env);
    for (const [name, value] of state.args) if (!values.has(name)) values.set(name, value);
    return chainOf(dockerfile, stage).flatMap((one) =>
      one.instructions.flatMap((instruction) => {
        if (instruction.keyword === "WORKDIR")
          workdir = posix.resolve(
            workdir,
            substitute(instruction.text, (name) => values.get(name), dockerfile.escape),
          );
        if (instruction.keyword !== "COPY" && instruction.keyword !== "ADD") return [];
        return copiesOf(instruction, { state, workdir, lookup: (name) => values.get(name) });
      }),
    );
  });
}

/** Paths of the repository that may stand at a path of the image, the last copied first. */
function candidatesFor(copies: Copy[], path: string): string[] {
  const found: string[] = [];
  for (const { from, to } of copies.toReversed()) {
    if (to === path) found.push(from);
    const folder = to.endsWith("/") ? to : `${to}/`;
    if (!path.startsWith(folder)) continue;
    const inside = path.slice(folder.length);
    if (posix.basename(from) === inside) found.push(from);
    found.push(from === "." ? inside : `${from}/${inside}`);
  }
  return found;
}

function sourceIn(copies: Copy[], path: string, read: DockerfileInput["read"]): string | undefined {
  return candidatesFor(copies, path).find((candidate) => read?.(candidate) !== undefined);
}

function scriptAt(
  copies: Copy[],
  path: string,
  { workdir, read }: { workdir: string; read: DockerfileInput["read"] },
): { text: string; file: string } | undefined {
  if (!read || /^(?:-|\$)/.test(path) || !/[/.]/.test(path) || path.endsWith(".py")) return undefined;
  for (const candidate of candidatesFor(copies, posix.resolve(workdir, path))) {
    const text = read(candidate);
    if (text !== undefined && text.length < 200_000 && !text.includes("\0")) return { text, file: candidate };
  }
  return undefined;
}

function sourced<T>(value: T, state: State, line: number): Sourced<T> {
  return { value, source: `${state.input.file}:${line}` };
}
