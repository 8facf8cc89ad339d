import type { ImagePlan, PlannedFile } from "../../plan/image-plan.ts";
import { byCodeUnit } from "../../order.ts";

/** One COPY from the build's context. */
export interface Copy {
  /** From the context's root. */
  sources: string[];
  /** Whether it is one folder, instead of files. */
  folder: boolean;
  /** Folder in the image, without a leading slash. */
  target: string;
  /** Name of the file in the target, where it has another than its source. */
  renamed?: string;
}

/**
 * As few COPYs as bring a plan's files to their places: whole folders where all in them ships to one place, else what is
 * in them. The root itself is never copied whole, so nothing that turns up there later is in the image by chance.
 *
 * @param keptInContext files that the build needs and the image doesn't get: their folders are not copied whole
 */
export function copiesOf(plan: ImagePlan, keptInContext: readonly string[]): Copy[] {
  const files = plan.files.flatMap((file): SourcedFile[] =>
    file.from === undefined ? [] : [{ ...file, from: file.from }],
  );
  const copies: Copy[] = [];
  collect("", files, { copies, kept: keptInContext });
  return copies.toSorted(
    (a, b) => byCodeUnit(a.target, b.target) || byCodeUnit(a.sources[0] ?? "", b.sources[0] ?? ""),
  );
}

type SourcedFile = PlannedFile & { from: string };

interface Collecting {
  copies: Copy[];
  kept: readonly string[];
}

function collect(folder: string, files: readonly SourcedFile[], state: Collecting): void {
  const inside = folder === "" ? 0 : folder.length + 1;
  const target = folder === "" ? undefined : commonTarget(folder, files);
  const holdsKept = state.kept.some((file) => file.startsWith(`${folder}/`));
  if (target !== undefined && !holdsKept) {
    state.copies.push({ sources: [folder], folder: true, target });
    return;
  }
  const folders = new Map<string, SourcedFile[]>();
  const single = new Map<string, string[]>();
  for (const file of files) {
    const rest = file.from.slice(inside);
    const slash = rest.indexOf("/");
    if (slash === -1) addFile(file, { single, copies: state.copies });
    else {
      const child = file.from.slice(0, inside + slash);
      folders.set(child, [...(folders.get(child) ?? []), file]);
    }
  }
  for (const [to, sources] of single)
    state.copies.push({ sources: sources.toSorted(byCodeUnit), folder: false, target: to });
  for (const [child, those] of folders) collect(child, those, state);
}

function addFile(file: SourcedFile, into: { single: Map<string, string[]>; copies: Copy[] }): void {
  const slash = file.path.lastIndexOf("/");
  const target = file.path.slice(0, Math.max(0, slash));
  const name = file.path.slice(slash + 1);
  if (name === file.from.slice(file.from.lastIndexOf("/") + 1))
    into.single.set(target, [...(into.single.get(target) ?? []), file.from]);
  else into.copies.push({ sources: [file.from], folder: false, target, renamed: name });
}

/** Where a folder's files go, when all keep their places in it. */
function commonTarget(folder: string, files: readonly SourcedFile[]): string | undefined {
  const [first] = files;
  if (!first) return undefined;
  const rest = first.from.slice(folder.length);
  if (!first.path.endsWith(rest)) return undefined;
  const target = first.path.slice(0, -rest.length);
  return files.every(({ from, path }) => path === `${target}${from.slice(folder.length)}`) ? target : undefined;
}
