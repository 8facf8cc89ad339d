import { decodePython } from "../project/python/decode.ts";
import { scanPython } from "../project/python/facts.ts";
import type { PythonFacts } from "../project/python/module-facts.ts";
import type { Store } from "../store/store.ts";
import type { FoundModule, ModuleOwner } from "./python-modules.ts";

/** Raised when the same source gives other names. */
const importsVersion = 4;

interface NamesRecord {
  /** By path in the image. */
  names: Record<string, string[]>;
  grown: boolean;
}

/**
 * Names that a module may import: absolute dotted names of its imports, and strings that look like module names. What was
 * scanned is kept in the store by owner, so that only files that are new are read. Who asks for `all` leaves an answer for
 * who asks for `load` next: reading a source takes longer than anything that is asked of it.
 */
export class ImportNames {
  readonly #store: Store;
  readonly #places: ImportPlaces;
  readonly #known: Record<ImportPlaces, Map<ModuleOwner, NamesRecord>> = { load: new Map(), all: new Map() };

  constructor(store: Store, places: ImportPlaces) {
    this.#store = store;
    this.#places = places;
  }

  of({ owner, path, isPackage }: FoundModule, module: string): string[] {
    const record = this.#recordOf(owner, this.#places);
    const known = record.names[path];
    if (known) return known;
    const source = owner.read(path);
    const facts = source && scanPython(decodePython(source));
    for (const places of this.#places === "all" ? (["load", "all"] as const) : (["load"] as const)) {
      const each = this.#recordOf(owner, places);
      each.names[path] = facts ? namesIn(facts, { module, isPackage, places }) : [];
      each.grown = true;
    }
    return record.names[path] ?? [];
  }

  /** Writes down what was scanned. */
  save(): void {
    for (const places of ["load", "all"] as const) {
      for (const [owner, record] of this.#known[places]) {
        if (record.grown) this.#store.writeRecord("imports", keyOf(owner, places), record.names);
        record.grown = false;
      }
    }
  }

  #recordOf(owner: ModuleOwner, places: ImportPlaces): NamesRecord {
    const held = this.#known[places].get(owner);
    if (held) return held;
    const record = {
      names: this.#store.readRecord<Record<string, string[]>>("imports", keyOf(owner, places)) ?? {},
      grown: false,
    };
    this.#known[places].set(owner, record);
    return record;
  }
}

function keyOf(owner: ModuleOwner, places: ImportPlaces): string {
  return `${importsVersion} ${places} ${owner.key}`;
}

/** `load`: what is imported as a module loads; `all`: what its functions import as well. */
export type ImportPlaces = "load" | "all";

export interface ImportingModule {
  /** Dotted name. */
  module: string;
  isPackage: boolean;
  places: ImportPlaces;
}

/** Absolute names; of `from a import b` both `a` and `a.b`, since `b` may be a module. */
export function importedNames(source: string, importing: ImportingModule): string[] {
  return namesIn(scanPython(source), importing);
}

function namesIn(facts: PythonFacts, { module, isPackage, places }: ImportingModule): string[] {
  const names = new Set<string>();
  for (const each of facts.imports) {
    // What only a type checker imports is never loaded.
    if (each.where === "type-checking" || (places === "load" && (each.where === "function" || each.asProgram)))
      continue;
    const base = absoluteName(each.module, module, isPackage);
    if (base === undefined) continue;
    if (base !== "") names.add(base);
    for (const name of each.names) if (name !== "*") names.add(base === "" ? name : `${base}.${name}`);
  }
  const named = facts.strings.map(({ value }) => value);
  for (const name of places === "load" ? namesOnLoad(named, module) : named) names.add(name.split(":")[0] ?? name);
  return [...names].filter((name) => places === "all" || !pureTwin.test(name));
}

/** `_pydecimal`, `_pydatetime`: what the standard library has in Python beside the module in C that it takes first. */
const pureTwin = /^_py[a-z]+(?:\.|$)/;

/** Which strings name modules that are imported with the module that they stand in. */
function namesOnLoad(strings: string[], module: string): string[] {
  const [top = module] = module.split(".");
  // A table of what had another name in Python 2.
  if (/(?:^|\.)(?:six|_compat_pickle)$/.test(module)) return [];
  // `module:attribute` stands in tables of which one entry is used, when it is used at all: transports, result backends,
  // pools. Those of a server are used as it starts.
  return servers.has(top) ? strings : strings.filter((value) => !value.includes(":"));
}

const servers: ReadonlySet<string> = new Set(["granian", "gunicorn", "hypercorn", "uvicorn"]);

/** Resolves leading dots as importlib does; undefined when they lead out of the top-level package. */
function absoluteName(written: string, module: string, isPackage: boolean): string | undefined {
  const dots = written.match(/^\.*/)?.[0].length ?? 0;
  if (dots === 0) return written;
  const segments = module.split(".");
  const up = isPackage ? dots - 1 : dots;
  if (up > segments.length) return undefined;
  const base = segments.slice(0, segments.length - up);
  const rest = written.slice(dots);
  return [...base, ...(rest ? [rest] : [])].join(".");
}
