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
    if (role === "api") return apiTarget(command.value, command.source);
    return role === "other" ? [] : celeryTarget(command.value, command.source);
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
    const [module = "", colon] = value.split(":", 2);
    return /^[A-Za-z_][\w.]*$/.test(module)
      ? [{ kind: "celery", module, ...(colon === undefined ? {} : { attribute: colon }), source }]
      : [];
  }
  return [];
}
