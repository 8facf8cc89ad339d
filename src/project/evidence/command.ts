import type { EvidenceNote, ServiceEvidence, Sourced } from "../project.ts";
import { parseShell, shellQuote, type Lookup, type ShellCommand } from "./shell.ts";

/** What a container or process runs, after wrappers and preparation are taken off. */
export interface ReadCommand {
  role: ServiceEvidence["role"];
  /** Exec form of the process that stays. */
  command: Sourced<string[]>;
  notes: EvidenceNote[];
  /** Queues of a Celery worker. */
  queues: string[];
}

export interface CommandContext {
  /** Where the command stands: `Dockerfile:12`. */
  source: string;
  lookup?: Lookup;
  /** Text of a script of the repository by its path in the image, with its path in the repository. */
  script?: (path: string) => { text: string; file: string } | undefined;
}

const MAX_DEPTH = 12;
const MAX_COMMANDS = 300;

/**
 * Finds the process that stays in a command: shells, `poetry run` and waiting helpers are taken off, scripts of the
 * repository are read, and of several commands the last server or worker counts. What was dropped is noted.
 */
export function readCommand(words: readonly string[], context: CommandContext): ReadCommand {
  return readFrom(
    { words: [...words], source: context.source },
    { ...context, depth: 0, budget: { left: MAX_COMMANDS }, notes: [] },
  );
}

/** The same for the shell form, which Docker gives to `/bin/sh -c`. */
export function readShellCommand(text: string, context: CommandContext): ReadCommand {
  return readShell(text, context.source, { ...context, depth: 0, budget: { left: MAX_COMMANDS }, notes: [] });
}

interface State extends CommandContext {
  depth: number;
  /** Commands that may still be read, for all of them together. */
  budget: { left: number };
  notes: EvidenceNote[];
}

interface Step {
  words: string[];
  source: string;
}

function readFrom(step: Step, state: State): ReadCommand {
  const { words, source } = peel(step, state);
  // A script may call scripts, which may call it: the number of commands that are read is bounded.
  if (state.depth >= MAX_DEPTH || state.budget.left-- <= 0) return finished({ words, source }, state);
  const text = shellText(words);
  if (text !== undefined) return readShell(text, source, { ...state, depth: state.depth + 1 });
  const at = isShell(words[0]) ? words.findIndex((word, index) => index > 0 && !word.startsWith("-")) : 0;
  const path = words[at];
  const script = path === undefined ? undefined : state.script?.(path);
  return script
    ? readScript(script, { words, source, rest: words.slice(at + 1) }, state)
    : finished({ words, source }, state);
}

function readScript(
  script: { text: string; file: string },
  step: Step & { rest: string[] },
  state: State,
): ReadCommand {
  state.notes.push({ what: `runs ${script.file}`, source: step.source });
  const steps = parseShell(script.text, state.lookup);
  const { rest } = step;
  const place = (command: ShellCommand): string => `${script.file}:${command.line}`;
  const inner: State = { ...state, depth: state.depth + 1 };
  // `exec "$@"`: the script prepares and hands over to its arguments.
  const hands = steps.some(({ words }) => words.includes("$@") && (words[0] === "exec" || words[0] === "$@"));
  if (hands && rest.length > 0) {
    for (const command of steps) notePreparation(command.words, place(command), state);
    return readFrom({ words: rest, source: step.source }, inner);
  }
  const read = choose(steps, place, inner);
  return read && read.command.value.length > 0 ? read : finished(step, state);
}

function readShell(text: string, source: string, state: State): ReadCommand {
  const steps = parseShell(text, state.lookup);
  return choose(steps, () => source, state) ?? unchanged(["sh", "-c", text], source, state);
}

/** Of several commands, the last that is a server or a worker; what runs before it is noted. */
function choose(
  steps: ShellCommand[],
  place: (command: ShellCommand) => string,
  state: State,
): ReadCommand | undefined {
  const commands = steps.filter((step) => step.words.length > 0);
  const reads = commands.map((command) => {
    const inner: State = { ...state, notes: [], depth: state.depth + 1 };
    return { command, read: readFrom({ words: command.words, source: place(command) }, inner) };
  });
  const chosen =
    reads.findLast(({ read }) => read.role !== "other") ??
    (commands.length === 1
      ? reads[0]
      : reads.findLast(({ command, read }) => command.words[0] === "exec" || isProgram(read.command.value)));
  if (!chosen) return undefined;
  if (chosen.command.dynamic) {
    const { value } = chosen.read.command;
    if (chosen.read.role === "other" && value[0]?.startsWith("$")) return undefined;
    chosen.read.command.value = withVariables(value);
  }
  for (const { command, read } of reads) {
    if (command === chosen.command) continue;
    if (notePreparation(read.command.value, place(command), state)) continue;
    if (read.role !== "other" && command.operator === "&") {
      state.notes.push({
        what: `also starts ${read.command.value.join(" ")} in the background`,
        source: place(command),
      });
    }
  }
  return { ...chosen.read, notes: [...state.notes, ...chosen.read.notes] };
}

/** Words with variables that only the container knows need a shell there. Arguments of the script itself are dropped. */
function withVariables(words: string[]): string[] {
  const known = words.filter((word) => !/^\$[@*]$/.test(word));
  if (words[0] === "sh" || !known.some((word) => word.includes("$"))) return known;
  const quoted = known.map((word) => {
    if (!word.includes("$")) return shellQuote([word]);
    // Platforms set PORT; without them the usual one serves.
    const text = word.replaceAll(/\$(?:PORT\b|\{PORT\})/g, "${PORT:-8000}");
    return /^\$\{?\w+\}?$/.test(text) || text.startsWith("$(") ? text : `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
  });
  return ["sh", "-c", `exec ${quoted.join(" ")}`];
}

/** `python main.py`, `python -m app`: a program of the repository's own. */
function isProgram(words: readonly string[]): boolean {
  return /^(?:\S*\/)?python[\d.]*$/.test(words[0] ?? "") && words.some((word) => word === "-m" || word.endsWith(".py"));
}

/** Notes a step before the server, where it matters to whoever runs the image. */
function notePreparation(words: string[], source: string, state: State): boolean {
  const line = words.join(" ");
  const matters =
    /^(?:\S+ run )?alembic\b.*\bupgrade\b|\bmigrate\b|\baerich upgrade\b|prestart|backend_pre_start|initial_data/.test(
      line,
    );
  if (matters) state.notes.push({ what: `runs ${line} before the start`, source });
  return matters;
}

function finished({ words, source }: Step, state: State): ReadCommand {
  const role = roleOf(words);
  const { kept, dropped } = withoutDevelopmentFlags(words);
  for (const flag of dropped) state.notes.push({ what: `${flag} is for development and left out`, source });
  return {
    role,
    command: { value: kept, source },
    notes: state.notes,
    queues: role === "worker" ? queuesOf(kept) : [],
  };
}

function unchanged(words: string[], source: string, state: State): ReadCommand {
  return { role: "other", command: { value: words, source }, notes: state.notes, queues: [] };
}

/** The text in `sh -c TEXT`. */
function shellText(words: string[]): string | undefined {
  if (!isShell(words[0])) return undefined;
  const at = words.findIndex((word, index) => index > 0 && /^-[a-z]*c$/.test(word));
  return at === -1 ? undefined : words[at + 1];
}

function isShell(word: string | undefined): boolean {
  return word !== undefined && /^(?:ba|da|z|a)?sh$/.test(baseName(word));
}

/** Takes off what only starts something else and has no place in the image. */
function peel(step: Step, state: State): Step {
  let words = step.words;
  for (let round = 0; round < 12; round++) {
    const next = peelOnce(words, step.source, state);
    if (next === undefined) return { words, source: step.source };
    words = next;
  }
  return { words, source: step.source };
}

function peelOnce(words: string[], source: string, state: State): string[] | undefined {
  const [first = "", second = ""] = words;
  const name = baseName(first);
  const rest = words.slice(1);
  if (/^[A-Za-z_]\w*=/.test(first)) return rest;
  if (name === "exec" || name === "nohup" || name === "command") return rest.length > 0 ? rest : undefined;
  if (name === "env") return afterOptions(rest, ["-u", "-C"]);
  if (/^(?:tini|dumb-init|tini-static|catatonit)$/.test(name)) return afterOptions(rest, ["-p", "-e"]);
  if (name === "gosu" || name === "su-exec" || name === "setpriv") {
    state.notes.push({ what: `changes the user with ${name}`, source });
    return rest.slice(1);
  }
  if (/^(?:poetry|pdm|pipenv|rye|hatch)$/.test(name) && second === "run")
    return afterOptions(words.slice(2), ["-p", "--python"]);
  if (name === "uv" && second === "run") return afterOptions(words.slice(2), uvOptions);
  if (name === "doppler" && second === "run")
    return afterOptions(words.slice(2), ["-p", "-c", "--project", "--config"]);
  if (/^wait-?for(?:-?it)?(?:\.sh)?$/.test(name) || name === "wait-for-postgres.sh") {
    const at = words.indexOf("--");
    if (at === -1) return undefined;
    state.notes.push({ what: `waits with ${words.slice(0, at).join(" ")}`, source });
    return words.slice(at + 1);
  }
  if (name === "dockerize") {
    state.notes.push({ what: "waits with dockerize", source });
    return afterOptions(rest, ["-wait", "-timeout", "-template", "-stdout", "-stderr", "-wait-retry-interval"]);
  }
  if (name === "watchmedo" || name === "nodemon") {
    const at = words.indexOf("--");
    state.notes.push({ what: `${name} restarts on changes, for development, and is left out`, source });
    return at === -1 ? undefined : words.slice(at + 1);
  }
  if (name === "watchfiles" || name === "watchgod") {
    const text = rest.find((word) => !word.startsWith("-"));
    if (text === undefined || !text.includes(" ")) return undefined;
    state.notes.push({ what: `${name} restarts on changes, for development, and is left out`, source });
    return parseShell(text, state.lookup)[0]?.words;
  }
  if (/^python[\d.]*$/.test(name)) return peelPython(words, source, state);
  if (first.includes("/") && servers.has(name)) return [name, ...rest];
  return undefined;
}

function peelPython(words: string[], source: string, state: State): string[] | undefined {
  let index = 1;
  while (/^-(?:u|O|OO|B|I|s|S|E|X.*|W.*)$/.test(words[index] ?? ""))
    index += /^-[XW]$/.test(words[index] as string) ? 2 : 1;
  if (words[index] !== "-m") return undefined;
  const module = words[index + 1] ?? "";
  if (module === "debugpy") {
    const at = words.indexOf("-m", index + 2);
    state.notes.push({ what: "debugpy is for development and left out", source });
    return at === -1 ? undefined : ["python", ...words.slice(at)];
  }
  return servers.has(module) ? words.slice(index + 1) : undefined;
}

const uvOptions = [
  "--extra",
  "--group",
  "--with",
  "--with-requirements",
  "--python",
  "-p",
  "--package",
  "--directory",
  "--project",
  "--env-file",
  "--only-group",
  "--no-group",
];

/** What follows a program's own options: those in `valued` take the next word too. */
function afterOptions(words: string[], valued: readonly string[]): string[] {
  let index = 0;
  while (index < words.length) {
    const word = words[index] as string;
    if (word === "--") return words.slice(index + 1);
    if (/^[A-Za-z_]\w*=/.test(word)) index++;
    else if (!word.startsWith("-")) break;
    else index += valued.includes(word) ? 2 : 1;
  }
  return words.slice(index);
}

const servers = new Set(["uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "fastapi", "celery", "flower"]);

/** Programs that run another one in their own process, such as tracers, and stay in the command. */
const runners = new Set([
  "ddtrace-run",
  "opentelemetry-instrument",
  "newrelic-admin",
  "run-program",
  "scout-apm",
  "nice",
  "ionice",
  "aws-lambda-rie",
]);

/** What a command is to the application. */
export function roleOf(words: readonly string[]): ServiceEvidence["role"] {
  let index = 0;
  while (runners.has(baseName(words[index] ?? "")) || (index > 0 && (words[index] ?? "").startsWith("-"))) index++;
  const name = baseName(words[index] ?? "");
  if (/^(?:uvicorn|gunicorn|hypercorn|granian|daphne)$/.test(name)) return "api";
  if (name === "fastapi") return words.includes("run") || words.includes("dev") ? "api" : "other";
  if (name === "flower") return "flower";
  if (name !== "celery") return "other";
  for (const word of words.slice(index + 1)) {
    if (word === "worker" || word === "beat" || word === "flower") return word;
    if (word === "multi") return "worker";
  }
  return "other";
}

const developmentFlags: Record<string, { flags: string[]; valued: string[] } | undefined> = {
  uvicorn: { flags: ["--reload"], valued: ["--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay"] },
  gunicorn: { flags: ["--reload"], valued: ["--reload-engine", "--reload-extra-file"] },
  hypercorn: { flags: ["--reload", "--debug"], valued: [] },
  granian: { flags: ["--reload"], valued: ["--reload-paths", "--reload-ignore-dirs"] },
  fastapi: { flags: ["--reload"], valued: ["--reload-dir"] },
  celery: { flags: ["--autoreload"], valued: [] },
};

function withoutDevelopmentFlags(words: readonly string[]): { kept: string[]; dropped: string[] } {
  const server = words.find((word) => servers.has(baseName(word)));
  const known = server === undefined ? undefined : developmentFlags[baseName(server)];
  if (!known) return { kept: [...words], dropped: [] };
  const kept: string[] = [];
  const dropped: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    const name = word.split("=", 1)[0] as string;
    if (known.flags.includes(word)) dropped.push(word);
    else if (known.valued.includes(name)) {
      dropped.push(name);
      if (name === word) index++;
    } else if (word === "dev" && kept.at(-1) === "fastapi") {
      dropped.push("fastapi dev");
      kept.push("run");
    } else kept.push(word);
  }
  return { kept, dropped };
}

function queuesOf(words: readonly string[]): string[] {
  for (const [index, word] of words.entries()) {
    if (word === "-Q" || word === "--queues")
      return (words[index + 1] ?? "").split(",").filter((queue) => queue !== "");
    const inline = /^(?:--queues=|-Q)(.+)$/.exec(word)?.[1];
    if (inline !== undefined) return inline.split(",");
  }
  return [];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
