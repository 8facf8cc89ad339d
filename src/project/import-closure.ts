import { scanPython } from "./python/facts.ts";
import type { ImportFact, PythonFacts } from "./python/module-facts.ts";
import { OwnModules, type PythonSources } from "./python/own-modules.ts";
import { standardLibrary } from "./python/standard-library.ts";

export interface ImportClosureInput {
  /** Modules that a process imports first: `app.main`. */
  start: string[];
  /** The repository's own Python files by their path from the project's root, all of them. */
  files: ReadonlyMap<string, string> | PythonSources;
  /** Folders, from the project's root, that are on sys.path: `""`, `src`. */
  importRoots: string[];
  /** Whether the image has a module, dotted, of the standard library or of a distribution. */
  provided: (module: string) => boolean;
  /** Python's minor version, for what counts as its standard library; the newest unless given. */
  python?: string;
}

export interface ImportStep {
  file: string;
  line: number;
}

export interface MissingImport {
  module: string;
  /** From the start module's import to the one that misses; empty when a start module itself is missing. */
  chain: ImportStep[];
  /** `note` when the import is caught, made inside a function or under a condition, or is a name in a string. */
  severity: "error" | "note";
}

export interface ImportClosure {
  /** Own files that are imported, in the order in which they are found. */
  reached: string[];
  /** One a module, errors first, each in the order in which they are found. */
  missing: MissingImport[];
  /** Top-level modules outside the repository and the standard library that are imported. */
  thirdParty: Set<string>;
}

/**
 * Follows the imports from the start modules through the repository's own code, as Python would. What is imported when a
 * module loads comes before what a function or a condition imports, so an error is found by its hard chain.
 */
export function importClosure(input: ImportClosureInput): ImportClosure {
  return new Walk(input).run();
}

/** Who asked for a file: the import's place and the visit of the file that holds it. */
interface Visit {
  file: string;
  hard: boolean;
  from?: { visit: Visit; line: number };
}

interface Wanted {
  module: string;
  hard: boolean;
  from?: { visit: Visit; line: number };
}

/** Modules whose submodules appear at run time and have no files. */
const dynamicParents = new Set(["six.moves", "gi.repository", "pkg_resources.extern", "setuptools.extern"]);

class Walk {
  readonly #input: ImportClosureInput;
  readonly #own: OwnModules;
  readonly #standard: ReadonlySet<string>;
  readonly #visits = new Map<string, Visit>();
  readonly #missing = new Map<string, MissingImport>();
  readonly #thirdParty = new Set<string>();
  readonly #hard: Visit[] = [];
  readonly #soft: Visit[] = [];
  readonly #softWanted: Wanted[] = [];

  constructor(input: ImportClosureInput) {
    this.#input = input;
    this.#own = new OwnModules(input.files, input.importRoots);
    this.#standard = standardLibrary(input.python ?? "");
  }

  run(): ImportClosure {
    for (const module of this.#input.start) this.#want({ module, hard: true });
    // The lists grow while they are read.
    for (const visit of this.#hard) this.#scan(visit);
    for (const wanted of this.#softWanted) this.#want(wanted);
    for (const visit of this.#soft) {
      this.#scan(visit);
      while (this.#softWanted.length > 0) this.#want(this.#softWanted.shift() as Wanted);
    }
    const missing = [...this.#missing.values()];
    return {
      reached: [...this.#visits.keys()],
      missing: [
        ...missing.filter((one) => one.severity === "error"),
        ...missing.filter((one) => one.severity === "note"),
      ],
      thirdParty: this.#thirdParty,
    };
  }

  #scan(visit: Visit): void {
    const source = this.#own.read(visit.file);
    if (source === undefined) return;
    const facts = scanPython(source);
    const path = this.#own.moduleOf(visit.file);
    for (const fact of facts.imports) {
      if (fact.where === "type-checking") continue;
      const module = absoluteModule(fact.module, path);
      if (module === undefined) continue;
      const hard = visit.hard && fact.where === "top" && !fact.dynamic;
      this.#wantImport(module, fact, { visit, hard });
    }
    for (const { module, line } of namedModules(facts)) {
      this.#softWanted.push({ module, hard: false, from: { visit, line } });
    }
  }

  #wantImport(module: string, fact: ImportFact, { visit, hard }: { visit: Visit; hard: boolean }): void {
    const from = { visit, line: fact.line };
    const add = (wanted: Wanted): void => {
      if (hard) this.#want(wanted);
      else this.#softWanted.push(wanted);
    };
    if (module !== "") add({ module, hard, from });
    for (const name of fact.names) {
      const submodule = module === "" ? name : `${module}.${name}`;
      // An attribute of the package, unless there is a file of that name.
      if (name !== "*" && this.#own.find(submodule)) add({ module: submodule, hard, from });
    }
  }

  #want(wanted: Wanted): void {
    const { module, from } = wanted;
    const found = this.#own.find(module);
    if (found && found.files.length > 0) {
      for (const file of found.files) this.#visit(file, wanted);
      return;
    }
    const top = module.split(".", 1)[0] as string;
    const namespace = this.#own.isNamespace(top);
    // A folder without __init__.py gives way to an installed package of the same name, or shares its name with it.
    const own = this.#own.find(top) !== undefined && !(namespace && this.#input.provided(top));
    if (!own && !this.#standard.has(top)) this.#thirdParty.add(top);
    if (found) return;
    if (!own || namespace) {
      if (this.#input.provided(module) || this.#isDynamic(module)) return;
    } else {
      // The packages above it are imported before the missing module is looked for.
      for (let at = module.lastIndexOf("."); at !== -1; at = module.lastIndexOf(".", at - 1)) {
        const parent = this.#own.find(module.slice(0, at));
        if (!parent) continue;
        for (const file of parent.files) this.#visit(file, wanted);
        break;
      }
    }
    const known = this.#missing.get(module);
    if (known && (known.severity === "error" || !wanted.hard)) return;
    this.#missing.set(module, { module, chain: chainOf(from), severity: wanted.hard ? "error" : "note" });
  }

  #isDynamic(module: string): boolean {
    for (const parent of dynamicParents) {
      if (module.startsWith(`${parent}.`) || module === parent)
        return this.#input.provided(parent.split(".", 1)[0] as string);
    }
    return false;
  }

  #visit(file: string, { hard, from }: Wanted): void {
    const known = this.#visits.get(file);
    if (known && (known.hard || !hard)) return;
    const visit: Visit = { file, hard, from };
    this.#visits.set(file, visit);
    (hard ? this.#hard : this.#soft).push(visit);
  }
}

function chainOf(from: Wanted["from"]): ImportStep[] {
  const chain: ImportStep[] = [];
  for (let step = from; step; step = step.visit.from) chain.unshift({ file: step.visit.file, line: step.line });
  return chain;
}

/** The absolute name of an imported module; undefined when the dots lead out of the package. */
function absoluteModule(module: string, importer: { name: string; package: boolean } | undefined): string | undefined {
  const dots = /^\.*/.exec(module)?.[0].length ?? 0;
  if (dots === 0) return module;
  if (!importer) return undefined;
  const parts = importer.name === "" ? [] : importer.name.split(".");
  if (!importer.package) parts.pop();
  if (parts.length < dots) return undefined;
  const base = parts.slice(0, parts.length - (dots - 1));
  const rest = module.slice(dots);
  return rest === "" ? base.join(".") : [...base, rest].join(".");
}

/** Modules that calls name in strings: Celery's include, imports and autodiscover_tasks, and uvicorn.run. */
function namedModules(facts: PythonFacts): { module: string; line: number }[] {
  const found: { module: string; line: number }[] = [];
  const add = (module: string, line: number): void => {
    if (/^[A-Za-z_][\w.]*$/.test(module)) found.push({ module, line });
  };
  const addAll = (strings: string[], line: number): void => {
    for (const module of strings) add(module, line);
  };
  const calls = [
    ...facts.calls,
    ...facts.assignments.flatMap(({ value, line }) => (value.kind === "call" ? [{ call: value, line }] : [])),
    ...facts.functions.flatMap(({ returned, line }) =>
      returned.flatMap((value) => (value.kind === "call" ? [{ call: value, line }] : [])),
    ),
  ];
  for (const { call, line } of calls) {
    const name = call.callee.slice(call.callee.lastIndexOf(".") + 1);
    if (name === "Celery" || name === "update") {
      addAll(stringsIn(call.keywords["include"]), line);
      addAll(stringsIn(call.keywords["imports"]), line);
    } else if (name === "autodiscover_tasks") {
      const packages = stringsIn(call.args[0] ?? call.keywords["packages"]);
      const related = stringsIn(call.args[1] ?? call.keywords["related_name"])[0] ?? "tasks";
      addAll(
        packages.map((one) => `${one}.${related}`),
        line,
      );
    } else if (call.callee === "uvicorn.run") {
      const [app] = stringsIn(call.args[0] ?? call.keywords["app"]);
      if (app?.includes(":")) add(app.slice(0, app.indexOf(":")), line);
    }
  }
  for (const { name, value, line } of facts.assignments) {
    if (/(?:^|\.)(?:conf\.(?:imports|include)|imports|CELERY_IMPORTS)$/.test(name)) addAll(stringsIn(value), line);
  }
  return found;
}

function stringsIn(expression: { kind: string } | undefined): string[] {
  const value = expression as PythonFacts["assignments"][number]["value"] | undefined;
  if (value?.kind === "string") return [value.value];
  return value?.kind === "list" ? value.items.flatMap((item) => stringsIn(item)) : [];
}
