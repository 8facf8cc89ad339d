import { parseVersion, type Version } from "../pep440.ts";
import { satisfies } from "../specifiers.ts";

/**
 * Whether a version satisfies a constraint in Poetry's own language: PEP 440 with `^1.2`, `~1.2`, `1.*`, a bare version for
 * exactly that one, `||` for alternatives, and spaces as commas.
 */
export function satisfiesPoetry(version: string, constraint: string): boolean {
  return constraint.split(/\s*\|\|?\s*/).some((alternative) => satisfies(version, alternativeToSpecifier(alternative)));
}

function alternativeToSpecifier(alternative: string): string {
  const clauses = alternative.trim().match(/(?:[~^=!<>]+\s*)?[^\s,~^=!<>][^\s,]*/g) ?? [];
  return clauses
    .map(clauseToSpecifier)
    .filter((clause) => clause !== "")
    .join(",");
}

function clauseToSpecifier(clause: string): string {
  const [, operator = "", operand = ""] = /^([~^=!<>]*)\s*(.*)$/.exec(clause) ?? [];
  if (operand === "*") return "";
  switch (operator) {
    case "^":
      return `>=${operand},<${caretLimit(operand)}`;
    case "~":
      return `>=${operand},<${tildeLimit(operand)}`;
    case "":
    case "=":
      return `==${operand}`;
    default:
      return operator + operand;
  }
}

/** The next version that may break: the leftmost number that isn't zero is raised. */
function caretLimit(operand: string): string {
  const release = parseVersion(operand)?.release ?? [0];
  const significant = release.findIndex((part) => part !== 0);
  return raise(release, significant < 0 ? release.length - 1 : significant);
}

/** `~1.2.3` stays below 1.3, `~1` below 2. */
function tildeLimit(operand: string): string {
  const release = parseVersion(operand)?.release ?? [0];
  return raise(release, release.length > 1 ? 1 : 0);
}

function raise(release: Version["release"], position: number): string {
  const raised = release.slice(0, position + 1);
  raised[position] = (raised[position] ?? 0) + 1;
  // `.dev0`: a limit leaves out the pre-releases of what it names as well.
  return `${raised.join(".")}.dev0`;
}
