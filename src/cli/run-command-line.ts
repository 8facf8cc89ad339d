import { Command as Program, CommanderError, Option } from "commander";

import { exitCodes, SheafError } from "../errors.ts";
import { didYouMean } from "../did-you-mean.ts";
import { errorJson, errorText } from "../report/error-text.ts";
import { styleFor } from "../report/text.ts";
import { isErrno } from "../store/store.ts";
import type { Command, CommandInput } from "./command.ts";
import { CommandContext } from "./context.ts";
import { loadCommand, summaries } from "./commands.ts";
import { version } from "./version.ts";

/** Runs one command line and returns the exit code. Data goes to stdout, all else to stderr. */
export async function runCommandLine(words: string[]): Promise<number> {
  const interrupt = new AbortController();
  const json = words.includes("--json");
  const style = styleFor(process.stderr);
  let context: CommandContext | undefined;
  let interrupted = 0;
  const onSignal = () => {
    interrupted += 1;
    interrupt.abort();
    // A second Ctrl-C does not wait for anything.
    if (interrupted > 1) process.exit(exitCodes.interrupted);
    context?.stopProgress();
    void Promise.race([context?.close(), patience()]).finally(() => process.exit(exitCodes.interrupted));
  };
  // Whoever reads may stop reading: `sheaf inspect --files | head`.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", ignoreClosedPipe);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
  try {
    const parsed = await parse(words);
    if (!parsed) return exitCodes.ok;
    const { command, input } = parsed;
    context = new CommandContext({ ...contextOptions(input), signal: interrupt.signal });
    const result = await command.run(input, context);
    context.stopProgress();
    if (json && result.json !== undefined) await print(`${JSON.stringify(result.json, undefined, 2)}\n`);
    else if (result.text) await print(`${result.text(styleFor(process.stdout), process.stdout.columns ?? 100)}\n`);
    return result.exitCode ?? exitCodes.ok;
  } catch (error) {
    context?.stopProgress();
    if (interrupted > 0) return exitCodes.interrupted;
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.user;
    if (json) await print(`${JSON.stringify(errorJson(error))}\n`);
    process.stderr.write(`${errorText(error, style)}\n`);
    return error instanceof SheafError ? error.exitCode : exitCodes.bug;
  } finally {
    if (interrupted === 0) {
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal).off("SIGHUP", onSignal);
      await context?.close();
    }
  }
}

const globalOptions = [
  new Option("--cache-dir <folder>", "where downloads, layers and images are kept").env("SHEAF_CACHE_DIR"),
  new Option("--offline", "use only what the cache holds"),
  new Option("--refresh", "look at package indexes and unlocked inputs anew"),
  new Option("--progress <kind>", "how work is shown on stderr").choices(["auto", "plain", "json"]),
  new Option("-q, --quiet", "show no progress"),
  new Option("--json", "print the result as JSON"),
];

async function parse(words: string[]): Promise<{ command: Command; input: CommandInput } | undefined> {
  const program = new Program("sheaf")
    .description("Turns a FastAPI + Celery repository into small, proven production images, without a Docker daemon.")
    .version(`sheaf ${version}`)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .helpCommand(false);
  const name = words.find((word) => !word.startsWith("-"));
  let chosen: { command: Command; input: CommandInput } | undefined;
  for (const [each, summary] of Object.entries(summaries)) {
    if (each !== name) {
      program.command(each).description(summary);
      continue;
    }
    const command = await loadCommand(each);
    const sub = describe(program, command);
    sub.action(() => {
      chosen = { command, input: { arguments: sub.args, rest: [], options: sub.opts() } };
    });
  }
  if (words.length === 0) {
    process.stdout.write(program.helpInformation());
    return undefined;
  }
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    throw error instanceof CommanderError && error.exitCode !== 0 ? usageError(error, name) : error;
  }
  return chosen;
}

function describe(program: Program, command: Command): Program {
  const sub = program.command(command.name).description(command.summary).exitOverride();
  sub.configureOutput({ outputError: () => {} });
  for (const argument of command.arguments ?? []) {
    const name = argument.variadic ? `${argument.name}...` : argument.name;
    sub.argument(argument.required ? `<${name}>` : `[${name}]`, argument.summary);
  }
  for (const definition of command.options) {
    const option = new Option(definition.flags, definition.summary);
    if (definition.choices) option.choices(definition.choices);
    if (definition.repeat) option.argParser<string[]>((value, previous) => [...(previous ?? []), value]);
    sub.addOption(option);
  }
  for (const option of globalOptions) sub.addOption(option);
  if (command.examples)
    sub.addHelpText("after", `\nExamples:\n${command.examples.map((each) => `  $ ${each}`).join("\n")}`);
  return sub;
}

function usageError(error: CommanderError, name: string | undefined): SheafError {
  const unknown = name !== undefined && !(name in summaries);
  const near = unknown ? didYouMean(name, Object.keys(summaries)) : undefined;
  if (unknown) {
    return new SheafError("SHEAF_USAGE", `there is no command ${JSON.stringify(name)}`, {
      hint: near ? `sheaf ${near}` : "sheaf --help lists the commands",
    });
  }
  const [message = "", ...more] = error.message.replace(/^error: /, "").split("\n");
  return new SheafError("SHEAF_USAGE", message.trim(), {
    hint: [
      ...more.map((line) => line.replace(/[()]/g, "").trim()).filter(Boolean),
      `sheaf ${name ?? ""} --help shows what there is`,
    ],
  });
}

function contextOptions(input: CommandInput): Omit<ConstructorParameters<typeof CommandContext>[0], "signal"> {
  const { cacheDir, cache, offline, refresh, progress, quiet } = input.options;
  return {
    cacheDir: typeof cacheDir === "string" ? cacheDir : undefined,
    // commander makes `cache: false` of --no-cache.
    cache: cache !== false,
    offline: offline === true,
    refresh: refresh === true,
    progress: typeof progress === "string" ? progress : undefined,
    quiet: quiet === true,
  };
}

/** Waits until stdout has taken it all: a pipe may be slower than the process's end. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error && "code" in error && error.code !== "EPIPE") reject(error);
      else resolve();
    });
  });
}

function ignoreClosedPipe(error: Error): void {
  if (isErrno(error, "EPIPE")) process.exit(process.exitCode ?? exitCodes.ok);
  throw error;
}

/** Containers and images take an engine a while to remove, on a busy machine a long one. */
async function patience(): Promise<void> {
  await pause(2000);
  process.stderr.write("sheaf: ends what it has started; Ctrl-C again does not wait for it\n");
  await pause(28_000);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
