import { parseShell } from "./evidence/shell.ts";
import type { ServiceEvidence } from "./project.ts";

/** An app that some command or code names: `uvicorn app.main:app`, `celery -A app.worker`. */
export interface StartTarget {
  kind: "fastapi" | "celery";
  module: string;
  attribute?: string;
  source: string;
}

/** The apps that the repository's own commands start. */
export function startTargets(services: readonly ServiceEvidence[]): StartTarget[] {
  return services.flatMap(({ role, command }) => {
    if (!command) return [];
    const words = command.value[0] === "sh" ? (parseShell(command.value[2] ?? "")[0]?.words ?? []) : command.value;
    // A program of the project's own may be given the app too: `dispatch server start dispatch.main:app`.
    return role === "api" || role === "other" ? apiTarget(words, command.source) : celeryTarget(words, command.source);
  });
}

function apiTarget(words: readonly string[], source: string): StartTarget[] {
  for (const word of words) {
    const match = /^([A-Za-z_][\w.]*):([A-Za-z_]\w*)(?:\(.*\))?$/.exec(word);
    if (match) return [{ kind: "fastapi", module: match[1] as string, attribute: match[2] as string, source }];
    const file = words.includes("fastapi") ? /^\.?\/?([\w/-]+)\.py$/.exec(word) : null;
    if (file) return [{ kind: "fastapi", module: (file[1] as string).replaceAll("/", "."), source }];
  }
  return [];
}

function celeryTarget(words: readonly string[], source: string): StartTarget[] {
  for (const [index, word] of words.entries()) {
    const value = word === "-A" || word === "--app" ? words[index + 1] : /^(?:--app=|-A)(.+)$/.exec(word)?.[1];
    if (value === undefined) continue;
    const [module = "", attribute] = value.split(":", 2);
    if (!/^[A-Za-z_][\w.]*$/.test(module)) return [];
    const target: StartTarget = { kind: "celery", module, source };
    if (attribute !== undefined) return [{ ...target, attribute }];
    // Celery takes `-A a.b` as the module a.b, the package's a.b.celery, or b of the module a.
    const at = module.lastIndexOf(".");
    const inner = at === -1 ? [] : [{ ...target, module: module.slice(0, at), attribute: module.slice(at + 1) }];
    return [target, { ...target, module: `${module}.celery` }, ...inner];
  }
  return [];
}

/**
 * Gives `python main.py` and `python -m app` the role that the code has: an API when it starts a server itself.
 *
 * @param python paths of the repository's Python files
 */
export function refineRoles(
  services: ServiceEvidence[],
  python: readonly string[],
  read: (path: string) => string | undefined,
): void {
  for (const service of services) {
    const file = service.role === "other" && service.command ? scriptOf(service.command.value, python) : undefined;
    const text = file === undefined ? undefined : read(file);
    if (text === undefined) continue;
    if (/\buvicorn\.(?:run|Server)\(|\bhypercorn\b|\bGranian\(/.test(text)) service.role = "api";
    else if (/\.worker_main\(|\.Worker\(/.test(text)) service.role = "worker";
  }
}

/** The file that `python x.py` or `python -m x` runs; the image's path ends like the repository's. */
function scriptOf(words: readonly string[], python: readonly string[]): string | undefined {
  if (!/^(?:\S*\/)?python[\d.]*$/.test(words[0] ?? "")) return undefined;
  const at = words.findIndex((word, index) => index > 0 && !/^-[^m]/.test(word));
  const module = words[at] === "-m" ? words[at + 1]?.replaceAll(".", "/") : undefined;
  const tails = module === undefined ? [words[at] ?? ""] : [`${module}.py`, `${module}/__main__.py`];
  return tails.flatMap((tail) => suffixes(tail)).find((tail) => python.includes(tail));
}

/** `/app/mealie/main.py` may be `app/mealie/main.py`, `mealie/main.py` or `main.py`. */
function suffixes(path: string): string[] {
  const parts = path.replace(/^\.?\//, "").split("/");
  return parts.map((_, index) => parts.slice(index).join("/"));
}
