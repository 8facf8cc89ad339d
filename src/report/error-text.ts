import { SheafError, SheafErrors } from "../errors.ts";
import { alignColumns, printable, type Style } from "./text.ts";

/** An error as a person reads it: what happened, the facts under it, then what to try. */
export function errorText(error: unknown, style: Style): string {
  if (error instanceof SheafErrors) return error.errors.map((each) => errorText(each, style)).join("\n\n");
  if (error instanceof SheafError) return knownError(error, style);
  return bugText(error, style);
}

function knownError(error: SheafError, style: Style): string {
  const rows = [
    ...error.details.flatMap(([label, value]) =>
      printable(value)
        .split("\n")
        .map((line, index) => [index === 0 ? style.dim(printable(label)) : "", line]),
    ),
    ...error.hints.map((hint, index) => [index === 0 ? style.cyan("try") : "", printable(hint)]),
  ];
  const body = alignColumns(rows).map((line) => `  ${line}`);
  return [`${style.red("error:")} ${style.bold(printable(error.message))}`, ...body].join("\n");
}

function bugText(error: unknown, style: Style): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [
    `${style.red("error:")} ${style.bold("this is a bug in Sheaf, not in your project")}`,
    printable(stack),
    `  ${style.cyan("try")}  report it with the lines above and the output of: sheaf --version; node --version`,
  ].join("\n");
}

/** The same as JSON, for `--json` and `--progress json`. */
export function errorJson(error: unknown): unknown {
  if (error instanceof SheafErrors) return { errors: error.errors.map((each) => oneError(each)) };
  return { errors: [oneError(error)] };
}

function oneError(error: unknown): unknown {
  if (!(error instanceof SheafError))
    return { code: "SHEAF_BUG", message: error instanceof Error ? error.message : String(error) };
  return { code: error.code, message: error.message, details: Object.fromEntries(error.details), hints: error.hints };
}
