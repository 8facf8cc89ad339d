import * as fs from "node:fs";
import * as path from "node:path";

import type { FolderCode, LibraryCode } from "../../inspect/device-code.ts";
import type { TrimmedFolder, TrimmedLibrary } from "../../ingest/trim-folder.ts";
import { capabilityName } from "../../cuda/architecture.ts";
import { SheafError } from "../../errors.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style, wrap } from "../../report/text.ts";
import { type Command, type CommandInput, type CommandResult, flagOption, listOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

export const gpu: Command = {
  name: "gpu",
  summary: "list GPUs; show or trim the device code of CUDA libraries",
  arguments: [
    { name: "action", summary: "list (the default), inspect or trim" },
    { name: "path", summary: "inspect: a folder or a library; trim: a folder, such as an environment" },
  ],
  options: [
    { flags: "--targets <gpus>", summary: "GPUs that code is kept for: t4,a10 or 7.5,8.6", repeat: true },
    { flags: "-o, --output <folder>", summary: "trim: where the trimmed copy is written" },
    { flags: "--prune-nvidia", summary: "trim: NVIDIA's own libraries too; see docs/gpu.md on their licence" },
    { flags: "--keep-ptx", summary: "trim: keep the newest PTX, for GPUs that come later" },
    { flags: "--check", summary: "inspect: decompress all code, and hold it against what its headers say" },
    { flags: "--cuda <version>", summary: "list: what this CUDA needs and supports" },
  ],
  examples: [
    "sheaf gpu list --cuda 12.1",
    "sheaf gpu inspect .venv",
    "sheaf gpu inspect .venv --targets t4,l4",
    "sheaf gpu trim .venv --targets t4,a10,h100 -o trimmed",
  ],
  async run(input, context) {
    const action = input.arguments[0] ?? "list";
    if (action === "list") return list(input);
    if (action === "inspect") return inspectPath(input, context);
    if (action === "trim") return trim(input, context);
    throw new SheafError("SHEAF_OPTION", `sheaf gpu knows no ${JSON.stringify(action)}`, {
      hint: ["sheaf gpu list", "sheaf gpu inspect PATH", "sheaf gpu trim FOLDER --targets t4 -o FOLDER"],
    });
  },
};

async function list(input: CommandInput): Promise<CommandResult> {
  const { cudaSupports, driverFor, gpuFamilies } = await import("../../cuda/gpus.ts");
  const cuda = textOption(input, "cuda");
  const driver = cuda === undefined ? undefined : driverFor(cuda);
  if (cuda !== undefined && !driver) {
    throw new SheafError("SHEAF_OPTION", `no CUDA ${JSON.stringify(cuda)} is known`, { hint: "--cuda 12.1" });
  }
  const families = gpuFamilies.filter(({ sm }) => cuda === undefined || cudaSupports(cuda, sm) === true);
  const json = families.map(({ sm, architecture, names, since, lastMajor }) => ({
    capability: capabilityName(sm),
    architecture,
    names,
    since,
    ...(lastMajor === undefined ? {} : { lastMajor }),
  }));
  return {
    json: { gpus: json, ...(driver ? { cuda, driver } : {}) },
    text: (style, width) =>
      [
        ...(driver ? [`CUDA ${cuda} needs driver ${driver.minimum} or newer${complete(driver.complete)}`, ""] : []),
        ...gpuRows(json, style, width),
      ].join("\n"),
  };
}

function complete(version: string | undefined): string {
  return version === undefined ? "" : `; it came with ${version}`;
}

function gpuRows(
  gpus: { capability: string; architecture: string; names: readonly string[]; since: string; lastMajor?: number }[],
  style: Style,
  width: number,
): string[] {
  const namesWidth = Math.max(30, width - 40);
  const rows = gpus.flatMap(({ capability, architecture, names, since, lastMajor }) =>
    wrap(names.join(" "), namesWidth).map((line, index) =>
      index === 0
        ? [capability, architecture, `${since}${lastMajor === undefined ? "+" : ` to ${lastMajor}`}`, line]
        : ["", "", "", line],
    ),
  );
  return alignColumns([["capability", "architecture", "CUDA", "names"].map((cell) => style.dim(cell)), ...rows]);
}

async function inspectPath(input: CommandInput, context: Context): Promise<CommandResult> {
  const root = pathArgument(input, context);
  const { readFolderCode } = await import("../../inspect/device-code.ts");
  const { parseGpuTargets, zstdDriver } = await import("../../cuda/gpus.ts");
  const targets = parseGpuTargets(listOption(input, "targets"));
  const found = await readFolderCode(root, {
    targets: targets.map(({ sm }) => sm),
    check: flagOption(input, "check"),
  });
  return {
    json: { ...found, libraries: found.libraries.map(libraryJson) },
    text: (style, width) => inspectText(found, { style, width, zstdDriver }),
  };
}

function libraryJson(library: LibraryCode) {
  return { ...library, code: library.code.map(({ kind, name, images, bytes }) => ({ kind, name, images, bytes })) };
}

function inspectText(
  { libraries, broken }: FolderCode,
  { style, width, zstdDriver }: { style: Style; width: number; zstdDriver: string },
): string {
  if (libraries.length === 0 && broken.length === 0) return "no library with device code";
  const ordered = libraries.toSorted((a, b) => b.bytes - a.bytes);
  const lines = ordered.flatMap((library) => [
    `${style.bold(shorten(printable(library.path), Math.max(30, width - 50)))}  ${formatBytes(library.size)}, ` +
      `${formatBytes(library.bytes)} in ${plural(library.binaries, "fat binary", "fat binaries")}`,
    ...wrap(
      library.code.map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`.replaceAll(" ", "\u00a0")).join(" · "),
      Math.max(40, width - 4),
    ).map((line) => `    ${line}`),
    ...library.coverage.map(
      (coverage) => `    ${style.dim(`for ${capabilityName(coverage.target)}:`)} ${coverageText(coverage)}`,
    ),
    ...(library.zstd ? [`    ${style.dim("compressed with zstd: for drivers from")} ${zstdDriver}`] : []),
    ...library.elsewhere.map(
      ({ section, binaries, bytes }) =>
        `    ${style.dim("left whole:")} ${formatBytes(bytes)} in ${plural(binaries, "fat binary", "fat binaries")} among its data (${printable(section)})`,
    ),
    ...library.unknown.map((reason) => `    ${style.yellow("not understood:")} ${printable(reason)}`),
  ]);
  const bytes = libraries.reduce((sum, library) => sum + library.bytes, 0);
  return [
    ...lines,
    ...broken.map(({ path, reason }) => `${style.yellow("broken:")} ${printable(path)}: ${printable(reason)}`),
    "",
    `${formatBytes(bytes)} of device code in ${plural(libraries.length, "library", "libraries")}`,
  ].join("\n");
}

function coverageText({ machineCode, ptx, nothing }: LibraryCode["coverage"][number]): string {
  const parts: [label: string, count: number][] = [
    ["machine code", machineCode],
    ["PTX", ptx],
    ["nothing", nothing],
  ];
  return parts
    .filter(([, count]) => count > 0)
    .map(([label, count]) => `${label} in ${count}`)
    .join(", ");
}

async function trim(input: CommandInput, context: Context): Promise<CommandResult> {
  const from = pathArgument(input, context);
  const output = textOption(input, "output");
  const { parseGpuTargets } = await import("../../cuda/gpus.ts");
  const targets = parseGpuTargets(listOption(input, "targets"));
  if (output === undefined || targets.length === 0) {
    throw new SheafError("SHEAF_OPTION", "sheaf gpu trim needs --targets and -o", {
      hint: "sheaf gpu trim .venv --targets t4,a10 -o trimmed; sheaf gpu list shows the names",
    });
  }
  const { trimFolder } = await import("../../ingest/trim-folder.ts");
  const { nvidiaLicenceNote } = await import("../../cuda/libraries.ts");
  const pruneNvidia = flagOption(input, "pruneNvidia");
  const to = path.resolve(context.directory, output);
  const trimmed = await trimFolder(from, to, {
    targets: targets.map(({ sm }) => sm),
    newestPtx: flagOption(input, "keepPtx"),
    pruneNvidia,
    signal: context.signal,
  });
  return {
    json: { ...trimmed, targets, ...(pruneNvidia ? { licence: nvidiaLicenceNote } : {}) },
    text: (style, width) => trimText(trimmed, { style, width, licence: pruneNvidia ? nvidiaLicenceNote : undefined }),
  };
}

function trimText(
  { libraries, before, after }: TrimmedFolder,
  { style, width, licence }: { style: Style; width: number; licence: string | undefined },
): string {
  const rows = libraries
    .filter(({ outcome }) => outcome === "trimmed" || outcome === "whole")
    .toSorted((a, b) => b.before - b.after - (a.before - a.after))
    .map((library) => [
      shorten(printable(library.path), Math.max(30, width - 40)),
      formatBytes(library.before),
      formatBytes(library.after),
    ]);
  const untouched = libraries.filter(({ outcome }) => outcome === "nvidia");
  const bytes = untouched.reduce((sum, library) => sum + library.before, 0);
  return [
    ...alignColumns([["library", "before", "after"].map((cell) => style.dim(cell)), ...rows], [1, 2]),
    ...libraries.flatMap((library) => notes(library, style)),
    "",
    `${formatBytes(before)} became ${formatBytes(after)}`,
    ...(untouched.length > 0
      ? [
          `${plural(untouched.length, "library", "libraries")} of NVIDIA's (${formatBytes(bytes)}) left as they are; --prune-nvidia trims them too`,
        ]
      : []),
    ...(licence === undefined ? [] : [`${style.yellow("licence:")} ${licence}`]),
  ].join("\n");
}

function notes({ path, outcome, leftWhole, sections }: TrimmedLibrary, style: Style): string[] {
  const label = outcome === "trimmed" ? "partly left whole" : "left whole";
  const unserved = sections.flatMap((section) => section.unserved.map((each) => ({ ...each, all: section.binaries })));
  return [
    ...leftWhole.map((reason) => `${style.yellow(`${label}:`)} ${printable(path)}: ${printable(reason)}`),
    ...unserved.map(
      ({ target, binaries, all }) =>
        `${style.dim("note:")} ${printable(path)} has no code for ${capabilityName(target)} in ${binaries} of ${all} fat binaries, before as after`,
    ),
  ];
}

function pathArgument(input: CommandInput, context: Context): string {
  const [action, name] = input.arguments;
  if (name === undefined) {
    throw new SheafError("SHEAF_OPTION", `sheaf gpu ${action} needs a path`, { hint: `sheaf gpu ${action} .venv` });
  }
  const found = path.resolve(context.directory, name);
  if (fs.existsSync(found)) return found;
  throw new SheafError("SHEAF_OPTION", `${name} is not there`, { hint: "name a folder or a shared library" });
}
