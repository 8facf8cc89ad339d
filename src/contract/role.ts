import { withoutPreflight } from "../cuda/preflight/words.ts";
import type { RuntimeConfig } from "../oci/types.ts";
import { roleOf } from "../project/evidence/command.ts";
import type { ContractSettings } from "../project/config/schema.ts";

export type Role = NonNullable<ContractSettings["role"]>;

/** The words that a container of the image starts with. */
export function startWords({ Entrypoint, Cmd }: RuntimeConfig): string[] {
  return [...(Entrypoint ?? []), ...(Cmd ?? [])];
}

/**
 * What an image is for, by its command: a server of ASGI or WSGI, a part of Celery; `base` when it starts nothing but a shell
 * or an interpreter, as images do that others are built on; `other` for every other program.
 */
export function roleOfImage(config: RuntimeConfig): Role {
  const words = withoutInit(startWords(config));
  const [program = "", ...rest] = words;
  if (program === "" || (rest.length === 0 && shells.test(fileName(program)))) return "base";
  const all = shells.test(fileName(program)) ? words.flatMap((word) => word.split(/[\s;&|]+/)) : words;
  const at = all.findIndex((word) => servers.test(fileName(word)) || fileName(word) === "celery");
  if (at === -1) return "other";
  return servers.test(fileName(all[at] ?? "")) ? "api" : roleOf(all.slice(at).map(fileName));
}

/** tini, dumb-init and their like hand everything on to the command behind them, and so does the preflight for GPUs. */
export function withoutInit(words: readonly string[]): string[] {
  return withoutPreflight(behindInit(words));
}

function behindInit(words: readonly string[]): string[] {
  if (!inits.test(fileName(words[0] ?? ""))) return [...words];
  const end = words.indexOf("--");
  if (end !== -1) return words.slice(end + 1);
  const command = words.findIndex((word, index) => index > 0 && !word.startsWith("-"));
  return command === -1 ? [] : words.slice(command);
}

export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

const inits = /^(?:tini(?:-static)?|dumb-init|catatonit|docker-init|s6-init)$/;
const shells = /^(?:(?:ba|da|z|k|a)?sh|busybox|python[\d.]*|ipython|perl)$/;
const servers = /^(?:uvicorn|gunicorn|hypercorn|granian|daphne|fastapi|uwsgi)$/;
