import { setImmediate } from "node:timers/promises";

import { reachModules } from "../bytecode/reach.ts";
import { ImportNames } from "../ingest/imports.ts";
import { indexModules, wheelOwner } from "../ingest/python-modules.ts";
import type { WheelFacts } from "../ingest/wheel.ts";
import { byCodeUnit } from "../order.ts";
import { evaluateMarker, markerEnvironment } from "../resolve/markers.ts";
import { parseRequirement } from "../resolve/pep508.ts";
import type { Target } from "../resolve/resolution.ts";
import type { Store } from "../store/store.ts";
import { formatBytes } from "../units.ts";
import type { InstalledPython } from "./gather.ts";
import type { PlanNote } from "./image-plan.ts";

/** What a model's author uses and a server seldom does. */
const purposes: ReadonlyMap<string, string> = new Map([
  ...["altair", "bokeh", "matplotlib", "plotly", "seaborn"].map((name) => [name, "draws plots"] as const),
  ...["ipykernel", "ipython", "jupyterlab", "notebook"].map((name) => [name, "is for notebooks"] as const),
  ...["clearml", "comet-ml", "mlflow", "neptune", "tensorboard", "wandb"].map(
    (name) => [name, "records training"] as const,
  ),
  ...["datasets", "pandas", "polars", "pyarrow"].map((name) => [name, "reads and writes tables"] as const),
  ...["albumentations", "imgaug", "lightning", "pycocotools", "pytorch-lightning"].map(
    (name) => [name, "trains models"] as const,
  ),
]);

/** Less is not worth a line. */
const leastBytes = 5e6;

export interface SuggestionQuestion {
  installed: InstalledPython;
  /** Modules outside the project that its code and its start command name, those in functions included. */
  start: readonly string[];
  target: Target;
}

/**
 * Names distributions that draw plots or train models and that no module loads which the project's code leads to, with what
 * would go with them. They stay: what a function imports may be called all the same.
 */
export async function suggestions(question: SuggestionQuestion, store: Store): Promise<PlanNote[]> {
  const { wheels } = question.installed;
  const candidates = wheels.filter(({ facts }) => purposes.has(facts.name)).map(({ facts }) => facts.name);
  if (candidates.length === 0) return [];
  const loaded = await loadedDistributions(question, store);
  const facts = new Map(wheels.map((wheel) => [wheel.facts.name, wheel.facts]));
  const asking = requirers([...facts.values()], question.target);
  const told = new Set<string>();
  const notes: { bytes: number; note: PlanNote }[] = [];
  for (const name of candidates.toSorted(byCodeUnit)) {
    if (loaded.has(name) || told.has(name)) continue;
    const group = onlyWith(name, { asking, loaded });
    const bytes = [...group].reduce((sum, each) => sum + (facts.get(each)?.segment.unpacked ?? 0), 0);
    if (bytes < leastBytes) continue;
    for (const each of group) told.add(each);
    const found = facts.get(name);
    if (found) notes.push({ bytes, note: noteOf(found, { group, bytes, asking: asking.get(name) ?? [] }) });
  }
  return notes.toSorted((a, b) => b.bytes - a.bytes).map(({ note }) => note);
}

/** Distributions of which a module is loaded when everything is that the project's own code imports. */
async function loadedDistributions({ installed, start }: SuggestionQuestion, store: Store): Promise<Set<string>> {
  const owners = installed.wheels.map((wheel) => wheelOwner(wheel, installed.layout, store));
  const modules = indexModules(owners);
  const names = new ImportNames(store, "load");
  const byPath = new Map([...modules].map(([module, found]) => [found.path, { module, found }]));
  const loaded = new Set<string>();
  const paths = reachModules({
    start: [...start],
    find: (module) => modules.get(module),
    imports: (path) => {
      const known = byPath.get(path);
      return { modules: known ? names.of(known.found, known.module) : [] };
    },
  });
  let turn = performance.now();
  for (const path of paths) {
    const owner = byPath.get(path)?.found.owner.name;
    if (owner !== undefined) loaded.add(owner);
    if (performance.now() - turn < 10) continue;
    await setImmediate();
    turn = performance.now();
  }
  names.save();
  return loaded;
}

/** Distribution → distributions that require it on the target, extras aside. */
function requirers(all: readonly WheelFacts[], target: Target): Map<string, string[]> {
  const environment = markerEnvironment(target);
  const found = new Map<string, string[]>(all.map(({ name }) => [name, []]));
  for (const { name, requiresDist } of all) {
    for (const text of requiresDist) {
      const requirement = parsed(text);
      if (!requirement || (requirement.marker && !evaluateMarker(requirement.marker, environment))) continue;
      found.get(requirement.name)?.push(name);
    }
  }
  return found;
}

/** Undefined for what only old tools could read. */
function parsed(text: string): ReturnType<typeof parseRequirement> | undefined {
  try {
    return parseRequirement(text);
  } catch {
    return undefined;
  }
}

interface Graph {
  asking: ReadonlyMap<string, readonly string[]>;
  loaded: ReadonlySet<string>;
}

/** A distribution with all that nothing else requires and nothing loads. */
function onlyWith(name: string, { asking, loaded }: Graph): Set<string> {
  const group = new Set([name]);
  for (let before = 0; before !== group.size;) {
    before = group.size;
    for (const [other, by] of asking)
      if (by.length > 0 && !loaded.has(other) && by.every((each) => group.has(each))) group.add(other);
  }
  return group;
}

interface Weight {
  group: ReadonlySet<string>;
  bytes: number;
  asking: readonly string[];
}

function noteOf({ name, version }: WheelFacts, { group, bytes, asking }: Weight): PlanNote {
  const others = [...group].filter((each) => each !== name).toSorted(byCodeUnit);
  const shown = others.length > 3 ? [...others.slice(0, 3), `${others.length - 3} more`] : others;
  const company = shown.length > 0 ? ` with ${shown.join(", ")}` : "";
  const by = asking.length > 0 ? `; ${asking.slice(0, 3).join(", ")} ${asking.length > 1 ? "ask" : "asks"} for it` : "";
  return {
    level: "note",
    message: `${name} ${version} ${purposes.get(name)}: ${formatBytes(bytes)}${company}, and nothing that the project imports loads it${by}`,
    hint: `where it is never called, leave it out of the lock: override-dependencies = ["${name}; sys_platform == 'never'"] in [tool.uv]`,
  };
}
