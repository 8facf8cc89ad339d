import { mergedPath } from "./unpack.ts";
import type { CommandCall, Outcome } from "./shell/host.ts";
import type { Value } from "./shell/values.ts";

export const done: Outcome = { status: true, output: "" };
export const failed: Outcome = { status: false, output: "" };
export const unclear: Outcome = { status: undefined, output: undefined };

/** `$2` is empty when there was no version before: older than all others for `lt`, unlike for `lt-nl` (dpkg(1)). */
export function compareToNothing([, a, operator = "", b]: Value[]): Outcome {
  if (a === undefined || b === undefined) return unclear;
  if (a !== "" && b !== "") return unclear;
  if (operator.endsWith("-nl")) return failed;
  if (a === b) return { status: /^(le|eq|ge)/.test(operator), output: "" };
  return { status: (a === "") === /^(lt|le|<|<<|<=|ne)/.test(operator), output: "" };
}

export function part(args: Value[], pick: (path: string) => string): Outcome {
  const [path] = args;
  return { status: true, output: path === undefined ? undefined : pick(path) };
}

export function printed({ args }: CommandCall, name: string): Outcome {
  if (name === "echo") {
    const words = args[0] === "-n" || args[0] === "-e" ? args.slice(1) : args;
    return {
      status: true,
      output: words.includes(undefined) ? undefined : `${words.join(" ")}${args[0] === "-n" ? "" : "\n"}`,
    };
  }
  if (name !== "printf") return done;
  const [format] = args;
  return {
    status: true,
    output: args.length === 1 && format !== undefined && !/[%\\]/.test(format) ? format : undefined,
  };
}

export function readOptions(args: Value[], withValue: string[]): { options: Map<string, string>; rest: Value[] } {
  const options = new Map<string, string>();
  const rest: Value[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    if (arg === "--") {
      rest.push(...args.slice(at + 1));
      break;
    }
    if (arg === undefined || !/^-./.test(arg)) {
      rest.push(arg);
      continue;
    }
    const [key = "", value] = arg.startsWith("--") ? arg.split(/=(.*)/s) : [arg];
    const short = /^-[a-zA-Z]$/.test(key)
      ? key
      : (withValue.find((name) => /^-[a-zA-Z]$/.test(name) && key.startsWith(name)) ?? key);
    if (value !== undefined) options.set(key, value);
    else if (short !== key) options.set(short, key.slice(2));
    else options.set(key, withValue.includes(key) ? (args[++at] ?? "") : "");
  }
  return { options, rest };
}

export function octal(text: string | undefined): number | undefined {
  return text !== undefined && /^0?[0-7]{3,4}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** `/lib/foo/` → `usr/lib/foo`; `..` leads to the parent, never above the root. */
export function imagePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return mergedPath(parts.join("/"));
}
