import { compareParsed, formatVersion, isPrerelease, parseVersion, type Version } from "./pep440.ts";

/** One clause of a version specifier (PEP 440): `>=1.0`, `==2.*`, `===whatever`. */
export interface Specifier {
  operator: "~=" | "==" | "!=" | "<=" | ">=" | "<" | ">" | "===";
  /** As written, without `.*`. */
  text: string;
  /** Undefined for `===` with something that is no version. */
  version: Version | undefined;
  /** `==1.2.*` and `!=1.2.*`. */
  prefix: boolean;
}

const clause = /^(~=|===|==|!=|<=|>=|<|>)\s*([^\s,;]+)$/;

/** Undefined when the text is no specifier set. An empty text is the set that every version satisfies. */
export function parseSpecifiers(text: string): Specifier[] | undefined {
  const clauses = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  const specifiers = clauses.map(parseSpecifier);
  return specifiers.every((specifier) => specifier !== undefined) ? specifiers : undefined;
}

function parseSpecifier(text: string): Specifier | undefined {
  const [, operator, operand] = clause.exec(text) ?? [];
  if (operator === undefined || operand === undefined) return undefined;
  if (operator === "===") return { operator, text: operand, version: parseVersion(operand), prefix: false };
  const equality = operator === "==" || operator === "!=";
  const prefix = equality && operand.endsWith(".*");
  const version = parseVersion(prefix ? operand.slice(0, -2) : operand);
  if (!version) return undefined;
  if (prefix && (isPrerelease(version) || version.post !== undefined || version.local)) return undefined;
  if (!equality && version.local) return undefined;
  if (operator === "~=" && version.release.length < 2) return undefined;
  return {
    operator: operator as Specifier["operator"],
    text: prefix ? operand.slice(0, -2) : operand,
    version,
    prefix,
  };
}

/** True when the version satisfies every clause. Pre-releases count: a pin is a choice already made. */
export function satisfies(version: string, specifiers: string | Specifier[]): boolean {
  const clauses = typeof specifiers === "string" ? parseSpecifiers(specifiers) : specifiers;
  if (!clauses) return false;
  const candidate = parseVersion(version);
  if (!candidate) return clauses.every((clause) => clause.operator === "===" && matchesText(clause, version));
  return clauses.every((clause) => matches(clause, candidate, version));
}

function matchesText(specifier: Specifier, version: string): boolean {
  return specifier.text.toLowerCase() === version.trim().toLowerCase();
}

function matches(specifier: Specifier, candidate: Version, text: string): boolean {
  if (specifier.operator === "===") return matchesText(specifier, text);
  const wanted = specifier.version;
  if (!wanted) return false;
  switch (specifier.operator) {
    case "==":
      return equals(specifier, wanted, candidate);
    case "!=":
      return !equals(specifier, wanted, candidate);
    case ">=":
      return compareParsed(publicOf(candidate), wanted) >= 0;
    case "<=":
      return compareParsed(publicOf(candidate), wanted) <= 0;
    case "~=":
      return (
        compareParsed(publicOf(candidate), wanted) >= 0 &&
        hasPrefix(candidate, wanted.epoch, wanted.release.slice(0, -1))
      );
    case "<":
      return lessThan(candidate, wanted);
    case ">":
      return greaterThan(candidate, wanted);
  }
}

function equals(specifier: Specifier, wanted: Version, candidate: Version): boolean {
  if (specifier.prefix) return hasPrefix(candidate, wanted.epoch, wanted.release);
  // A clause without a local version accepts every local version of the release: 2.3.1+cu121 is ==2.3.1.
  return compareParsed(wanted.local ? candidate : publicOf(candidate), wanted) === 0;
}

function hasPrefix(candidate: Version, epoch: number, release: number[]): boolean {
  return candidate.epoch === epoch && release.every((part, index) => (candidate.release[index] ?? 0) === part);
}

/** `<1.0` excludes the pre-releases of 1.0 unless it names one. */
function lessThan(candidate: Version, wanted: Version): boolean {
  return compareParsed(candidate, isPrerelease(wanted) ? wanted : { ...wanted, dev: 0 }) < 0;
}

/** `>1.0` excludes the post-releases and the local versions of 1.0; `>1.0.post1` starts at 1.0.post2.dev0. */
function greaterThan(candidate: Version, wanted: Version): boolean {
  if (wanted.dev !== undefined) return compareParsed(candidate, { ...wanted, dev: wanted.dev + 1 }) >= 0;
  if (wanted.post !== undefined) return compareParsed(candidate, { ...wanted, post: wanted.post + 1, dev: 0 }) >= 0;
  if (compareParsed(candidate, wanted) <= 0) return false;
  const family = { ...candidate, post: undefined, dev: undefined, local: undefined };
  return compareParsed(family, wanted) !== 0;
}

function publicOf(version: Version): Version {
  return version.local ? { ...version, local: undefined } : version;
}

/** The version that a set pins exactly (`==1.2`, `===1.2`), written as in the set. */
export function pinnedVersion(specifiers: Specifier[]): string | undefined {
  const exact = specifiers.find(
    (specifier) => (specifier.operator === "==" && !specifier.prefix) || specifier.operator === "===",
  );
  if (!exact) return undefined;
  return exact.version && exact.operator === "==" ? formatVersion(exact.version) : exact.text;
}
