import { AppKinds, canonical, type AppKind, type FoundKind } from "./app-kinds.ts";
import { type Candidate, scoreApp } from "./app-score.ts";
import { importRootOf } from "./import-root.ts";
import type { AppObject, Project } from "./project.ts";
import type { CallFact } from "./python/module-facts.ts";
import { moduleName, type PythonSources } from "./python/own-modules.ts";
import type { StartTarget } from "./start-targets.ts";
import { byCodeUnit } from "../order.ts";

export interface FindAppsInput {
  /** All Python files of the repository. */
  files: PythonSources;
  /** Whether a path, of any file, exists. */
  hasFile: (path: string) => boolean;
  hasFolder: (path: string) => boolean;
  /** Whether a file's bytes hold any of some words: a quick look before it is scanned. */
  mentions: (path: string, words: readonly string[]) => boolean;
  /** What the repository's own commands start. */
  targets: readonly StartTarget[];
}

export interface FoundApps {
  /** Best first within each kind, see `bestApps`. */
  apps: AppObject[];
  nearMisses: Project["nearMisses"];
}

/** Finds the FastAPI and Celery objects of a repository, and the functions that return one, by parsing. */
export function findApps(input: FindAppsInput): FoundApps {
  return new Search(input).run();
}

/** The apps of a kind that are equally likely: one, or several when nothing tells them apart. */
export function bestApps(apps: readonly AppObject[], kind: AppKind): AppObject[] {
  const own = apps.filter((app) => app.kind === kind);
  const best = Math.max(...own.map((app) => app.score));
  return own.filter((app) => app.score === best);
}

/** Folders and files whose apps are not the one to run. */
const aside =
  /(?:^|\/)(?:tests?|testing|examples?|docs?(?:_src)?|scripts?|migrations|alembic|benchmarks?|demos?|samples?|\{\{[^/]*)\/|(?:^|\/)(?:test_[^/]*|[^/]*_test|conftest|noxfile|setup)\.py$/;

/** Files whose names say that a process starts there. */
const startFile = /(?:^|\/)(?:main|asgi|wsgi|server|app|__main__|worker|celery_worker|celery_main)\.py$/;

class Search {
  readonly #input: FindAppsInput;
  readonly #kinds: AppKinds;
  readonly #candidates: Candidate[] = [];
  readonly #nearMisses: { kind: AppKind; miss: Project["nearMisses"][number] }[] = [];

  constructor(input: FindAppsInput) {
    this.#input = input;
    this.#kinds = new AppKinds(input.files);
  }

  run(): FoundApps {
    const all = [...this.#input.files.paths()];
    const named = all.filter((path) => startFile.test(path) || this.#input.mentions(path, ["FastAPI", "Celery"]));
    const factories = new Set<string>();
    for (const path of named) this.#scan(path, factories);
    // Modules that call a factory from elsewhere need not name FastAPI themselves.
    const seen = new Set(named);
    for (const path of all) {
      if (factories.size === 0 || seen.has(path)) continue;
      if (this.#input.mentions(path, [...factories])) this.#scan(path, factories);
    }
    this.#addNamed();
    const main = this.#candidates.filter(({ file }) => !aside.test(file));
    for (const candidate of this.#candidates) if (aside.test(candidate.file)) this.#missAside(candidate);
    const apps = main
      .map((candidate) => this.#weigh(candidate, main))
      .toSorted((a, b) => b.score - a.score || compare(a, b));
    // Only what has no app of its kind needs an explanation.
    const nearMisses = this.#nearMisses
      .filter(({ kind }) => !apps.some((app) => app.kind === kind))
      .map(({ miss }) => miss);
    return { apps, nearMisses };
  }

  #scan(file: string, factories: Set<string>): void {
    const facts = this.#kinds.facts(file);
    const byName = new Map<string, Candidate>();
    for (const { name, annotation, value, scope, line } of facts.assignments) {
      const found =
        (annotation === undefined ? undefined : this.#kinds.ofAnnotation(file, annotation)) ??
        this.#kinds.ofExpression(file, value, { scope });
      if (!found) continue;
      // `alias = app` adds nothing.
      if (value.kind === "name" && annotation === undefined) continue;
      if (scope !== "" || name.includes(".")) {
        this.#missInside({ file, line, name, scope, found });
        continue;
      }
      const signs = value.kind === "call" ? Object.keys(value.keywords) : [];
      byName.set(name, {
        kind: found.kind,
        file,
        attribute: name,
        line,
        factory: false,
        what: found.what,
        wraps: found.wraps,
        signs,
        mounts: [],
      });
    }
    for (const fact of facts.functions) {
      const found = fact.scope === "" ? this.#kinds.ofFunction(file, fact) : undefined;
      if (!found) continue;
      factories.add(fact.name);
      if (fact.required > 0 || fact.async) this.#missFactory(file, fact, found);
      else
        byName.set(fact.name, {
          kind: found.kind,
          file,
          attribute: fact.name,
          line: fact.line,
          factory: true,
          what: `returns ${found.what}`,
          signs: [],
          mounts: [],
        });
    }
    for (const fact of facts.classes)
      if (fact.scope === "" && this.#kinds.ofAnnotation(file, fact.name)) factories.add(fact.name);
    this.#addImported(file, byName);
    for (const call of facts.calls) this.#readCall(file, call, byName);
    this.#candidates.push(...byName.values());
  }

  /** What a command starts by name is an app although its making can't be followed: `celery = web_app.celery_app`. */
  #addNamed(): void {
    for (const { kind, module, attribute, source } of this.#input.targets) {
      const file = attribute === undefined ? undefined : this.#kinds.moduleFile("", module);
      if (file === undefined || attribute === undefined) continue;
      if (this.#candidates.some((one) => one.file === file && (one.attribute === attribute || one.kind === kind)))
        continue;
      const facts = this.#kinds.facts(file);
      const bound = facts.assignments.find((fact) => fact.name === attribute && fact.scope === "");
      if (!bound) continue;
      this.#candidates.push({
        kind,
        file,
        attribute,
        line: bound.line,
        factory: false,
        what: `named by ${source}`,
        signs: [],
        mounts: [],
      });
    }
  }

  /** `from app.api import app` in a file whose name says that it is the one to run. */
  #addImported(file: string, byName: Map<string, Candidate>): void {
    if (!startFile.test(file)) return;
    const facts = this.#kinds.facts(file);
    for (const { names, module, line, where } of facts.imports) {
      if (where !== "top" && where !== "try") continue;
      for (const name of names) {
        if (byName.has(name) || facts.aliases.get(name) === undefined) continue;
        const found = this.#kinds.ofExpression(file, { kind: "name", name });
        const origin = found && this.#kinds.moduleFile(file, module);
        if (!found || origin === undefined) continue;
        // APIs import their Celery app to send tasks; only a worker's module offers it to be run.
        if (found.kind === "celery" && !/worker|celery/.test(file)) continue;
        byName.set(name, {
          kind: found.kind,
          file,
          attribute: name,
          line,
          factory: false,
          what: found.what,
          imported: `${origin}:${name}`,
          signs: [],
          mounts: [],
        });
      }
    }
  }

  /** What is called on an app shows which one is real, and which is part of another. */
  #readCall(file: string, { call, scope }: CallFact, byName: ReadonlyMap<string, Candidate>): void {
    const at = call.callee.lastIndexOf(".");
    const method = call.callee.slice(at + 1);
    // Inside a factory the calls are those of what it returns.
    const candidate = byName.get(call.callee.slice(0, at)) ?? byName.get(scope.split(".", 1)[0] as string);
    if (!candidate || at === -1) return;
    candidate.signs.push(method);
    if (method !== "mount") return;
    for (const arg of [...call.args.slice(1), call.keywords["app"]]) {
      if (arg?.kind !== "name") continue;
      const target = canonical(this.#kinds.facts(file), arg.name);
      const [, module = "", name = ""] = /^(.*?)\.?([^.]+)$/.exec(target) ?? [];
      const origin = target === arg.name ? file : this.#kinds.moduleFile(file, module);
      candidate.mounts.push(`${origin}:${name}`);
    }
  }

  #weigh(candidate: Candidate, all: Candidate[]): AppObject {
    const { kind, file, attribute, factory, line } = candidate;
    const importRoot = importRootOf({
      ...this.#input,
      file,
      facts: this.#kinds.facts(file),
      targets: this.#input.targets,
    });
    const module = moduleName(file, importRoot).name;
    const { score, reasons } = scoreApp(candidate, { module, all, targets: this.#input.targets });
    return { kind, module, attribute, factory, file, line, importRoot, score, reasons };
  }

  #missAside({ kind, file, line, what, attribute, factory }: Candidate): void {
    const target = `${moduleName(file, "").name}:${attribute}${factory ? "()" : ""}`;
    const miss = { file, line, what: `is ${what}, but in a folder that holds no service`, try: `--app "${target}"` };
    this.#nearMisses.push({ kind, miss });
  }

  #missInside({
    file,
    line,
    name,
    scope,
    found,
  }: {
    file: string;
    line: number;
    name: string;
    scope: string;
    found: FoundKind;
  }): void {
    if (aside.test(file)) return;
    const owner = scope === "" ? name : scope;
    const { functions } = this.#kinds.facts(file);
    if (functions.some((fact) => fact.name === owner && this.#kinds.ofFunction(file, fact))) return;
    const bare = name.slice(name.lastIndexOf(".") + 1);
    const miss = {
      file,
      line,
      what: `makes ${found.what} inside ${owner}`,
      try: `bind it at the top level of ${file}: ${bare} = …`,
    };
    this.#nearMisses.push({ kind: found.kind, miss });
  }

  #missFactory(
    file: string,
    fact: { name: string; line: number; required: number; async: boolean },
    found: FoundKind,
  ): void {
    const because = fact.async
      ? "is a coroutine"
      : `needs ${fact.required === 1 ? "an argument" : `${fact.required} arguments`}`;
    const called = [...this.#kinds.scanned()].some((path) =>
      this.#kinds
        .facts(path)
        .assignments.some(({ value, scope }) => scope === "" && value.kind === "call" && value.callee === fact.name),
    );
    if (called || aside.test(file)) return;
    const advice = fact.async
      ? `make ${fact.name} a plain function`
      : `give its parameters defaults, or add a module with app = ${fact.name}(…)`;
    const miss = { file, line: fact.line, what: `${fact.name} returns ${found.what}, but ${because}`, try: advice };
    this.#nearMisses.push({ kind: found.kind, miss });
  }
}

function compare(a: AppObject, b: AppObject): number {
  return byCodeUnit(`${a.file}:${a.attribute}`, `${b.file}:${b.attribute}`);
}
