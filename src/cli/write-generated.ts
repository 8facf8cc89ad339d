import * as fs from "node:fs";
import * as path from "node:path";

import { authorship, readHeader, sameLines } from "../emit/generated-file.ts";
import { unifiedDiff } from "../emit/unified-diff.ts";
import { exitCodes, SheafError, throwAll } from "../errors.ts";
import { writeAtomically } from "../host/atomic-file.ts";
import { isErrno } from "../store/store.ts";
import type { CommandResult, OptionDefinition } from "./command.ts";

/** A file that a command generates: its absolute path, and its text with Sheaf's header. */
export interface GeneratedFile {
  path: string;
  text: string;
}

export interface GeneratedOptions {
  /** Compare instead of writing: a difference is shown and is exit code 1. */
  check: boolean;
  /** Write over files that a person wrote or changed. */
  force: boolean;
  /** Folders of which all that this command once wrote, and doesn't write any more, is removed. */
  owned?: { folder: string; command: string };
  /** What a person would type next, shown after files were written. */
  next?: string;
}

/** Options of every command that writes files into the repository. */
export const generatedOptionDefinitions: OptionDefinition[] = [
  { flags: "--check", summary: "write nothing; exit 1 with a diff when a file is not what would be written" },
  { flags: "--force", summary: "write over files that were not written by Sheaf, or were changed by hand" },
];

/**
 * Writes generated files, or compares them with what is there. Either all can be written or none is.
 *
 * @throws SheafError SHEAF_NOT_OURS for a file without Sheaf's header, SHEAF_EDITED for one that was changed by hand
 */
export async function writeGenerated(
  files: readonly GeneratedFile[],
  options: GeneratedOptions,
): Promise<CommandResult> {
  const wanted = new Set(files.map((file) => file.path));
  const states = files.map((file) => ({ ...file, present: readIfThere(file.path) }));
  const obsolete = options.owned ? obsoleteFiles(options.owned, wanted) : [];
  const all = [...states, ...obsolete.map((file) => ({ ...file, text: "" }))];
  if (options.check) return checked(all);

  if (!options.force) throwAll(all.flatMap(refusal));
  const changed = states.filter(({ present, text }) => present === undefined || !sameLines(present, text));
  for (const { path: target, text } of changed) {
    fs.mkdirSync(path.dirname(target), { recursive: true });
    await writeAtomically(realPath(target), [Buffer.from(text)]);
  }
  for (const { path: target } of obsolete) fs.rmSync(target);
  return written({ states, changed, obsolete, next: options.next });
}

interface PresentFile extends GeneratedFile {
  /** What is there; undefined when nothing is. */
  present: string | undefined;
}

function checked(files: readonly PresentFile[]): CommandResult {
  throwAll(
    files.flatMap((file) =>
      file.present !== undefined && authorship(file.present) === "foreign" ? refusal(file) : [],
    ),
  );
  const drifted = files.filter(({ present, text }) => !sameLines(present ?? "", text));
  const diff = drifted.map(({ path: target, present, text }) =>
    unifiedDiff(present ?? "", text, {
      from: present === undefined ? "/dev/null" : shown(target),
      to: text === "" ? "/dev/null" : `${shown(target)} (as planned)`,
    }),
  );
  return {
    text: () =>
      drifted.length === 0
        ? `${files.map((file) => shown(file.path)).join(", ")}: as planned`
        : diff.join("").trimEnd(),
    json: {
      checked: files.map((file) => shown(file.path)),
      drifted: drifted.map((file) => shown(file.path)),
      diff: diff.join(""),
    },
    exitCode: drifted.length === 0 ? exitCodes.ok : exitCodes.findings,
  };
}

interface Written {
  states: readonly PresentFile[];
  changed: readonly PresentFile[];
  obsolete: readonly { path: string }[];
  next: string | undefined;
}

function written({ states, changed, obsolete, next }: Written): CommandResult {
  const names = (list: readonly { path: string }[]): string[] => list.map((file) => shown(file.path));
  const unchanged = states.filter((state) => !changed.includes(state));
  return {
    text: () =>
      [
        ...names(changed).map((name) => `wrote ${name}`),
        ...names(obsolete).map((name) => `removed ${name}`),
        ...(unchanged.length > 0 ? [`unchanged: ${names(unchanged).join(", ")}`] : []),
        ...(next !== undefined ? [`Next: ${next}`] : []),
      ].join("\n"),
    json: { written: names(changed), unchanged: names(unchanged), removed: names(obsolete) },
  };
}

/** Why a file that is there may not be replaced: nothing, or one error. */
function refusal({ path: target, present, text }: PresentFile): SheafError[] {
  if (present === undefined || sameLines(present, text)) return [];
  const author = authorship(present);
  if (author === "sheaf") return [];
  if (author === "foreign") {
    return [
      new SheafError("SHEAF_NOT_OURS", `${shown(target)} was not written by Sheaf, so it stays as it is`, {
        hint: ["write somewhere else with -o and compare", "or move the file away; --force writes over it"],
      }),
    ];
  }
  return [
    new SheafError("SHEAF_EDITED", `${shown(target)} was changed by hand since Sheaf wrote it, so it stays as it is`, {
      hint: [
        "--check shows the difference; what [tool.sheaf] can say belongs there",
        'to keep the file as your own, delete its line "# Written by Sheaf"; --force writes over the changes',
      ],
    }),
  ];
}

function obsoleteFiles(
  { folder, command }: { folder: string; command: string },
  wanted: ReadonlySet<string>,
): { path: string; present: string }[] {
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return [];
    throw error;
  }
  return names
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => path.join(folder, name))
    .filter((target) => !wanted.has(target))
    .flatMap((target) => {
      const present = fs.lstatSync(target).isFile() ? readIfThere(target) : undefined;
      return present !== undefined && readHeader(present)?.command === command ? [{ path: target, present }] : [];
    });
}

/** Files of this size are nobody's manifest; they count as foreign without being read whole. */
const largest = 4 * 2 ** 20;

function readIfThere(target: string): string | undefined {
  try {
    if (fs.statSync(target).size > largest) return "";
    return fs.readFileSync(target, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (isErrno(error, "EISDIR") || isErrno(error, "ENOTDIR") || isErrno(error, "EACCES")) {
      throw new SheafError("SHEAF_OUTPUT", `${shown(target)} can't be written: it is not a file that can be read`, {
        hint: "name another place with -o",
        cause: error,
      });
    }
    throw error;
  }
}

/** Through a link, so that the link stays one. */
function realPath(target: string): string {
  return fs.existsSync(target) ? fs.realpathSync(target) : target;
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative || ".";
}
