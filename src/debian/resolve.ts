import { SheafError } from "../errors.ts";
import type { DebPackage } from "./package.ts";
import type { PackageLookup } from "./package-index.ts";
import { formatClause, formatRelation, parseRelations, provideFits, type Relation, versionFits } from "./relation.ts";
import { compareVersions } from "./version.ts";
import { byCodeUnit } from "../order.ts";

export interface ResolveOptions {
  lookup: PackageLookup;
  /** What the archive is called in errors: `Debian bookworm (amd64)`. */
  archive: string;
  /** Installed already: satisfies dependencies, is not returned unless something needs a newer version than is there. */
  present?: DebPackage[];
  /** Dependencies on these names are not followed, whoever has them. */
  withoutNames?: ReadonlySet<string>;
  /** Packages that are taken without any of their dependencies. */
  withoutDependencies?: ReadonlySet<string>;
}

/**
 * The packages that `names` need, themselves included: Pre-Depends and Depends, no Recommends; the newest version of each;
 * of alternatives the first that is chosen already, else the first that can be had, a real package before a virtual one.
 * Sorted by name.
 *
 * @throws SheafError SHEAF_DEB_NOT_FOUND, SHEAF_DEB_DEPENDS or SHEAF_DEB_CONFLICT, each with the chain of who wants it
 */
export function resolvePackages(names: string[], options: ResolveOptions): DebPackage[] {
  const resolver = new Resolver(options);
  const requested = names.map((name) => resolver.request(name));
  for (const pkg of requested) if (pkg) resolver.follow(pkg);
  resolver.checkConflicts();
  return resolver.result();
}

class Resolver {
  readonly #options: ResolveOptions;
  readonly #chosen = new Map<string, DebPackage>();
  readonly #present = new Set<string>();
  /** Virtual name → chosen packages that provide it. */
  readonly #provided = new Map<string, { package: DebPackage; provided: Relation }[]>();
  /** Name → Conflicts and Breaks of what is chosen. */
  readonly #excluded = new Map<string, Relation[]>();
  readonly #wantedBy = new Map<string, string>();
  readonly #followed = new Set<string>();

  constructor(options: ResolveOptions) {
    this.#options = options;
    for (const pkg of options.present ?? []) {
      this.#choose(pkg, undefined);
      this.#present.add(pkg.name);
      this.#followed.add(pkg.name);
    }
  }

  /** Takes what a person asked for, `name`, `name:any` or `name=version`. */
  request(text: string): DebPackage | undefined {
    const [name = "", version] = text.replace(/:[a-z0-9]+(?==|$)/, "").split("=");
    const known = this.#chosen.get(name);
    if (known) return this.#present.has(name) ? undefined : known;
    const versions = this.#options.lookup.versions(name);
    const pkg = version === undefined ? versions[0] : versions.find((candidate) => candidate.version === version);
    const found = pkg ?? (version === undefined ? this.#onlyProvider(name) : undefined);
    if (!found) throw this.#notFound(name, version, versions);
    this.#choose(found, undefined);
    return found;
  }

  /** Chooses all that a package needs, depth first in the order of its fields, as apt does. */
  follow(start: DebPackage): void {
    const stack = [start];
    for (let pkg = stack.pop(); pkg; pkg = stack.pop()) {
      if (this.#followed.has(pkg.name)) continue;
      this.#followed.add(pkg.name);
      if (this.#options.withoutDependencies?.has(pkg.name)) continue;
      const added: DebPackage[] = [];
      for (const clause of [...parseRelations(pkg.preDepends), ...parseRelations(pkg.depends)]) {
        const next = this.#satisfy(clause, pkg);
        if (next) added.push(next);
      }
      stack.push(...added.toReversed());
    }
  }

  checkConflicts(): void {
    for (const pkg of this.#chosen.values()) {
      for (const [kind, text] of [
        ["conflicts with", pkg.conflicts],
        ["breaks", pkg.breaks],
      ] as const) {
        for (const relation of parseRelations(text).flat()) {
          const other = this.#chosenThatFits(relation, pkg.name);
          if (other) throw this.#conflict(pkg, { kind, relation, other });
        }
      }
    }
  }

  result(): DebPackage[] {
    return [...this.#chosen.values()]
      .filter((pkg) => !this.#present.has(pkg.name))
      .toSorted((a, b) => byCodeUnit(a.name, b.name));
  }

  /** Returns the package that has to be followed now, if the clause added one. */
  #satisfy(clause: Relation[], by: DebPackage): DebPackage | undefined {
    // dpkg-dev does need dpkg: what is built on a tool calls it when it runs.
    const isLeftOut = ({ name }: Relation) => this.#options.withoutNames?.has(name) && !by.name.startsWith(name);
    if (clause.some(isLeftOut)) return undefined;
    if (clause.some((relation) => this.#chosenThatFits(relation))) return undefined;
    for (const relation of clause) {
      const candidate = this.#candidate(relation);
      if (!candidate) continue;
      this.#choose(candidate, by.name);
      return candidate;
    }
    throw new SheafError(
      "SHEAF_DEB_DEPENDS",
      `${by.name} needs ${formatClause(clause)}, which ${this.#options.archive} does not have`,
      {
        details: [["wanted by", this.#chain(by.name)]],
        hint: [
          "refresh the package index: sheaf build --refresh",
          `or leave out ${this.#chain(by.name).split(" ← ").at(-1)} if the image does not need it`,
        ],
      },
    );
  }

  #candidate(relation: Relation): DebPackage | undefined {
    const real = this.#options.lookup
      .versions(relation.name)
      .find((pkg) => versionFits(relation, pkg.version) && this.#isFree(pkg));
    if (real) return real;
    const providers = this.#options.lookup
      .providers(relation.name)
      .filter(({ package: pkg, provided }) => provideFits(relation, provided) && this.#isFree(pkg))
      .map((entry) => entry.package);
    return providers.toSorted((a, b) => priority(a) - priority(b) || byCodeUnit(a.name, b.name))[0];
  }

  /** Whether another version is not chosen already, or only an older one is installed, and nothing chosen excludes it. */
  #isFree(candidate: DebPackage): boolean {
    const standing = this.#chosen.get(candidate.name);
    if (standing && !this.#present.has(candidate.name)) return false;
    if (standing && compareVersions(candidate.version, standing.version) <= 0) return false;
    if (exclusions(candidate).some((relation) => this.#chosenThatFits(relation, candidate.name))) return false;
    if (this.#excluded.get(candidate.name)?.some((relation) => versionFits(relation, candidate.version))) return false;
    const provided = parseRelations(candidate.provides).flat();
    return !provided.some((entry) => this.#excluded.get(entry.name)?.some((relation) => provideFits(relation, entry)));
  }

  #chosenThatFits(relation: Relation, except?: string): DebPackage | undefined {
    const real = this.#chosen.get(relation.name);
    if (real && real.name !== except && versionFits(relation, real.version)) return real;
    return this.#provided
      .get(relation.name)
      ?.find((entry) => entry.package.name !== except && provideFits(relation, entry.provided))?.package;
  }

  #choose(pkg: DebPackage, by: string | undefined): void {
    // A newer version in the place of an installed one.
    if (this.#present.delete(pkg.name)) this.#followed.delete(pkg.name);
    this.#chosen.set(pkg.name, pkg);
    if (by !== undefined) this.#wantedBy.set(pkg.name, by);
    for (const provided of parseRelations(pkg.provides).flat()) {
      const entries = this.#provided.get(provided.name) ?? [];
      entries.push({ package: pkg, provided });
      this.#provided.set(provided.name, entries);
    }
    // What a package provides itself is not excluded by its own Conflicts (policy 7.6.2); no other package has its name.
    for (const relation of exclusions(pkg)) {
      this.#excluded.set(relation.name, [...(this.#excluded.get(relation.name) ?? []), relation]);
    }
  }

  #onlyProvider(name: string): DebPackage | undefined {
    const providers = this.#options.lookup.providers(name);
    return providers.length === 1 ? providers[0]?.package : undefined;
  }

  /** `libc6 ← libssl3 ← curl`: who wants it, up to what was asked for. */
  #chain(name: string): string {
    const chain = [name];
    for (let by = this.#wantedBy.get(name); by !== undefined && chain.length < 50; by = this.#wantedBy.get(by))
      chain.push(by);
    return chain.join(" ← ");
  }

  #conflict(pkg: DebPackage, found: { kind: string; relation: Relation; other: DebPackage }): SheafError {
    const { kind, relation, other } = found;
    const reason = `${pkg.name} ${pkg.version} ${kind} ${formatRelation(relation)}, and ${other.name} ${other.version} is wanted too`;
    return new SheafError("SHEAF_DEB_CONFLICT", reason, {
      details: [
        [pkg.name, this.#chain(pkg.name)],
        [other.name, this.#chain(other.name)],
      ],
      hint: "leave out one of the two: they can't be in one image",
    });
  }

  #notFound(name: string, version: string | undefined, versions: DebPackage[]): SheafError {
    const { archive, lookup } = this.#options;
    if (version !== undefined && versions.length > 0) {
      return new SheafError("SHEAF_DEB_NOT_FOUND", `${name} ${version} is not in ${archive}`, {
        details: [["versions", versions.map((candidate) => candidate.version).join(", ")]],
        hint: `ask for ${name} without a version, or for one of these`,
      });
    }
    const providers = lookup.providers(name).map((entry) => entry.package.name);
    if (providers.length > 0) {
      return new SheafError("SHEAF_DEB_NOT_FOUND", `${name} is a virtual package of ${archive}`, {
        details: [["provided by", providers.slice(0, 12).join(", ")]],
        hint: "name the one that is meant",
      });
    }
    const close = closeNames(name, lookup.names());
    return new SheafError("SHEAF_DEB_NOT_FOUND", `${archive} has no package ${JSON.stringify(name)}`, {
      hint: close.length > 0 ? `did you mean ${close.join(", ")}?` : "look its name up with apt-cache search",
    });
  }
}

function exclusions(pkg: DebPackage): Relation[] {
  return [...parseRelations(pkg.conflicts), ...parseRelations(pkg.breaks)].flat();
}

function priority(pkg: DebPackage): number {
  const order = ["required", "important", "standard", "optional"].indexOf(pkg.priority);
  return (pkg.essential ? -10 : 0) + (order < 0 ? 4 : order);
}

/** Names that begin alike or differ in digits only, nearest first, five at most. */
function closeNames(name: string, names: Iterable<string>): string[] {
  const shape = (text: string) => text.replace(/[0-9.+-]+|t64$/g, "");
  const wanted = shape(name);
  const found = new Set<string>();
  for (const candidate of names) {
    if (candidate !== name && (shape(candidate) === wanted || candidate.startsWith(`${name}-`))) found.add(candidate);
  }
  return [...found].toSorted((a, b) => a.length - b.length || byCodeUnit(a, b)).slice(0, 5);
}
