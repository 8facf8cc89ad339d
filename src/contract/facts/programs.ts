import type { RuntimeConfig } from "../../oci/types.ts";
import type { FileFact } from "./file-fact.ts";
import type { ImageFacts } from "./image-facts.ts";

/** Docker's, for images that set none. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The image's variables; the last of a name counts. */
export function environmentOf({ Env }: RuntimeConfig): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of Env ?? []) {
    const equals = line.indexOf("=");
    variables.set(equals < 0 ? line : line.slice(0, equals), equals < 0 ? "" : line.slice(equals + 1));
  }
  return variables;
}

export interface FoundProgram {
  /** From the root, as it was found; its links not followed. */
  path: string;
  /** What it leads to. */
  file: FileFact;
}

/** What execvp(3) would start: a path as it is, a name through PATH. Undefined when there is none. */
export function findProgram(facts: ImageFacts, word: string, config: RuntimeConfig): FoundProgram | undefined {
  const workdir = config.WorkingDir || "/";
  if (word === "") return undefined;
  if (word.includes("/")) return programAt(facts, word.startsWith("/") ? word : `${workdir}/${word}`);
  const path = environmentOf(config).get("PATH") || defaultPath;
  for (const folder of path.split(":")) {
    const found = programAt(facts, `${folder.startsWith("/") ? folder : `${workdir}/${folder}`}/${word}`);
    if (found && isExecutable(found.file)) return found;
  }
  return undefined;
}

export function isExecutable({ type, mode }: FileFact): boolean {
  return type === "file" && (mode & 0o111) !== 0;
}

/** The interpreter and its argument after `#!`, undefined when the file has no such line. */
export function shebangOf({ head }: FileFact): { interpreter: string; argument?: string } | undefined {
  const line = /^#!([^\n]*)/.exec(Buffer.from(head ?? []).toString("latin1"))?.[1]?.trim();
  if (line === undefined) return undefined;
  const [, interpreter = "", argument] = /^(\S*)(?:\s+(.*))?$/.exec(line) ?? [];
  return argument === undefined ? { interpreter } : { interpreter, argument };
}

function programAt(facts: ImageFacts, path: string): FoundProgram | undefined {
  const file = facts.find(path);
  return file && file.type !== "directory" ? { path: path.replace(/^\/+/, ""), file } : undefined;
}
