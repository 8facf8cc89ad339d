import * as fs from "node:fs";
import * as path from "node:path";

import type { OpenedReference } from "../../assemble/open-reference.ts";
import { type Contract, resolveContract } from "../../contract/contract.ts";
import { SheafError } from "../../errors.ts";
import type { SheafConfig } from "../../project/config/schema.ts";
import { type Command, type CommandInput, flagOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

/** Options by which an image's contract is found. */
export const contractOptions = [
  { flags: "--project <folder>", summary: "the project that the image is built from; this folder unless given" },
  { flags: "--contract <file>", summary: "take the contract of this file, instead of [tool.sheaf] of the project" },
  { flags: "--image <name>", summary: "image of the configuration whose contract counts; found by name unless given" },
  { flags: "--platform <platform>", summary: "which image of several platforms" },
];

export const contract: Command = {
  name: "contract",
  summary: "print what sheaf verify would hold an image to",
  arguments: [{ name: "image", summary: "tag, OCI layout, archive, image in Docker, Podman or a registry" }],
  options: [...contractOptions, { flags: "--schema", summary: "print the JSON Schema of the contract's keys" }],
  examples: ["sheaf contract demeterai-api > contract.toml", "sheaf contract --schema"],
  async run(input, context) {
    if (flagOption(input, "schema")) {
      const { contractJsonSchema } = await import("../../project/config/read-config.ts");
      const schema = await contractJsonSchema();
      return { json: schema, text: () => JSON.stringify(schema, undefined, 2) };
    }
    const opened = await openImage(input, context);
    const [resolved, { contractSettings }, { stringify }] = await Promise.all([
      contractOf(opened, input, context),
      import("../../contract/contract-settings.ts"),
      import("smol-toml"),
    ]);
    const settings = contractSettings(resolved);
    return {
      json: { source: resolved.source, contract: settings },
      text: () => `# ${resolved.source}\n${stringify({ contract: settings })}`.trimEnd(),
    };
  },
};

/** Opens the image that the command names, else the newest of this folder. */
export async function openImage(input: CommandInput, context: Context): Promise<OpenedReference & { name: string }> {
  const [{ openImageReference }, { newestOf }, { parsePlatform }] = await Promise.all([
    import("../../assemble/open-reference.ts"),
    import("../../assemble/stored-images.ts"),
    import("../../platform.ts"),
  ]);
  const { store, offline, emit, signal, directory: folder } = context;
  const name = input.arguments[0] ?? newestOf(store, projectFolder(input, context));
  const wanted = textOption(input, "platform");
  const platform = wanted === undefined ? undefined : parsePlatform(wanted);
  const opened = await openImageReference(name, { store, offline, emit, signal, folder, platform });
  context.onClose(opened.close);
  return { ...opened, name: opened.title };
}

/** Where the project is whose contract counts, absolute. */
export function projectFolder(input: CommandInput, { directory }: Context): string {
  return path.resolve(directory, textOption(input, "project") ?? "");
}

/** The contract that applies to an image: of `--contract`, else of this folder's configuration, else defaults for its role. */
export async function contractOf(
  { image, name, stored }: OpenedReference & { name: string },
  input: CommandInput,
  context: Context,
): Promise<Contract> {
  const { config, configFile } = await readSettings(input, context);
  const plan = stored?.plan;
  const contract = resolveContract({
    name,
    runtime: image.config.config ?? {},
    config,
    ...(configFile === undefined ? {} : { configFile }),
    ...(textOption(input, "image") === undefined ? {} : { image: textOption(input, "image") as string }),
    ...(plan
      ? { planned: { name: plan.name, role: plan.role, ...(plan.budget ? { size: plan.budget.value } : {}) } }
      : {}),
  });
  if (Object.keys(contract.skip).length > 0)
    (await import("../../contract/all-checks.ts")).refuseUnknownSkips(contract);
  return contract;
}

async function readSettings(
  input: CommandInput,
  context: Context,
): Promise<{ config: SheafConfig; configFile?: string }> {
  const { readConfig, readConfigFile } = await import("../../project/config/read-config.ts");
  const file = textOption(input, "contract");
  if (file !== undefined) {
    const text = readContractFile(path.resolve(context.directory, file), file);
    return { config: await readConfigFile(file, text), configFile: file };
  }
  const folder = projectFolder(input, context);
  const found = await readConfig([""], (name) => {
    const at = path.join(folder, name);
    return fs.existsSync(at) ? fs.readFileSync(at, "utf8") : undefined;
  });
  return { config: found.config, ...(found.file === undefined ? {} : { configFile: found.file }) };
}

function readContractFile(at: string, file: string): string {
  try {
    return fs.readFileSync(at, "utf8");
  } catch (cause) {
    throw new SheafError("SHEAF_CONTRACT", `the contract ${file} can't be read: ${(cause as Error).message}`, {
      hint: "check the path, or write one: sheaf contract IMAGE > contract.toml",
      cause,
    });
  }
}
