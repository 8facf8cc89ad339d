import { databasePassword } from "../../plan/deployment-variables.ts";
import type { ValuePart, Wiring } from "../../plan/deployment.ts";
import { commented, type YamlValue } from "../yaml-text.ts";

/** Text that compose takes as it is: a dollar sign would start a variable. */
export function literal(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/** A variable that has to be set: compose stops with the sentence where it isn't. */
export function mustBeSet(name: string, sentence: string): string {
  return `\${${name}:?${sentence.replaceAll(/[{}$]/g, "")}}`;
}

/** The variables of the app's containers. Values of secrets never stand here: compose takes them from the environment or .env. */
export function environmentOf(variables: readonly Wiring[]): YamlValue {
  return Object.fromEntries(variables.map((variable) => [variable.name, valueOf(variable)]));
}

function valueOf({ name, value, source }: Wiring): YamlValue {
  switch (value.kind) {
    case "wired":
      return value.parts.map(partOf).join("");
    case "default":
      // What a default may hold is less than what a value may.
      return /[{}$\n]/.test(value.text)
        ? commented(`only where it is set, ${source}`, null)
        : `\${${name}:-${value.text}}`;
    case "required":
      return mustBeSet(name, `set ${name} in .env, ${source} needs it`);
    case "secret":
      return value.required
        ? mustBeSet(name, `set ${name} in .env, ${source} needs it`)
        : commented(`only where it is set, ${source}`, null);
    case "optional":
      return commented(`only where it is set, ${source}`, null);
  }
}

function partOf(part: ValuePart): string {
  return typeof part === "string" ? literal(part) : passwordReference(part.secret);
}

/** In a URL, most other characters would have to be escaped. */
export function passwordReference(name = databasePassword): string {
  return mustBeSet(name, `set ${name} in .env to letters and digits, as from: openssl rand -hex 24`);
}
