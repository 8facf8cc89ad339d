import { isTable, tableAt, type TomlTable } from "../toml.ts";
import { parseSize } from "./parse-size.ts";
import type { ConfigProblem } from "./config-problem.ts";

const sizes = ["size", "compressed-size", "layer-size", "waste", "duplicates", "memory"];
/** What a check of one's own looks at: one of these. */
const subjects = ["command", "url", "file", "absent", "label", "env"];

/** Values of a contract that have the right type and make no sense. */
export function contractProblems(contract: unknown, path: string[]): ConfigProblem[] {
  if (!isTable(contract)) return [];
  const problems: ConfigProblem[] = [];
  for (const key of sizes) {
    const value = contract[key];
    if (typeof value === "string" && parseSize(value) === undefined)
      problems.push({ path: [...path, key], message: `${JSON.stringify(value)} is not a size, for example "300MB"` });
  }
  const cuda = contract["cuda"];
  if (typeof cuda === "string" && !/^(?:none|any|\d{1,2}(?:\.\d{1,2})?)$/.test(cuda))
    problems.push({
      path: [...path, "cuda"],
      message: `${JSON.stringify(cuda)} is none of "none", "any" and a release, for example "12.1"`,
    });
  for (const id of Object.keys(tableAt(contract, "skip"))) {
    if (!/^[a-z]+\.(?:\*|[a-z0-9-]+)$/.test(id))
      problems.push({
        path: [...path, "skip", id],
        message: "is no id of a check, for example files.tests or runtime.*",
      });
  }
  for (const [name, check] of Object.entries(tableAt(contract, "checks")))
    if (isTable(check)) problems.push(...checkProblems(check, [...path, "checks", name]));
  return problems;
}

function checkProblems(check: TomlTable, path: string[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const named = subjects.filter((key) => key in check);
  if (named.length !== 1)
    problems.push({
      path,
      message: `has ${named.length === 0 ? "none" : named.join(" and ")} of ${subjects.join(", ")}: it needs one`,
    });
  const { output } = check;
  if (typeof output === "string" && !isExpression(output))
    problems.push({ path: [...path, "output"], message: `${JSON.stringify(output)} is not a regular expression` });
  return problems;
}

function isExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}
