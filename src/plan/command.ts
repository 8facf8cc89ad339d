/** What a start command tells about the process, without running it. */
export interface CommandFacts {
  /** First word: the program. */
  program: string;
  /** Modules that are imported first: `app.main` of `uvicorn app.main:app`. */
  modules: string[];
  /** A script that is run by path: `main.py` of `python main.py`. */
  script?: string;
  port?: number;
  /** The application as written: `app.main:app`. */
  application?: string;
}

const servers = new Set(["uvicorn", "gunicorn", "hypercorn", "granian", "daphne"]);
/** Options of the servers and of Celery that stand alone; every other `-x` or `--xyz` takes the word behind it. */
const flags = new Set([
  ...[
    "--reload",
    "--factory",
    "--proxy-headers",
    "--no-proxy-headers",
    "--no-access-log",
    "--access-log",
    "--use-colors",
  ],
  ...[
    "--no-use-colors",
    "--no-server-header",
    "--no-date-header",
    "--preload",
    "--daemon",
    "-D",
    "--debug",
    "-E",
    "-B",
  ],
  ...[
    "--beat",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
    "--events",
    "--task-events",
    "-q",
    "--quiet",
  ],
]);

/** Reads uvicorn, gunicorn, hypercorn, granian, daphne, fastapi, celery and python command lines. */
export function readCommand(command: readonly string[]): CommandFacts {
  const program = (command[0] ?? "").split("/").at(-1) ?? "";
  const rest = command.slice(1);
  const inner = shellWords(program, rest);
  if (inner) return readCommand(inner);
  if (/^python[\d.]*$/.test(program)) return readPython(program, rest);
  if (program === "celery") return readCelery(rest);
  if (program === "fastapi") return readFastapi(rest);
  if (servers.has(program)) return readServer(program, rest);
  return { program, modules: [] };
}

/** The words of `sh -c "exec uvicorn …"`: what a command with variables becomes. */
function shellWords(program: string, rest: string[]): string[] | undefined {
  const [flag, text] = rest;
  const found = /^(?:ba|da)?sh$/.test(program) && flag === "-c" ? /^exec ([^;&|]+)$/.exec(text ?? "") : undefined;
  return found?.[1]?.split(/\s+/).map((word) => word.replaceAll(/^(["'])(.*)\1$/g, "$2"));
}

/**
 * A command with variables that only the environment of the container gives needs a shell there. Where one stands for the
 * port, the usual one serves without it.
 */
export function expandable(command: readonly string[], port: number): string[] {
  if (!command.some((word) => variable.test(word)) || /^(?:\S*\/)?(?:ba|da)?sh$/.test(command[0] ?? ""))
    return [...command];
  const words = command.map((word, index) => {
    if (!variable.test(word)) return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
    const isPort =
      /(?::|--port=)\$\{?\w+\}?$/.test(word) ||
      (/^\$\{?\w+\}?$/.test(word) && /^(?:-p|--port|-b|--bind)$/.test(command[index - 1] ?? ""));
    const text = isPort ? word.replace(/\$\{?(\w+)\}?$/, `\${$1:-${port}}`) : word;
    return `"${text.replaceAll(/["\\`]/g, "\\$&")}"`;
  });
  return ["sh", "-c", `exec ${words.join(" ")}`];
}

const variable = /\$\{\w+\}|\$[A-Za-z_]\w*/;

function readPython(program: string, rest: string[]): CommandFacts {
  const at = rest.findIndex((word) => word === "-m" || !word.startsWith("-"));
  const word = rest[at];
  if (word === undefined) return { program, modules: [] };
  if (word !== "-m") return { program, modules: [], script: word };
  const module = rest[at + 1] ?? "";
  const inner = readCommand([module, ...rest.slice(at + 2)]);
  return { ...inner, program, modules: [`${module}.__main__`, module, ...inner.modules] };
}

function readServer(program: string, rest: string[]): CommandFacts {
  const application = positional(rest).find((word) => /^[\w.]+(:[\w.]+(\(.*\))?)?$/.test(word));
  const workerClass = option(rest, "-k", "--worker-class");
  return {
    program,
    application,
    modules: [
      ...(application ? [moduleOf(application)] : []),
      ...(workerClass?.includes(".") ? [workerClass.slice(0, workerClass.lastIndexOf("."))] : []),
    ],
    port: readPort(option(rest, "-p", "--port") ?? portOf(option(rest, "-b", "--bind"))),
  };
}

function readFastapi(rest: string[]): CommandFacts {
  const words = positional(rest);
  const script = words.slice(1).find((word) => word.endsWith(".py"));
  const module = script
    ?.replace(/^\.\//, "")
    .replace(/\.py$/, "")
    .replace(/\/__init__$/, "")
    .replaceAll("/", ".");
  return {
    program: "fastapi",
    modules: module ? [module] : [],
    script,
    port: readPort(option(rest, "--port")) ?? 8000,
  };
}

function readCelery(rest: string[]): CommandFacts {
  const application = option(rest, "-A", "--app");
  return {
    program: "celery",
    application,
    modules: application ? [moduleOf(application)] : [],
    port: positional(rest).includes("flower") ? (readPort(option(rest, "--port")) ?? 5555) : undefined,
  };
}

function moduleOf(application: string): string {
  return application.split(":")[0] ?? application;
}

/** The value of `-x value`, `-xvalue`, `--xyz value` or `--xyz=value`. */
function option(words: readonly string[], ...names: string[]): string | undefined {
  for (const [index, word] of words.entries()) {
    for (const name of names) {
      if (word === name) return words[index + 1];
      if (name.startsWith("--") && word.startsWith(`${name}=`)) return word.slice(name.length + 1);
      if (!name.startsWith("--") && word.startsWith(name) && word.length > 2) return word.slice(2);
    }
  }
  return undefined;
}

function positional(words: readonly string[]): string[] {
  const found: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("-")) found.push(word);
    else if (!word.includes("=") && !flags.has(word) && (word.startsWith("--") || word.length === 2)) index += 1;
  }
  return found;
}

/** `8000` of `0.0.0.0:8000`, `${PORT:-8000}` of `0.0.0.0:${PORT:-8000}`. */
function portOf(address: string | undefined): string | undefined {
  return address && /(?:^|:)(\d+|\$\{\w+:?-\d+\})$/.exec(address)?.[1];
}

function readPort(text: string | undefined): number | undefined {
  const literal = text?.match(/^\$\{\w+:?-(\d+)\}$/)?.[1] ?? text;
  return literal && /^\d{1,5}$/.test(literal) ? Number(literal) : undefined;
}
