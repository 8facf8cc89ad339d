import * as path from "node:path";

import type { PlanOptions } from "../../plan/options.ts";
import type { PlanServices } from "../../plan/services.ts";
import { type CommandInput, listOption, type OptionDefinition, textOption } from "../command.ts";
import type { Context } from "../context.ts";

/** Options of every command that plans. */
export const planOptionDefinitions: OptionDefinition[] = [
  { flags: "--image <name>", summary: "only this image of the project", repeat: true },
  { flags: "--app <module:attribute>", summary: "the application, when it is not found or there are several" },
  { flags: "--python <version>", summary: "Python in the image, for example 3.12" },
  { flags: "--platform <platform>", summary: "linux/amd64 or linux/arm64" },
  {
    flags: "--base <image>",
    summary: "image to build on: OCI layout, archive or one in a registry; debian composes a base",
  },
  { flags: "--suite <codename>", summary: "Debian suite of the base, for example trixie" },
  { flags: "--no-build", summary: "refuse packages that have no wheel" },
  {
    flags: "--build-arg <NAME=value>",
    summary: "PYTHON_VERSION, APP_ENV as a Dockerfile would take them",
    repeat: true,
  },
];

export function readPlanOptions(input: CommandInput): PlanOptions {
  const buildArguments = new Map(
    listOption(input, "buildArg").map((each) => [each.split("=")[0] ?? "", each.slice(each.indexOf("=") + 1)]),
  );
  return {
    directory: path.resolve(input.arguments[0] ?? "."),
    images: listOption(input, "image"),
    app: textOption(input, "app"),
    python: textOption(input, "python") ?? buildArguments.get("PYTHON_VERSION"),
    platform: textOption(input, "platform"),
    suite: textOption(input, "suite"),
    base: textOption(input, "base"),
    // commander makes `build: false` of --no-build.
    noBuild: input.options["build"] === false,
    buildArguments,
  };
}

export function planServices(context: Context): PlanServices {
  const { store, fetcher, pool, emit, offline, refresh } = context;
  return { store, fetcher, tasks: pool.tasks, emit, offline, refresh };
}
