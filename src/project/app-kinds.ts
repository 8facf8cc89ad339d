import type { CallExpression, Expression } from "./python/expression.ts";
import { scanPython } from "./python/facts.ts";
import type { FunctionFact, PythonFacts } from "./python/module-facts.ts";
import type { PythonSources } from "./python/own-modules.ts";

export type AppKind = "fastapi" | "celery";

/** What an expression turns out to be. */
export interface FoundKind {
  kind: AppKind;
  /** In words: `FastAPI()`, `create_app(), which returns FastAPI()`. */
  what: string;
  /** Name of the app that a middleware or mounting server is put around. */
  wraps?: string;
}

const classes: Record<string, AppKind | undefined> = {
  "fastapi.FastAPI": "fastapi",
  "fastapi.applications.FastAPI": "fastapi",
  "celery.Celery": "celery",
  "celery.app.Celery": "celery",
  "celery.app.base.Celery": "celery",
};

const MAX_STEPS = 16;

/** Follows names through the repository's modules to tell what is an app. Nothing is imported. */
export class AppKinds {
  readonly #sources: PythonSources;
  readonly #facts = new Map<string, PythonFacts>();
  /** Files by their last path segments, to find `a.b` whatever the import root is. */
  #byName: Map<string, string[]> | undefined;

  constructor(sources: PythonSources) {
    this.#sources = sources;
  }

  facts(file: string): PythonFacts {
    const known = this.#facts.get(file);
    if (known) return known;
    const facts = scanPython(this.#sources.read(file) ?? "");
    this.#facts.set(file, facts);
    return facts;
  }

  scanned(): Iterable<string> {
    return this.#facts.keys();
  }

  /** @param scope dotted name of the function in which the expression stands */
  ofExpression(file: string, expression: Expression, { scope = "", steps = 0 } = {}): FoundKind | undefined {
    if (steps > MAX_STEPS) return undefined;
    if (expression.kind === "call") return this.#ofCall(file, expression, { scope, steps });
    return expression.kind === "name" ? this.#ofName(file, expression.name, { scope, steps }) : undefined;
  }

  ofFunction(file: string, fact: FunctionFact, steps = 0): FoundKind | undefined {
    if (steps > MAX_STEPS) return undefined;
    const annotated = fact.returns === undefined ? undefined : this.#ofClass(file, fact.returns, steps + 1);
    if (annotated) return annotated;
    const scope = fact.scope === "" ? fact.name : `${fact.scope}.${fact.name}`;
    for (const value of fact.returned) {
      const found = this.ofExpression(file, value, { scope, steps: steps + 1 });
      if (found) return found;
    }
    return undefined;
  }

  /** The kind that an annotation or a class makes its objects. */
  ofAnnotation(file: string, name: string): FoundKind | undefined {
    return this.#ofClass(file, name, 0);
  }

  #ofCall(file: string, call: CallExpression, at: { scope: string; steps: number }): FoundKind | undefined {
    const steps = at.steps + 1;
    const created = this.#ofClass(file, call.callee, steps);
    if (created) return created;
    if (/(?:Middleware|ASGIApp)$/.test(call.callee)) {
      for (const value of [...call.args, ...Object.values(call.keywords)]) {
        const inner =
          value.kind === "name" || value.kind === "call"
            ? this.ofExpression(file, value, { scope: at.scope, steps })
            : undefined;
        if (inner?.kind === "fastapi") {
          return {
            kind: "fastapi",
            what: `${call.callee}() around ${inner.what}`,
            wraps: value.kind === "name" ? value.name : undefined,
          };
        }
      }
    }
    const made = this.#findFunction(file, call.callee, steps);
    const returned = made && this.ofFunction(made.file, made.fact, steps);
    return (
      returned && {
        kind: returned.kind,
        what: `${call.callee}(), which returns ${returned.what.split(", which", 1)[0]}`,
      }
    );
  }

  #ofName(file: string, name: string, { scope, steps }: { scope: string; steps: number }): FoundKind | undefined {
    // Modules may import each other, or all of each other.
    if (steps > MAX_STEPS) return undefined;
    const facts = this.facts(file);
    for (const place of scope === "" ? [""] : [scope, ""]) {
      // The last assignment counts: `app = CORSMiddleware(app)`.
      const bound = facts.assignments.findLast((fact) => fact.name === name && fact.scope === place);
      if (!bound) continue;
      const annotated = bound.annotation === undefined ? undefined : this.#ofClass(file, bound.annotation, steps + 1);
      if (annotated) return annotated;
      const first = facts.assignments.find((fact) => fact.name === name && fact.scope === place) ?? bound;
      const wraps = first !== bound && mentions(bound.value, name);
      return this.ofExpression(file, wraps ? first.value : bound.value, { scope: place, steps: steps + 1 });
    }
    const imported = this.#imported(file, name);
    if (imported) return this.#ofName(imported.file, imported.name, { scope: "", steps: steps + 1 });
    return this.#throughStars(file, name, (origin) => this.#ofName(origin, name, { scope: "", steps: steps + 1 }));
  }

  #ofClass(file: string, name: string, steps: number): FoundKind | undefined {
    if (steps > MAX_STEPS || name === "") return undefined;
    const facts = this.facts(file);
    const own = facts.classes.find((fact) => fact.name === name);
    if (own) {
      for (const base of own.bases) {
        const found = base === name ? undefined : this.#ofClass(file, base, steps + 1);
        if (found) return { kind: found.kind, what: `${name}(), a ${found.what.replace("()", "")}` };
      }
      return undefined;
    }
    const target = canonical(facts, name);
    const kind = Object.hasOwn(classes, target) ? classes[target] : undefined;
    if (kind) return { kind, what: kind === "fastapi" ? "FastAPI()" : "Celery()" };
    const imported = this.#imported(file, name);
    if (imported) return this.#ofClass(imported.file, imported.name, steps + 1);
    return this.#throughStars(file, name, (origin) => this.#ofClass(origin, name, steps + 1));
  }

  #findFunction(file: string, name: string, steps: number): { file: string; fact: FunctionFact } | undefined {
    if (steps > MAX_STEPS) return undefined;
    const fact = this.facts(file).functions.find((one) => one.name === name && one.scope === "");
    if (fact) return { file, fact };
    const imported = this.#imported(file, name);
    if (imported) return this.#findFunction(imported.file, imported.name, steps + 1);
    return this.#throughStars(file, name, (origin) => this.#findFunction(origin, name, steps + 1));
  }

  /** Looks for a plain name in the repository's modules that a file imports whole, the last one first. */
  #throughStars<T>(file: string, name: string, look: (origin: string) => T | undefined): T | undefined {
    if (name.includes(".")) return undefined;
    for (const { module, names } of this.facts(file).imports.toReversed()) {
      const origin = names.includes("*") ? this.moduleFile(file, module) : undefined;
      const found = origin === undefined || origin === file ? undefined : look(origin);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Where an imported name is defined among the repository's files. */
  #imported(file: string, name: string): { file: string; name: string } | undefined {
    const facts = this.facts(file);
    const target = canonical(facts, name);
    if (target === name && !facts.aliases.has(name.split(".", 1)[0] as string)) return undefined;
    const at = target.lastIndexOf(".");
    const attribute = target.slice(at + 1);
    const module = target.slice(0, at).replace(/^(\.+)$/, "$1");
    const path = this.moduleFile(file, at === -1 ? target : module === "" ? "." : module);
    return path === undefined || path === file ? undefined : { file: path, name: attribute };
  }

  /** The file of a module that another file imports; of several the nearest one. */
  moduleFile(importer: string, module: string): string | undefined {
    const dots = /^\.*/.exec(module)?.[0].length ?? 0;
    const segments = module
      .slice(dots)
      .split(".")
      .filter((part) => part !== "");
    if (dots > 0) {
      const folder = importer.split("/").slice(0, -dots);
      if (importer.split("/").length < dots) return undefined;
      const path = [...folder, ...segments].join("/");
      return this.#existing([`${path}.py`, path === "" ? "__init__.py" : `${path}/__init__.py`]);
    }
    if (segments.length === 0) return undefined;
    const tail = segments.join("/");
    const candidates = (this.#index().get(segments.at(-1) as string) ?? []).filter((path) =>
      [`${tail}.py`, `${tail}/__init__.py`].some((end) => path === end || path.endsWith(`/${end}`)),
    );
    return candidates.toSorted((a, b) => common(b, importer) - common(a, importer) || a.length - b.length)[0];
  }

  #existing(paths: string[]): string | undefined {
    const all = this.#index();
    return paths.find((path) => all.get(stem(path))?.includes(path));
  }

  #index(): Map<string, string[]> {
    if (this.#byName) return this.#byName;
    this.#byName = new Map();
    for (const path of this.#sources.paths()) {
      const key = stem(path);
      const known = this.#byName.get(key);
      if (known) known.push(path);
      else this.#byName.set(key, [path]);
    }
    return this.#byName;
  }
}

/** The module's own name in its path: `main` of app/main.py, `app` of app/__init__.py. */
function stem(path: string): string {
  const parts = path.split("/");
  const last = (parts.pop() as string).replace(/\.py$/, "");
  return last === "__init__" ? (parts.pop() ?? "") : last;
}

/** Length of the path that two files share. */
function common(a: string, b: string): number {
  const [left, right] = [a.split("/"), b.split("/")];
  let count = 0;
  while (count < left.length && left[count] === right[count]) count++;
  return count;
}

/** A dotted name with its first part replaced by what it was imported as. */
export function canonical(facts: PythonFacts, name: string): string {
  const at = name.indexOf(".");
  const first = at === -1 ? name : name.slice(0, at);
  const target = facts.aliases.get(first);
  return target === undefined ? name : target + (at === -1 ? "" : name.slice(at));
}

function mentions(value: Expression, name: string): boolean {
  if (value.kind === "name") return value.name === name;
  if (value.kind === "call")
    return [...value.args, ...Object.values(value.keywords)].some((one) => mentions(one, name));
  return false;
}
