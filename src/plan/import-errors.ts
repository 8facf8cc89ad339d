import { SheafError } from "../errors.ts";
import type { MissingImport } from "../project/import-closure.ts";
import type { Project, WithheldFile } from "../project/project.ts";
import { type Offer, topOf } from "./choose-extras.ts";

export interface ImportContext {
  image: string;
  start: string[];
  project: Project;
  /** Extras and groups that bring a top-level module. */
  offers: ReadonlyMap<string, Offer[]>;
}

/** What can't be imported in an image, one error a distribution, with the chain of files that leads there. */
export function importErrors(missing: MissingImport[], context: ImportContext): SheafError[] {
  const errors = new Map<string, SheafError>();
  for (const each of missing) {
    const top = topOf(each.module);
    if (each.severity === "error" && !errors.has(top)) errors.set(top, importError(each, context));
  }
  return [...errors.values()];
}

function importError({ module, chain }: MissingImport, { image, start, project, offers }: ImportContext): SheafError {
  const first = start[0] ?? module;
  const way = chain.map((step) => `${step.file}:${step.line}`).join(" → ");
  const kept = withheldAs(module, project.withheld);
  const having = offers.get(topOf(module)) ?? [];
  const details: [string, string][] = way ? [["imported by", way]] : [];
  if (kept) details.push(["kept out", `${kept.path} (${kept.rule})`]);
  if (having.length > 0) details.push(["it is in", having.map(({ kind, name }) => `the ${kind} "${name}"`).join(", ")]);
  const told = chain.length === 0 && kept === undefined && module === first;
  return new SheafError(
    "SHEAF_IMPORT",
    told
      ? `the image "${image}" has no module ${module} to start`
      : `${first} can't be imported in the image "${image}": it has no module ${topOf(module)}`,
    { details, hint: hintsFor({ module, image, kept, having, told }) },
  );
}

interface HintFacts {
  module: string;
  image: string;
  kept: WithheldFile | undefined;
  having: Offer[];
  told: boolean;
}

function hintsFor({ module, image, kept, having, told }: HintFacts): string[] {
  const allow = `or allow it: [tool.sheaf] allow-missing = [${JSON.stringify(topOf(module))}]`;
  if (kept) return [`include = [${JSON.stringify(kept.path)}] in [tool.sheaf]`, allow];
  const [offer] = having;
  if (offer?.cuda) {
    return [
      `the ${offer.kind} ${JSON.stringify(offer.name)} brings CUDA: leave ${topOf(module)} to a worker, which can have it`,
      "or import it inside the function that uses it, if this image never calls that",
      allow,
    ];
  }
  if (offer) {
    return [
      `${offer.kind}s = [${JSON.stringify(offer.name)}] in [tool.sheaf.images.${image}]`,
      "or import it inside the function that uses it, if this image never calls that",
      allow,
    ];
  }
  if (told) {
    return [
      `name the app: sheaf build --app module:attribute`,
      `or set [tool.sheaf.images.${image}] command in pyproject.toml`,
    ];
  }
  return [
    "add its distribution to the dependencies and write the lock again",
    "or import it inside the function that uses it, if this image never calls that",
    allow,
  ];
}

/** A file of the repository that is the module, and doesn't ship. */
function withheldAs(module: string, withheld: readonly WithheldFile[]): WithheldFile | undefined {
  const file = module.replaceAll(".", "/");
  const ends = [`${file}.py`, `${file}/__init__.py`, `${file}/`];
  return withheld.find(({ path }) => ends.some((end) => path === end || path.endsWith(`/${end}`)));
}
