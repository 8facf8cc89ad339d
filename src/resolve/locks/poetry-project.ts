import { createHash } from "node:crypto";

import { normalizeName } from "../../wheel/filename.ts";
import type { Marker } from "../markers.ts";
import { parseMarker } from "../pep508.ts";
import type { Pyproject } from "../pyproject.ts";
import { table, text, texts, type TomlTable } from "../toml.ts";
import { byCodeUnit } from "../../order.ts";

/** A dependency as Poetry writes it, in pyproject.toml and in poetry.lock. */
export interface PoetryDependency {
  name: string;
  /** In Poetry's language; PEP 440 is a part of it. */
  constraint: string;
  extras: string[];
  optional: boolean;
  markers: Marker[];
  /** Constraint on Python. */
  python?: string;
}

/** One entry of a dependencies table: a text, a table, or several tables of which the fitting ones count. */
export function readDependencies(dependencies: TomlTable): PoetryDependency[] {
  return Object.entries(dependencies).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item: unknown) => readDependency(normalizeName(name), item)),
  );
}

function readDependency(name: string, value: unknown): PoetryDependency {
  const details = typeof value === "string" ? { version: value } : table(value);
  const marker = text(details["markers"]);
  const platform = text(details["platform"]);
  const markers = [marker, platform && `sys_platform == "${platform.replaceAll('"', "")}"`].filter(Boolean);
  return {
    name,
    constraint: text(details["version"]) ?? "*",
    extras: texts(details["extras"]).map(normalizeName),
    optional: details["optional"] === true,
    markers: markers.map((written) => parseMarker(written ?? "")),
    python: text(details["python"]),
  };
}

export interface PoetryRoots {
  /** Main dependencies; optional ones only count when an extra names them. */
  main: PoetryDependency[];
  /** Extra → names of optional main dependencies, and what the extra adds by itself. */
  extras: Map<string, { names: string[]; own: PoetryDependency[] }>;
  groups: Map<string, PoetryDependency[]>;
}

/** What pyproject.toml asks for in Poetry's tables and in [project], which wins where both speak. */
export function poetryRoots(pyproject: Pyproject): PoetryRoots {
  const poetry = table(table(pyproject.table["tool"])["poetry"]);
  const declares =
    pyproject.name !== undefined &&
    !pyproject.dynamic.includes("dependencies") &&
    "dependencies" in table(pyproject.table["project"]);
  const main = declares
    ? pyproject.dependencies.map(fromRequirement)
    : readDependencies(table(poetry["dependencies"])).filter(({ name }) => name !== "python");
  const extras: PoetryRoots["extras"] = new Map();
  for (const [name, list] of Object.entries(table(poetry["extras"]))) {
    const names = texts(list).map((item) => normalizeName(item.split(/[\s[(]/, 1)[0] ?? ""));
    extras.set(normalizeName(name), { names, own: [] });
  }
  for (const [name, list] of Object.entries(pyproject.extras))
    extras.set(name, { names: [], own: list.map(fromRequirement) });
  const groups = new Map<string, PoetryDependency[]>();
  const add = (name: string, dependencies: PoetryDependency[]) => {
    groups.set(normalizeName(name), [...(groups.get(normalizeName(name)) ?? []), ...dependencies]);
  };
  for (const [name, list] of Object.entries(pyproject.groups)) add(name, list.map(fromRequirement));
  for (const [name, group] of Object.entries(table(poetry["group"]))) {
    add(name, readDependencies(table(table(group)["dependencies"])));
  }
  if ("dev-dependencies" in poetry) add("dev", readDependencies(table(poetry["dev-dependencies"])));
  return { main, extras, groups };
}

function fromRequirement(requirement: Pyproject["dependencies"][number]): PoetryDependency {
  const { name, extras, marker } = requirement;
  return { name, extras, constraint: requirement.specifier || "*", optional: false, markers: marker ? [marker] : [] };
}

const oldKeys = ["dependencies", "source", "extras", "dev-dependencies"];

/**
 * The content-hash that Poetry would write: SHA-256 over the JSON, as Python dumps it, of what decides the lock. Several,
 * because versions before 2.3 left dependency groups out.
 */
export function contentHashes(pyproject: TomlTable): string[] {
  const project = pick(table(pyproject["project"]), ["requires-python", "dependencies", "optional-dependencies"]);
  const groups = table(pyproject["dependency-groups"]);
  const poetry = table(table(pyproject["tool"])["poetry"]);
  return [groups, {}].map((group) => contentHash(project, group, poetry));
}

function contentHash(project: TomlTable, groups: TomlTable, poetry: TomlTable): string {
  const modern = Object.keys(project).length > 0 || Object.keys(groups).length > 0;
  const relevant: TomlTable = {};
  for (const key of [...oldKeys, "group"]) {
    // Old projects carry null for what is missing, new ones leave it out.
    if (poetry[key] !== undefined) relevant[key] = poetry[key];
    else if (!modern && key !== "group") relevant[key] = null;
  }
  const content = {
    ...(Object.keys(project).length > 0 && { project }),
    ...(Object.keys(groups).length > 0 && { "dependency-groups": groups }),
    ...(modern ? { tool: { poetry: relevant } } : relevant),
  };
  return createHash("sha256").update(pythonJson(content)).digest("hex");
}

function pick(source: TomlTable, keys: string[]): TomlTable {
  return Object.fromEntries(keys.filter((key) => source[key] !== undefined).map((key) => [key, source[key]]));
}

/** `json.dumps(value, sort_keys=True)`: spaces behind separators, ASCII alone. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).toSorted(([a], [b]) => byCodeUnit(a, b));
    return `{${entries.map(([key, item]) => `${pythonJson(key)}: ${pythonJson(item)}`).join(", ")}}`;
  }
  const json = JSON.stringify(value) ?? "null";
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
