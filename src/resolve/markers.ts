import { machineOf } from "../platform.ts";
import { normalizeName } from "../wheel/filename.ts";
import type { Target } from "./resolution.ts";
import { parseSpecifiers, satisfies } from "./specifiers.ts";

/** A marker (PEP 508, with PEP 751's sets) as a tree. */
export type Marker =
  | { type: "and" | "or"; left: Marker; right: Marker }
  | { type: "compare"; left: Operand; operator: string; right: Operand };

export type Operand = { variable: string } | { literal: string };

/** Values of the marker variables; `extra` may hold several at once, each of which makes `extra == "…"` true. */
export interface MarkerEnvironment {
  variables: Record<string, string>;
  extras: ReadonlySet<string>;
  groups: ReadonlySet<string>;
}

/** Variables that are compared as versions; all others are compared as text. */
const versionVariables = new Set([
  "implementation_version",
  "platform_release",
  "python_full_version",
  "python_version",
]);

/** The environment of a target: CPython on Linux with glibc, whatever this machine is. */
export function markerEnvironment(
  target: Target,
  selected: { extras?: Iterable<string>; groups?: Iterable<string> } = {},
): MarkerEnvironment {
  return {
    variables: {
      implementation_name: "cpython",
      implementation_version: target.python,
      os_name: "posix",
      platform_machine: machineOf(target.platform),
      platform_python_implementation: "CPython",
      platform_release: "",
      platform_system: "Linux",
      platform_version: "",
      python_full_version: target.python,
      python_version: target.python.split(".").slice(0, 2).join("."),
      sys_platform: "linux",
    },
    extras: new Set(Array.from(selected.extras ?? [], normalizeName)),
    groups: new Set(Array.from(selected.groups ?? [], normalizeName)),
  };
}

export function evaluateMarker(marker: Marker, environment: MarkerEnvironment): boolean {
  if (marker.type !== "compare") {
    const left = evaluateMarker(marker.left, environment);
    // Short-circuits as `and` and `or` do.
    if (left === (marker.type === "or")) return left;
    return evaluateMarker(marker.right, environment);
  }
  const { left, operator, right } = marker;
  if ("variable" in left && left.variable === "extra")
    return compareExtra(operator, literalOf(right), environment.extras);
  if ("variable" in right && right.variable === "extra")
    return compareExtra(operator, literalOf(left), environment.extras);
  if ("variable" in right && (right.variable === "extras" || right.variable === "dependency_groups")) {
    const set = right.variable === "extras" ? environment.extras : environment.groups;
    return set.has(normalizeName(literalOf(left))) === (operator === "in");
  }
  const key = "variable" in left ? left.variable : "variable" in right ? right.variable : "";
  return compare({ key, operator, left: valueOf(left, environment), right: valueOf(right, environment) });
}

function literalOf(operand: Operand): string {
  return "literal" in operand ? operand.literal : "";
}

function valueOf(operand: Operand, environment: MarkerEnvironment): string {
  if ("literal" in operand) return operand.literal;
  return environment.variables[operand.variable] ?? "";
}

/** With no extra chosen `extra` is the empty text. */
function compareExtra(operator: string, literal: string, extras: ReadonlySet<string>): boolean {
  const name = normalizeName(literal);
  const chosen = extras.size === 0 ? [""] : [...extras];
  if (operator === "==" || operator === "===") return chosen.includes(name);
  if (operator === "!=") return !chosen.includes(name);
  if (operator === "in") return chosen.some((extra) => literal.includes(extra));
  if (operator === "not in") return !chosen.some((extra) => literal.includes(extra));
  return false;
}

function compare(comparison: { key: string; operator: string; left: string; right: string }): boolean {
  const { key, operator, left, right } = comparison;
  if (versionVariables.has(key) && operator !== "in" && operator !== "not in") {
    const specifiers = parseSpecifiers(operator + right);
    if (specifiers?.length === 1) return satisfies(left, specifiers);
  }
  switch (operator) {
    case "in":
      return right.includes(left);
    case "not in":
      return !right.includes(left);
    // Text has no order: what is neither equal nor a version is never smaller or larger, as in packaging.
    case "==":
    case "<=":
    case ">=":
      return left === right;
    case "!=":
      return left !== right;
    default:
      // `~=` and `===` mean nothing for text; packaging refuses them, and a marker that can't hold doesn't.
      return false;
  }
}
