import type { Status, Value } from "./values.ts";

/** What test(1) asks of files. */
export interface FileTests {
  /** `-e FILE` and its like; `kind` is the letter. */
  test(kind: string, path: string): Status;
}

/** test(1) with one to four arguments, `!`, -a and -o. */
export function evaluateTest(args: Value[], host: FileTests): Status {
  for (const [operator, isOr] of [
    ["-o", true],
    ["-a", false],
  ] as const) {
    const at = args.indexOf(operator, 1);
    if (at <= 0 || at === args.length - 1) continue;
    const left = evaluateTest(args.slice(0, at), host);
    const right = evaluateTest(args.slice(at + 1), host);
    if (left === isOr || right === isOr) return isOr;
    return left === undefined || right === undefined ? undefined : !isOr;
  }
  const [a, b, c] = args;
  if (args.length > 1 && a === "!") return negate(evaluateTest(args.slice(1), host));
  if (args.length === 0) return false;
  if (args.length === 1) return a === undefined ? undefined : a !== "";
  if (args.length === 2) {
    if (b === undefined) return undefined;
    if (a === "-n") return b !== "";
    if (a === "-z") return b === "";
    return a && /^-[a-zA-Z]$/.test(a) ? host.test(a.slice(1), b) : undefined;
  }
  if (args.length !== 3 || a === undefined || c === undefined) return undefined;
  if (b === "=" || b === "==") return a === c;
  if (b === "!=") return a !== c;
  const order = Number(a) - Number(c);
  if (Number.isNaN(order)) return undefined;
  const numeric: Record<string, boolean> = {
    "-eq": order === 0,
    "-ne": order !== 0,
    "-lt": order < 0,
    "-le": order <= 0,
    "-gt": order > 0,
    "-ge": order >= 0,
  };
  return numeric[b ?? ""];
}

function negate(status: Status): Status {
  return status === undefined ? undefined : !status;
}
