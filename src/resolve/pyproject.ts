import * as path from "node:path";

import { normalizeName } from "../wheel/filename.ts";
import type { Inputs } from "./inputs.ts";
import { parseRequirement, type Requirement } from "./pep508.ts";
import { readToml, table, tables, text, texts, type TomlTable } from "./toml.ts";

/** A requirement in pyproject.toml, with the part that it stands in. */
export interface DeclaredRequirement {
  requirement: Requirement;
  /** `dependencies`, `extra ml`, `group dev`. */
  part: string;
}

/** What pyproject.toml says of dependencies, before any tool's own tables. */
export interface Pyproject {
  /** Path from the project's root. */
  file: string;
  table: TomlTable;
  /** Normalised, undefined when there is no [project]. */
  name?: string;
  version?: string;
  requiresPython?: string;
  /** Fields that a build backend fills in. */
  dynamic: string[];
  dependencies: Requirement[];
  extras: Record<string, Requirement[]>;
  groups: Record<string, Requirement[]>;
}

/** Undefined when the folder has no pyproject.toml. @throws SheafError SHEAF_TOML, SHEAF_REQUIREMENT */
export function readPyproject(inputs: Inputs, directory: string): Pyproject | undefined {
  const file = path.posix.join(directory, "pyproject.toml");
  const content = readToml(inputs, file);
  if (!content) return undefined;
  const project = table(content["project"]);
  const name = text(project["name"]);
  const uv = table(table(content["tool"])["uv"]);
  return {
    file,
    table: content,
    ...(name && { name: normalizeName(name) }),
    version: text(project["version"]),
    requiresPython: text(project["requires-python"]),
    dynamic: texts(project["dynamic"]),
    dependencies: texts(project["dependencies"]).map(parseRequirement),
    extras: mapValues(table(project["optional-dependencies"]), (list) => texts(list).map(parseRequirement)),
    groups: readGroups(content, texts(uv["dev-dependencies"])),
  };
}

/** Dependency groups (PEP 735), includes followed; uv's older dev-dependencies join the group dev. */
function readGroups(content: TomlTable, legacyDev: string[]): Record<string, Requirement[]> {
  const written = table(content["dependency-groups"]);
  const byName = new Map(Object.entries(written).map(([name, list]) => [normalizeName(name), list]));
  const expand = (name: string, seen: string[]): Requirement[] => {
    const list = byName.get(name);
    if (seen.includes(name)) return [];
    const included = tables(list).flatMap((item) => {
      const group = text(item["include-group"]);
      return group ? expand(normalizeName(group), [...seen, name]) : [];
    });
    return [...texts(list).map(parseRequirement), ...included];
  };
  const groups = Object.fromEntries([...byName.keys()].map((name) => [name, expand(name, [])]));
  if (legacyDev.length > 0) groups["dev"] = [...(groups["dev"] ?? []), ...legacyDev.map(parseRequirement)];
  return groups;
}

function mapValues<T>(source: TomlTable, map: (value: unknown) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(source).map(([name, value]) => [normalizeName(name), map(value)]));
}

/** What the project asks for with the chosen extras and groups. */
export function declaredRequirements(
  pyproject: Pyproject,
  selected: { extras: string[]; groups: string[] },
): DeclaredRequirement[] {
  return [
    ...pyproject.dependencies.map((requirement) => ({ requirement, part: "dependencies" })),
    ...selected.extras.flatMap((extra) =>
      (pyproject.extras[extra] ?? []).map((requirement) => ({ requirement, part: `extra ${extra}` })),
    ),
    ...selected.groups.flatMap((group) =>
      (pyproject.groups[group] ?? []).map((requirement) => ({ requirement, part: `group ${group}` })),
    ),
  ];
}
