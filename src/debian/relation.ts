import { satisfiesVersion, type VersionOperator } from "./version.ts";

/** One package name in a relationship field, `libc6 (>= 2.36)` or `python3:any`. */
export interface Relation {
  name: string;
  /** `any`, `native` or an architecture after the colon. */
  qualifier?: string;
  operator?: VersionOperator;
  version?: string;
}

/** Parses a relationship field (Debian policy 7.1) into clauses that must all hold, each a list of alternatives. */
export function parseRelations(text: string | undefined): Relation[][] {
  if (!text) return [];
  return text
    .split(",")
    .map((clause) => clause.split("|").flatMap((part) => parseRelation(part) ?? []))
    .filter((clause) => clause.length > 0);
}

/** The field's own spelling of a clause: `a (>= 1) | b`. */
export function formatClause(clause: Relation[]): string {
  return clause.map(formatRelation).join(" | ");
}

export function formatRelation(relation: Relation): string {
  const name = relation.qualifier ? `${relation.name}:${relation.qualifier}` : relation.name;
  return relation.operator ? `${name} (${relation.operator} ${relation.version})` : name;
}

/** Whether a package of that version satisfies the relation's version, if it has one. */
export function versionFits(relation: Relation, version: string): boolean {
  if (!relation.operator || relation.version === undefined) return true;
  return satisfiesVersion(version, relation.operator, relation.version);
}

/** A versioned relation is satisfied by a virtual package only when the Provides names a version (policy 7.5). */
export function provideFits(relation: Relation, provided: Relation): boolean {
  if (!relation.operator) return true;
  return provided.operator === "=" && provided.version !== undefined && versionFits(relation, provided.version);
}

const syntax = /^\s*([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?/i;

function parseRelation(text: string): Relation | undefined {
  const match = syntax.exec(text);
  if (!match?.[1]) return undefined;
  const relation: Relation = { name: match[1] };
  if (match[2]) relation.qualifier = match[2];
  if (match[3] && match[4]) {
    relation.operator = operators[match[3]] ?? (match[3] as VersionOperator);
    relation.version = match[4];
  }
  return relation;
}

const operators: Record<string, VersionOperator | undefined> = { "<": "<=", ">": ">=" };
