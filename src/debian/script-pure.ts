import { failed, unclear } from "./script-arguments.ts";
import { pureCommands, quietCommands, transientPaths } from "./script-commands.ts";
import { UnknownStatement } from "./script-error.ts";
import type { CommandCall, Outcome } from "./shell/host.ts";
import type { Value } from "./shell/values.ts";
import type { FileTests } from "./shell/test-expression.ts";

/**
 * A command that changes nothing, or one that would with some of its arguments.
 * @throws UnknownStatement for the latter
 */
export function pureCommand(call: CommandCall, name: string, files: FileTests): Outcome {
  const { args, input, line } = call;
  const changes =
    name === "find" ? /^-(delete|exec|execdir|ok)$/ : name === "sed" ? /^(-[a-zA-Z]*i.*|--in-place.*)$/ : undefined;
  if (changes && args.some((arg) => arg !== undefined && changes.test(arg)) && !args.includes("-empty")) {
    const paths = args.filter((arg) => arg?.startsWith("/") && !/^\/\^|[\\$*]/.test(arg));
    const isThere = paths.some(
      (path) => path === undefined || (!transientPaths.test(path) && files.test("e", path) !== false),
    );
    if (isThere || paths.length === 0) throw new UnknownStatement(line, `${name} changes ${paths[0] ?? "files"}`);
    return failed;
  }
  if (name === "xargs" && args.length > 0) {
    const inner = args.find((arg) => arg === undefined || !arg.startsWith("-"));
    const isHarmless = inner !== undefined && (pureCommands.has(inner) || quietCommands.has(inner) || inner === "rm");
    if (!isHarmless && input !== "") throw new UnknownStatement(line, `xargs runs ${inner ?? "a command"}`);
  }
  if (name === "env") throw new UnknownStatement(line, "env runs a command");
  if (name === "cat" && args.length === 0) return { status: true, output: input };
  if (name === "mktemp" || name === "tempfile") return { status: true, output: "/tmp/file" };
  if (/^([ef]?grep|ls|cmp|readlink|find)$/.test(name) && readsNothing(args, files)) return failed;
  const isFilter =
    /^([ef]?grep|sed|awk|tr|cut|sort|uniq|tail|head)$/.test(name) &&
    !args.some((arg) => arg === undefined || (arg.startsWith("/") && files.test("e", arg) !== false));
  if (isFilter && input === "") return name.endsWith("grep") ? failed : { status: true, output: "" };
  return unclear;
}

function readsNothing(args: Value[], files: FileTests): boolean {
  const paths = args.filter((arg) => arg?.startsWith("/"));
  return paths.length > 0 && paths.every((file) => file !== undefined && files.test("e", file) === false);
}
