import * as fs from "node:fs";
import * as path from "node:path";

import { capabilityName } from "../../cuda/architecture.ts";
import type { CudaProfile } from "../../cuda/profiles.ts";
import { SheafError } from "../../errors.ts";
import type { TrimmedFolder, TrimmedLibrary } from "../../ingest/trim-folder.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style } from "../../report/text.ts";
import { type CommandInput, type CommandResult, flagOption, listOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

/** `sheaf gpu trim`. */
export async function trim(input: CommandInput, context: Context): Promise<CommandResult> {
  const from = folderOf(input, context);
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
  const leaveOut = await partsOf(from, input);
  const to = path.resolve(context.directory, output);
  const trimmed = await trimFolder(from, to, {
    targets: targets.map(({ sm }) => sm),
    newestPtx: flagOption(input, "keepPtx"),
    pruneNvidia,
    leaveOut,
    signal: context.signal,
  });
  return {
    json: { ...trimmed, targets, ...(pruneNvidia ? { licence: nvidiaLicenceNote } : {}) },
    text: (style, width) => trimText(trimmed, { style, width, licence: pruneNvidia ? nvidiaLicenceNote : undefined }),
  };
}

/** Parts of CUDA that `--profile`, `--keep` and `--drop` leave out, for what is installed in a folder. */
async function partsOf(from: string, input: CommandInput): Promise<string[]> {
  const profile = textOption(input, "profile") as CudaProfile | undefined;
  const [keep, drop] = ["keep", "drop"].map((name) => listOption(input, name).flatMap((text) => text.split(",")));
  if (profile === undefined && drop?.length === 0) return [];
  const { didYouMean } = await import("../../did-you-mean.ts");
  const { partNames, partsNamed } = await import("../../cuda/profiles.ts");
  for (const name of [...(keep ?? []), ...(drop ?? [])]) {
    if (partsNamed(name).length > 0) continue;
    const near = didYouMean(name, partNames());
    throw new SheafError("SHEAF_OPTION", `${JSON.stringify(name)} is no part of CUDA that can be left out`, {
      hint: near === undefined ? `known are ${partNames().join(", ")}` : `did you mean ${near}?`,
    });
  }
  const { decideParts } = await import("../../plan/gpu/decide.ts");
  const { distributionsIn } = await import("../../ingest/leave-out.ts");
  const distributions = distributionsIn(from).map((each) => ({ ...each, requiredBy: [] }));
  const question = { image: "", profile: profile ?? "full", keep: keep ?? [], drop: drop ?? [] } as const;
  return decideParts({ ...question, distributions, calls: [] }).leftOut.map(({ part }) => part);
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
  const gone = libraries.filter(({ part }) => part !== undefined);
  const goneBytes = gone.reduce((sum, library) => sum + library.before - library.after, 0);
  const parts = [...new Set(gone.map(({ part }) => part))].toSorted();
  const untouched = libraries.filter(({ outcome }) => outcome === "nvidia");
  const bytes = untouched.reduce((sum, library) => sum + library.before, 0);
  return [
    ...alignColumns([["library", "before", "after"].map((cell) => style.dim(cell)), ...rows], [1, 2]),
    ...libraries.flatMap((library) => notes(library, style)),
    "",
    `${formatBytes(before)} became ${formatBytes(after)}`,
    ...(gone.length > 0
      ? [`${formatBytes(goneBytes)} of CUDA left out: ${parts.join(", ")}; --keep brings a part back`]
      : []),
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

function folderOf({ arguments: [, name] }: CommandInput, context: Context): string {
  if (name === undefined) {
    throw new SheafError("SHEAF_OPTION", "sheaf gpu trim needs a folder", {
      hint: "sheaf gpu trim .venv --targets t4 -o trimmed",
    });
  }
  const found = path.resolve(context.directory, name);
  if (fs.existsSync(found)) return found;
  throw new SheafError("SHEAF_OPTION", `${name} is not there`, { hint: "name the folder of an installed environment" });
}
