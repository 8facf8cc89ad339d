import { posix } from "node:path";
import type { Sourced } from "../project.ts";
import type { Stage } from "./dockerfile.ts";
import { parseShell, type Lookup } from "./shell.ts";

export interface InstallsContext {
  file: string;
  lookupFor?: Lookup;
  /** The file of the repository that stands at an absolute path of the image. */
  sourceOf: (path: string) => string | undefined;
}

/** What the RUN lines of some stages install of Python: requirements files, extras, groups and single packages. */
export function installsOf(stages: readonly Stage[], context: InstallsContext): Sourced<string>[] {
  const found = new Map<string, Sourced<string>>();
  for (const { instructions } of stages) {
    let workdir = "/";
    for (const { keyword, text, json, heredocs, line } of instructions) {
      if (keyword === "WORKDIR") workdir = posix.resolve(workdir, text);
      if (keyword !== "RUN") continue;
      const script = json ? json.join(" ") : heredocs.length > 0 ? heredocs.map(({ body }) => body).join("\n") : text;
      for (const { words } of parseShell(script, context.lookupFor)) {
        for (const value of installed(words, (path) => requirementsPath(posix.resolve(workdir, path), path, context))) {
          if (!found.has(value)) found.set(value, { value, source: `${context.file}:${line}` });
        }
      }
    }
  }
  return [...found.values()];
}

function requirementsPath(absolute: string, written: string, { sourceOf }: InstallsContext): string {
  return sourceOf(absolute) ?? written.replace(/^\.?\//, "");
}

function installed(words: string[], requirements: (path: string) => string): string[] {
  let index = 0;
  while (/^(?:exec|sudo|[A-Za-z_]\w*=.*|env)$/.test(words[index] ?? "") || words[index]?.startsWith("-")) index++;
  const program = posix.basename(words[index] ?? "");
  const rest = words.slice(index + 1);
  if (/^python[\d.]*$/.test(program) && rest[0] === "-m") return installed(rest.slice(1), requirements);
  if (/^pip[\d.]*$/.test(program) && (rest[0] === "install" || rest[0] === "wheel"))
    return pipInstall(rest.slice(1), requirements);
  if (program === "uv" && rest[0] === "pip" && (rest[1] === "install" || rest[1] === "sync")) {
    return pipInstall(
      rest[1] === "sync"
        ? rest.slice(2).flatMap((word) => (word.startsWith("-") ? [word] : ["-r", word]))
        : rest.slice(2),
      requirements,
    );
  }
  if (program === "uv" && rest[0] === "sync")
    return options(rest, { "--extra": "extra:", "--group": "group:", "--only-group": "group:" });
  if (program === "poetry" && rest[0] === "install") {
    return options(rest, { "--extras": "extra:", "-E": "extra:", "--with": "group:", "--only": "group:" }).filter(
      (value) => value !== "group:main",
    );
  }
  if (program === "pdm" && (rest[0] === "install" || rest[0] === "sync"))
    return options(rest, { "-G": "extra:", "--group": "extra:" });
  return [];
}

function pipInstall(words: string[], requirements: (path: string) => string): string[] {
  const found: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    const inline = /^(?:--requirement=|-r)(.+)$/.exec(word)?.[1];
    if (inline !== undefined) found.push(requirements(inline));
    else if (word === "-r" || word === "--requirement") found.push(requirements(words[++index] ?? ""));
    else if (word.startsWith("-")) {
      if (/^(?:-e|--editable)$/.test(word)) continue;
      if (valued.has(word)) index++;
    } else if (/^(?:\.{0,2}\/|\.)/.test(word)) {
      for (const extra of /\[([^\]]+)\]/.exec(word)?.[1]?.split(",") ?? []) found.push(`extra:${extra.trim()}`);
    } else if (
      /^[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?\s*(?:[<>=!~].*)?$/.test(word) &&
      !/^(?:pip|setuptools|wheel|poetry|pipenv|uv|pdm|virtualenv)(?:[<>=!~].*)?$/.test(word)
    ) {
      found.push(`package:${word}`);
    }
  }
  return found;
}

const valued = new Set([
  "-c",
  "--constraint",
  "-t",
  "--target",
  "-i",
  "--index-url",
  "--extra-index-url",
  "-f",
  "--find-links",
  "--prefix",
  "--root",
  "-w",
  "--wheel-dir",
  "--trusted-host",
  "--python",
  "-p",
  "--timeout",
  "--retries",
  "--cache-dir",
  "--platform",
  "--no-binary",
  "--only-binary",
  "--progress-bar",
]);

function options(words: string[], prefixes: Record<string, string>): string[] {
  const found: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const [name = "", inline] = (words[index] as string).split("=", 2);
    const prefix = Object.hasOwn(prefixes, name) ? prefixes[name] : undefined;
    if (prefix === undefined) continue;
    const value = inline ?? words[++index] ?? "";
    for (const one of value.split(/[\s,]+/)) if (one !== "") found.push(prefix + one);
  }
  return found;
}
