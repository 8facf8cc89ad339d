import * as fs from "node:fs";
import * as path from "node:path";

import { capabilityName } from "../../cuda/architecture.ts";
import { SheafError } from "../../errors.ts";
import type { FolderCode, LibraryCode } from "../../inspect/device-code.ts";
import type { ImageLibraryCode } from "../../inspect/image-device-code.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style, wrap } from "../../report/text.ts";
import { type CommandInput, type CommandResult, flagOption, listOption } from "../command.ts";
import type { Context } from "../context.ts";

/** `sheaf gpu inspect`: of a library or a folder, where there is one of that name, else of an image. */
export async function inspectCode(input: CommandInput, context: Context): Promise<CommandResult> {
  const name = input.arguments[1];
  if (name === undefined) {
    throw new SheafError("SHEAF_OPTION", "sheaf gpu inspect needs a path or an image", {
      hint: ["sheaf gpu inspect .venv", "sheaf gpu inspect demeterai-worker"],
    });
  }
  const found = path.resolve(context.directory, name);
  return isInstalled(found) ? inspectPath(found, input) : inspectImage(name, { input, context });
}

/** A folder that is no OCI layout, or a file that is no archive. */
function isInstalled(found: string): boolean {
  const stat = fs.statSync(found, { throwIfNoEntry: false });
  if (!stat) return false;
  if (stat.isDirectory()) return !fs.existsSync(path.join(found, "index.json"));
  return !/\.(?:tar|tgz|tar\.\w+)$/.test(found);
}

async function inspectPath(root: string, input: CommandInput): Promise<CommandResult> {
  const { readFolderCode } = await import("../../inspect/device-code.ts");
  const { parseGpuTargets, zstdDriver } = await import("../../cuda/gpus.ts");
  const targets = parseGpuTargets(listOption(input, "targets")).map(({ sm }) => sm);
  const found = await readFolderCode(root, { targets, check: flagOption(input, "check") });
  return {
    json: { ...found, libraries: found.libraries.map(libraryJson) },
    text: (style, width) => codeText(found, { style, width, zstdDriver }),
  };
}

async function inspectImage(
  name: string,
  { input, context }: { input: CommandInput; context: Context },
): Promise<CommandResult> {
  if (flagOption(input, "check")) {
    throw new SheafError("SHEAF_OPTION", "--check is for folders and libraries, and this is an image", {
      hint: "leave it out",
    });
  }
  const [{ openImageReference }, { readImageCode }, { parseGpuTargets, zstdDriver }, { targetsOfLabel }] =
    await Promise.all([
      import("../../assemble/open-reference.ts"),
      import("../../inspect/image-device-code.ts"),
      import("../../cuda/gpus.ts"),
      import("../../cuda/labels.ts"),
    ]);
  const asked = parseGpuTargets(listOption(input, "targets")).map(({ sm }) => sm);
  const { title, image, close } = await openImageReference(name, { ...optionsOf(context), folder: context.directory });
  context.onClose(close);
  const promised = targetsOfLabel(image.config.config?.Labels);
  const targets = asked.length > 0 ? asked : promised;
  const found = await readImageCode(image, { targets, signal: context.signal });
  return {
    json: { image: title, digest: image.digest, promised: promised.map(capabilityName), ...imageJson(found) },
    text: (style, width) =>
      [
        `${style.bold(title)} ${style.dim(image.digest)}`,
        ...(promised.length > 0 ? [`made for ${promised.map(capabilityName).join(", ")}`] : []),
        "",
        codeText(found, { style, width, zstdDriver }),
      ].join("\n"),
  };
}

function optionsOf({ store, offline, emit, signal }: Context) {
  return { store, offline, emit, signal };
}

function imageJson({ libraries }: { libraries: ImageLibraryCode[] }) {
  return { libraries: libraries.map(libraryJson), total: totalOf(libraries) };
}

function libraryJson(library: LibraryCode) {
  return { ...library, code: library.code.map(({ kind, name, images, bytes }) => ({ kind, name, images, bytes })) };
}

/** Bytes of all libraries by what they are for: machine code before PTX, then by architecture. */
function totalOf(libraries: readonly LibraryCode[]): { kind: string; name: string; bytes: number }[] {
  const total = new Map<string, LibraryCode["code"][number]>();
  for (const each of libraries.flatMap(({ code }) => code)) {
    const known = total.get(each.name);
    total.set(each.name, known ? { ...known, bytes: known.bytes + each.bytes } : each);
  }
  return [...total.values()]
    .sort((a, b) => (a.kind === b.kind ? a.architecture.sm - b.architecture.sm : a.kind < b.kind ? -1 : 1))
    .map(({ kind, name, bytes }) => ({ kind, name, bytes }));
}

interface TextOptions {
  style: Style;
  width: number;
  zstdDriver: string;
}

function codeText({ libraries, broken }: FolderCode, options: TextOptions): string {
  const { style, width } = options;
  if (libraries.length === 0 && broken.length === 0) return "no library with device code";
  const bytes = libraries.reduce((sum, library) => sum + library.bytes, 0);
  const total = totalOf(libraries).toSorted((a, b) => b.bytes - a.bytes);
  return [
    ...libraries.toSorted((a, b) => b.bytes - a.bytes).flatMap((library) => libraryLines(library, options)),
    ...broken.map(({ path, reason }) => `${style.yellow("broken:")} ${printable(path)}: ${printable(reason)}`),
    "",
    `${formatBytes(bytes)} of device code in ${plural(libraries.length, "library", "libraries")}`,
    ...(libraries.length > 1 ? bars(total, { style, width }) : []),
  ].join("\n");
}

function libraryLines(library: LibraryCode, { style, width, zstdDriver }: TextOptions): string[] {
  return [
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
  ];
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

/** The whole by architecture, as bars beside one another. */
function bars(
  total: readonly { name: string; bytes: number }[],
  { style, width }: { style: Style; width: number },
): string[] {
  const most = total[0]?.bytes ?? 0;
  const room = Math.min(40, Math.max(10, width - 40));
  return alignColumns(
    total.map(({ name, bytes }) => [
      `  ${name}`,
      formatBytes(bytes),
      style.dim("▇".repeat(Math.max(1, Math.round((bytes / Math.max(1, most)) * room)))),
    ]),
    [1],
  );
}
