import type { RuntimeConfig } from "../../oci/types.ts";
import { parseShell } from "../../project/evidence/shell.ts";
import { startTargets } from "../../project/start-targets.ts";
import { fileName, roleOfImage, startWords, withoutInit } from "../role.ts";
import type { ImageFacts } from "./image-facts.ts";
import { environmentOfCommand, type PythonEnvironment, pythonEnvironments, pythonPath } from "./pythons.ts";

/** What a command imports first. */
export interface StartModule {
  /** Spellings of the same thing, any of which will do: `-A app.worker` is a module, or an object in `app`. */
  modules: string[];
  /** The command as words, without an init or a shell around it. */
  words: string[];
}

/** The module that the image's command names, undefined when it names none. */
export function startModuleOf(config: RuntimeConfig): StartModule | undefined {
  const words = commandWords(config);
  const role = roleOfImage(config);
  const asModule = words.findIndex((word) => word === "-m");
  if (/^python[\d.]*$/.test(fileName(words[0] ?? "")) && asModule > 0) {
    const module = words[asModule + 1] ?? "";
    const rest = words.slice(asModule + 1);
    const inner = targetOf(rest, role);
    return inner ? { modules: inner, words } : isModule(module) ? { modules: [module], words } : undefined;
  }
  const modules = targetOf(words, role);
  return modules ? { modules, words } : undefined;
}

function targetOf(words: string[], role: string): string[] | undefined {
  if (role === "base" || role === "other") return undefined;
  // A server reads its app from its own arguments; a path to it says no more than its name.
  const named = [fileName(words[0] ?? ""), ...words.slice(1)];
  const targets = startTargets([
    { name: "image", role: role as "api", command: { value: named, source: "the image" }, env: {}, ports: [] },
  ]);
  const modules = [...new Set(targets.map(({ module }) => module))].filter(isModule);
  return modules.length > 0 ? modules : undefined;
}

/** The words of the process that stays: without init, and without a shell where its text can be told. */
export function commandWords(config: RuntimeConfig): string[] {
  const words = withoutInit(startWords(config));
  const isShell = /^(?:ba|da|z|k|a)?sh$/.test(fileName(words[0] ?? "")) && /^-[a-z]*c$/.test(words[1] ?? "");
  if (!isShell) return words;
  const last = parseShell(words[2] ?? "").findLast((command) => command.words.length > 0)?.words ?? [];
  return last[0] === "exec" ? last.slice(1) : last;
}

export interface ImportPath {
  environment: PythonEnvironment | undefined;
  /** Folders of sys.path that the app's own modules may be in, from the root: the working directory, PYTHONPATH. */
  own: string[];
  /** Folders that installers write to. */
  sites: string[];
}

/** Where the image's command looks for modules. */
export function importPathOf(facts: ImageFacts, config: RuntimeConfig): ImportPath {
  const words = commandWords(config);
  const all = facts.derived(pythonEnvironments);
  // A command that isn't there, or is no script, runs the only Python that there is.
  const environment = environmentOfCommand(facts, words, config) ?? (all.length === 1 ? all[0] : undefined);
  const appDir = words.findIndex((word) => word === "--app-dir" || word === "--chdir" || word === "--workdir");
  const told = appDir === -1 ? [] : [words[appDir + 1] ?? ""];
  const workdir = (config.WorkingDir || "/").replace(/^\/+|\/+$/g, "");
  const own = [
    ...told.map((folder) => (folder.startsWith("/") ? folder.slice(1) : joined(workdir, folder))),
    workdir,
    ...pythonPath(config),
  ].map((folder) => facts.tree.resolve(folder.replace(/\/+$/, "")));
  return {
    environment,
    own: [...new Set(own)],
    sites: environment?.sites.map((site) => facts.tree.resolve(site)) ?? [],
  };
}

/** Whether a folder of sys.path has a module: a file, a package, a compiled one or a namespace. */
export function hasModule(facts: ImageFacts, folder: string, module: string): boolean {
  const path = joined(folder, module.replaceAll(".", "/"));
  const suffixes = [".py", "/__init__.py", ".pyc", "/__init__.pyc", ".abi3.so", ".so"];
  if (suffixes.some((suffix) => facts.find(`${path}${suffix}`)?.type === "file")) return true;
  return facts.find(path)?.type === "directory" || extensions(facts).has(path);
}

function extensions(facts: ImageFacts): Set<string> {
  return facts.derived(extensionModules);
}

/** Compiled modules by their path without the tag: `…/_psycopg` of `_psycopg.cpython-312-x86_64-linux-gnu.so`. */
function extensionModules({ files }: ImageFacts): Set<string> {
  const found = new Set<string>();
  for (const path of files.keys()) {
    const name = /^(.*)\.cpython-[^/]*\.so$/.exec(path)?.[1];
    if (name !== undefined) found.add(name);
  }
  return found;
}

function joined(folder: string, path: string): string {
  return folder === "" ? path : `${folder}/${path}`;
}

function isModule(text: string): boolean {
  return /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$/.test(text);
}
