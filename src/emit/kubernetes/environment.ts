import { databasePassword } from "../../plan/deployment-variables.ts";
import type { ValuePart, Wiring } from "../../plan/deployment.ts";
import { commented, type YamlValue } from "../yaml-text.ts";
import { secretName } from "./names.ts";

/** What the ConfigMap has: settings that are no secret, and have a value. */
export function plainSettings(variables: readonly Wiring[]): [name: string, value: string][] {
  return variables.flatMap(({ name, value }): [string, string][] => {
    // kustomize takes quotes off the ends of a literal; what the code takes anyway need not be told.
    if (value.kind === "default") return /\n|^["']|["']$/.test(value.text) ? [] : [[name, value.text]];
    if (value.kind !== "wired" || secretsIn(value.parts).length > 0) return [];
    return [[name, value.parts.join("")]];
  });
}

/** Names of secrets that somebody has to set, in the order of their names. */
export function neededSecrets(variables: readonly Wiring[], hasDatabase: boolean): { name: string; source: string }[] {
  const needed = variables
    .filter(({ value }) => value.kind === "required" || (value.kind === "secret" && value.required))
    .map(({ name, source }) => ({ name, source }));
  return hasDatabase ? [{ name: databasePassword, source: "letters and digits" }, ...needed] : needed;
}

/** What a container gets beside the ConfigMap: secrets by reference, and values that are made of them. */
export function secretVariables(variables: readonly Wiring[]): YamlValue[] {
  const composed = variables.flatMap(({ name, value }): { name: string; parts: ValuePart[] }[] =>
    value.kind === "wired" && secretsIn(value.parts).length > 0 ? [{ name, parts: value.parts }] : [],
  );
  const sources = new Set(composed.filter(({ parts }) => !isAlias(parts)).flatMap(({ parts }) => secretsIn(parts)));
  return [
    ...[...sources].map((name) => secretVariable(name, { key: name })),
    ...composed.map(({ name, parts }, index): YamlValue => {
      const [only] = secretsIn(parts);
      if (isAlias(parts)) return sources.has(name) ? undefined : secretVariable(name, { key: only ?? name });
      const value = { name, value: parts.map(partOf).join("") };
      return index === 0
        ? commented("The kubelet puts the secret in: only variables above can be named.", value)
        : value;
    }),
    ...variables.flatMap(({ name, value }): YamlValue[] => {
      if (value.kind === "required") return [secretVariable(name, { key: name })];
      return value.kind === "secret" ? [secretVariable(name, { key: name, optional: !value.required })] : [];
    }),
  ].filter((each) => each !== undefined);
}

export function secretVariable(name: string, { key, optional }: { key: string; optional?: boolean }): YamlValue {
  return {
    name,
    valueFrom: { secretKeyRef: { name: secretName, key, ...(optional ? { optional } : {}) } },
  };
}

/** A variable that is a secret as it is. */
function isAlias(parts: readonly ValuePart[]): boolean {
  return parts.length === 1 && typeof parts[0] !== "string";
}

function secretsIn(parts: readonly ValuePart[]): string[] {
  return parts.flatMap((part) => (typeof part === "string" ? [] : [part.secret]));
}

/** `$(NAME)` is replaced by the variable's value, `$$` is a dollar sign. */
function partOf(part: ValuePart): string {
  return typeof part === "string" ? part.replaceAll("$", "$$$$") : `$(${part.secret})`;
}
