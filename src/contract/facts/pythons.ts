import type { RuntimeConfig } from "../../oci/types.ts";
import { byCodeUnit } from "../../order.ts";
import { fileName } from "../role.ts";
import { installedDistributions, type InstalledDistribution } from "./distributions.ts";
import type { ImageFacts } from "./image-facts.ts";
import { textOf } from "./image-facts.ts";
import { environmentOf, findProgram, shebangOf } from "./programs.ts";

/** An interpreter, or a virtual environment over one, with what it can import. */
export interface PythonEnvironment {
  /** `3.12` */
  minor: string;
  /** From the root: `usr/local`, or the folder of the virtual environment. */
  prefix: string;
  /** The standard library: `usr/local/lib/python3.12`. */
  stdlib: string;
  /** Folders of sys.path that installers write to, in order. */
  sites: string[];
  distributions: InstalledDistribution[];
}

/** Every interpreter with its standard library, and every virtual environment. */
export function pythonEnvironments(facts: ImageFacts): PythonEnvironment[] {
  const found: PythonEnvironment[] = [];
  for (const path of facts.files.keys()) {
    const [, prefix, minor] = /^(?:(.*)\/)?lib\/python(3\.\d+)\/os\.pyc?$/.exec(path) ?? [];
    if (minor === undefined || found.some((each) => each.prefix === (prefix ?? "") && each.minor === minor)) continue;
    found.push(environmentAt(facts, prefix ?? "", minor));
  }
  for (const [path, file] of facts.files) {
    if (fileName(path) === "pyvenv.cfg" && file.text !== undefined) {
      const venv = virtualEnvironment(facts, path.slice(0, -"/pyvenv.cfg".length), {
        text: (textOf(file) ?? "").slice(0, 4096),
        found,
      });
      if (venv) found.push(venv);
    }
  }
  return found.toSorted((a, b) => byCodeUnit(a.prefix, b.prefix));
}

/** The environment that a command runs in: told by the script's first line, or by where the interpreter lies. */
export function environmentOfCommand(
  facts: ImageFacts,
  words: readonly string[],
  config: RuntimeConfig,
): PythonEnvironment | undefined {
  const program = findProgram(facts, words[0] ?? "", config);
  if (!program) return undefined;
  let path = program.path;
  const shebang = shebangOf(program.file);
  if (shebang) {
    const isEnv = fileName(shebang.interpreter) === "env";
    const name = isEnv ? (shebang.argument ?? "").replace(/^-S\s+/, "").split(/\s/)[0] : shebang.interpreter;
    const interpreter = findProgram(facts, name ?? "", config);
    if (!interpreter) return undefined;
    path = interpreter.path;
  }
  if (!/^python[\d.]*$/.test(fileName(path))) return undefined;
  const all = facts.derived(pythonEnvironments);
  // A virtual environment is where its python lies, whatever that leads to.
  const beside = all.find(
    ({ prefix }) => path.startsWith(`${prefix === "" ? "" : `${prefix}/`}bin/`) && isVenv(facts, prefix),
  );
  if (beside) return beside;
  const real = facts.tree.resolve(path);
  const minor = /python(3\.\d+)$/.exec(real)?.[1];
  const prefix = real.replace(/\/?bin\/[^/]*$/, "");
  return all.find((each) => each.prefix === prefix && (minor === undefined || each.minor === minor));
}

function isVenv(facts: ImageFacts, prefix: string): boolean {
  return facts.files.has(`${prefix}/pyvenv.cfg`);
}

/** Folders that PYTHONPATH names. */
export function pythonPath(config: RuntimeConfig): string[] {
  return (environmentOf(config).get("PYTHONPATH") ?? "")
    .split(":")
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => folder.replace(/^\/+|\/+$/g, ""));
}

function environmentAt(facts: ImageFacts, prefix: string, minor: string): PythonEnvironment {
  const at = (path: string) => (prefix === "" ? path : `${prefix}/${path}`);
  const stdlib = at(`lib/python${minor}`);
  const sites =
    prefix === "usr" && facts.files.has("usr/lib/python3/dist-packages")
      ? [`usr/local/lib/python${minor}/dist-packages`, "usr/lib/python3/dist-packages", `${stdlib}/dist-packages`]
      : [`${stdlib}/site-packages`, at(`lib64/python${minor}/site-packages`)];
  return withDistributions(facts, { minor, prefix, stdlib, sites });
}

interface VenvQuestion {
  text: string;
  found: readonly PythonEnvironment[];
}

function virtualEnvironment(
  facts: ImageFacts,
  prefix: string,
  { text, found }: VenvQuestion,
): PythonEnvironment | undefined {
  const field = (name: string) => new RegExp(`^${name}\\s*=\\s*(.*?)\\s*$`, "m").exec(text)?.[1];
  const site = [...facts.files.keys()].find((path) => path.startsWith(`${prefix}/lib/python3.`));
  const minor = /\/lib\/python(3\.\d+)(?:\/|$)/.exec(site?.slice(prefix.length) ?? "")?.[1];
  if (minor === undefined) return undefined;
  const home = facts.tree.resolve((field("home") ?? "").replace(/^\/+/, "")).replace(/\/?bin$/, "");
  const base =
    found.find((each) => each.minor === minor && each.prefix === home) ?? found.find((each) => each.minor === minor);
  const sites = [`${prefix}/lib/python${minor}/site-packages`];
  if (field("include-system-site-packages") === "true") sites.push(...(base?.sites ?? []));
  return withDistributions(facts, { minor, prefix, stdlib: base?.stdlib ?? "", sites });
}

function withDistributions(
  facts: ImageFacts,
  environment: Omit<PythonEnvironment, "distributions">,
): PythonEnvironment {
  const places = environment.sites.map((site) => facts.tree.resolve(site));
  const distributions = facts.derived(installedDistributions).filter(({ folder }) => places.includes(folder));
  return { ...environment, distributions };
}
