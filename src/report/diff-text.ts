import type {
  ConfigChange,
  FileChange,
  FileDiff,
  FileState,
  ImageDiff,
  LayerDiff,
  LayerRef,
  SideSummary,
  VersionChange,
  VersionDiff,
} from "../diff/image-diff.ts";
import { byCodeUnit } from "../order.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style, wrap } from "./text.ts";

/** Rows of one section that a person still reads; the rest is counted. */
const mostRows = 20;

export interface DiffTextOptions {
  style: Style;
  width: number;
  /** Every file, instead of counts by owner. */
  files: boolean;
}

/** Two images side by side: sizes first, then what differs, section by section. */
export function diffText(diff: ImageDiff, options: DiffTextOptions): string {
  const { distributions, debian, config, files, layers } = diff;
  const sections = [
    heading(diff, options),
    sizes(diff, options),
    ...(distributions ? [versions("distributions", distributions, options)] : []),
    ...(debian ? [versions("Debian packages", debian, options)] : []),
    ...(config ? [configText(config, options)] : []),
    ...(files ? [options.files ? fileList(files, options) : fileGroups(files, options)] : []),
    ...(layers ? [layerText(layers, options)] : []),
  ];
  return sections.map((lines) => lines.join("\n")).join("\n\n");
}

function heading({ a, b }: ImageDiff, { style, width }: DiffTextOptions): string[] {
  const row = (mark: string, { title, from, digest }: SideSummary) => [
    style.bold(mark),
    shorten(printable(title), Math.max(16, width - 36)),
    style.dim(`${from} · ${digest.slice(0, 19)}`),
  ];
  return alignColumns([row("a", a), row("b", b)]);
}

function sizes({ a, b, equal }: ImageDiff, { style }: DiffTextOptions): string[] {
  const bytes = (label: string, left: number | undefined, right: number | undefined): string[][] =>
    left === undefined || right === undefined
      ? []
      : [[label, formatBytes(left), formatBytes(right), signed(right - left, formatBytes)]];
  const counts = (label: string, left: number, right: number) => [
    label,
    `${left}`,
    `${right}`,
    signed(right - left, String),
  ];
  const rows = [
    ["", "a", "b", ""].map((cell) => style.dim(cell)),
    ...bytes("unpacked", a.unpacked, b.unpacked),
    ...bytes("compressed", a.compressed, b.compressed),
    counts("layers", a.layers, b.layers),
    ...(a.paths === undefined || b.paths === undefined ? [] : [counts("files", a.paths, b.paths)]),
  ];
  const verdict = equal ? [style.green("No difference in what was compared.")] : [];
  return [...alignColumns(rows, [1, 2, 3]).map((line) => `  ${line}`), ...verdict];
}

function signed(difference: number, format: (value: number) => string): string {
  if (difference === 0) return "same";
  return `${difference > 0 ? "+" : "−"}${format(Math.abs(difference))}`;
}

function versions(title: string, { same, changes }: VersionDiff, options: DiffTextOptions): string[] {
  const { style } = options;
  // What changed comes first: it is what people look for, and lists are cut.
  const rank = ({ a, b }: VersionChange) => (a !== undefined && b !== undefined ? 0 : b === undefined ? 1 : 2);
  const rows = changes
    .toSorted((left, right) => rank(left) - rank(right))
    .map(({ name, a, b }) => [
      mark(a === undefined, b === undefined, style),
      printable(name),
      printable(a !== undefined && b !== undefined ? `${a} → ${b}` : (a ?? b ?? "")),
    ]);
  const changed = changes.filter(({ a, b }) => a !== undefined && b !== undefined).length;
  const added = changes.filter(({ a }) => a === undefined).length;
  const counts = { same, changed, added, removed: changes.length - changed - added };
  return [...titleOf(title, counts, options), ...table(rows, options)];
}

interface Counts {
  same?: number;
  changed: number;
  added: number;
  removed: number;
}

function titleOf(title: string, { same, changed, added, removed }: Counts, options: DiffTextOptions): string[] {
  const counts: [number | undefined, string][] = [
    [same, "the same"],
    [changed, "changed"],
    [added, "only in b"],
    [removed, "only in a"],
  ];
  const words = counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
  return titled(title, words.length > 0 ? words : ["none"], options);
}

/** A section's name and its facts, on several lines where one is too short. */
function titled(title: string, facts: readonly string[], { style, width }: DiffTextOptions): string[] {
  const [first = "", ...more] = wrap(facts.join(" · "), Math.max(20, width - title.length - 2));
  return [`${style.bold(title)}  ${first}`, ...more.map((line) => `  ${line}`)];
}

/** `+` only in b, `-` only in a, `~` in both and different. */
function mark(added: boolean, removed: boolean, style: Style): string {
  if (added) return style.green("+");
  return removed ? style.red("-") : style.yellow("~");
}

/** @param right columns that hold figures */
function table(rows: string[][], { style, width }: DiffTextOptions, right: readonly number[] = []): string[] {
  const shown = rows.slice(0, mostRows);
  const more = rows.length - shown.length;
  return [
    ...alignColumns(shown, right).map((line) => `  ${cut(line, width - 2)}`),
    ...(more > 0 ? [`  ${style.dim(`and ${more} more: --json has them all`)}`] : []),
  ];
}

/** Only lines without colours at their end can be cut. */
function cut(line: string, width: number): string {
  const escapes = line.lastIndexOf("\u001b");
  return escapes === -1 ? shorten(line, width) : shorten(line, Math.max(width + escapes, escapes + 5));
}

function configText(changes: readonly ConfigChange[], options: DiffTextOptions): string[] {
  const { style } = options;
  if (changes.length === 0) return [`${style.bold("config")}  the same`];
  const counts = {
    changed: changes.filter(({ a, b }) => a !== undefined && b !== undefined).length,
    added: changes.filter(({ a }) => a === undefined).length,
    removed: changes.filter(({ b }) => b === undefined).length,
  };
  const rows = changes.flatMap(({ field, a, b }) => {
    const sign = mark(a === undefined, b === undefined, style);
    if (a === undefined || b === undefined) return [[sign, printable(field), printable(a ?? b ?? "")]];
    const fits = a.length + b.length < 50;
    if (fits) return [[sign, printable(field), printable(`${a} → ${b}`)]];
    return [
      [sign, printable(field), `a ${printable(a)}`],
      ["", "", `b ${printable(b)}`],
    ];
  });
  const lines = alignColumns(rows).map((line) => `  ${cut(line, options.width - 2)}`);
  return [...titleOf("config", counts, options), ...lines];
}

function fileCounts({ same, changes }: FileDiff): Counts {
  const count = (how: FileChange["how"]) => changes.filter((change) => change.how === how).length;
  return { same, changed: count("changed"), added: count("added"), removed: count("removed") };
}

function fileGroups(diff: FileDiff, options: DiffTextOptions): string[] {
  const { style } = options;
  const groups = new Map<string, { changes: FileChange[]; bytes: number }>();
  for (const change of withoutFolders(diff.changes)) {
    const name = change.owner?.replace(/ [^ ]*$/, "") ?? `${placeOf(change.path)} of no package`;
    const group = groups.get(name) ?? { changes: [], bytes: 0 };
    group.changes.push(change);
    group.bytes += (change.b?.size ?? 0) - (change.a?.size ?? 0);
    groups.set(name, group);
  }
  const sorted = [...groups].toSorted(
    ([left, a], [right, b]) => Math.abs(b.bytes) - Math.abs(a.bytes) || byCodeUnit(left, right),
  );
  const rows = sorted.map(([name, { changes, bytes }]) => {
    const only = (how: FileChange["how"]) => changes.every((change) => change.how === how);
    return [
      mark(only("added"), only("removed"), style),
      shorten(printable(name), 40),
      bytes === 0 ? "" : signed(bytes, formatBytes),
      describe(changes),
    ];
  });
  const times = diff.otherTimes > 0 ? [`  ${style.dim(`in time alone: ${plural(diff.otherTimes, "file")}`)}`] : [];
  const more = sorted.length > 0 ? [`  ${style.dim("--files lists them")}`] : [];
  return [...titleOf("files", fileCounts(diff), options), ...table(rows, options, [2]), ...times, ...more];
}

/** `210 files`, or what of them differs: `3 in content, 1 in mode`. */
function describe(changes: readonly FileChange[]): string {
  const count = (how: FileChange["how"]) => changes.filter((change) => change.how === how).length;
  const aspects = new Map<string, number>();
  for (const { aspects: each } of changes)
    for (const aspect of each) aspects.set(aspect, (aspects.get(aspect) ?? 0) + 1);
  return [
    ...(count("added") > 0 ? [`${count("added")} only in b`] : []),
    ...(count("removed") > 0 ? [`${count("removed")} only in a`] : []),
    ...[...aspects].map(([aspect, many]) => `${many} in ${aspect}`),
  ].join(", ");
}

/** Folders that are there or not because of what is in them say nothing. */
function withoutFolders(changes: readonly FileChange[]): FileChange[] {
  const filled = new Set<string>();
  for (const { path, how } of changes) {
    if (how === "changed") continue;
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1))
      filled.add(path.slice(0, slash));
  }
  return changes.filter(
    ({ path, how, a, b }) => how === "changed" || (b ?? a)?.type !== "directory" || !filled.has(path),
  );
}

/** `app/`, `usr/local/lib/python3.12/` */
function placeOf(path: string): string {
  const python = /^(?:.*\/)?lib\/python3\.\d+\/(?:(?:site|dist)-packages\/)?/.exec(path)?.[0];
  if (python !== undefined) return python;
  const segments = path.split("/");
  const depth = ["usr", "var", "opt", "home"].includes(segments[0] ?? "") ? 2 : 1;
  return segments.length <= depth
    ? segments
        .slice(0, -1)
        .map((each) => `${each}/`)
        .join("") || "/"
    : `${segments.slice(0, depth).join("/")}/`;
}

function fileList(diff: FileDiff, options: DiffTextOptions): string[] {
  const { style } = options;
  const rows = diff.changes.map((change) => [
    mark(change.how === "added", change.how === "removed", style),
    printable(change.path),
    fileDetail(change),
    printable(change.owner ?? ""),
  ]);
  return [...titleOf("files", fileCounts(diff), options), ...alignColumns(rows).map((line) => `  ${line}`)];
}

function fileDetail({ aspects, a, b }: FileChange): string {
  if (!a || !b) return stateText(a ?? b);
  const details = aspects.map((aspect) => {
    if (aspect === "type") return `${a.type} → ${b.type}`;
    if (aspect === "content") return a.size === b.size ? "content" : `${formatBytes(a.size)} → ${formatBytes(b.size)}`;
    if (aspect === "mode") return `mode ${octal(a.mode)} → ${octal(b.mode)}`;
    if (aspect === "owner") return `owner ${a.uid}:${a.gid} → ${b.uid}:${b.gid}`;
    return `→ ${printable(a.target ?? "")}, → ${printable(b.target ?? "")}`;
  });
  return details.join(", ");
}

function stateText(state: FileState | undefined): string {
  if (!state) return "";
  if (state.type === "file") return formatBytes(state.size);
  return state.type === "symlink" ? `→ ${printable(state.target ?? "")}` : state.type;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(3, "0");
}

function layerText({ shared, onlyA, onlyB, sameOrder }: LayerDiff, options: DiffTextOptions): string[] {
  const { style, width } = options;
  const bytes = shared.reduce((sum, { unpacked, compressed }) => sum + (unpacked ?? compressed), 0);
  const facts = [
    shared.length > 0 ? `${shared.length} shared, ${formatBytes(bytes)}` : "none shared",
    ...(onlyB.length > 0 ? [`${onlyB.length} only in b`] : []),
    ...(onlyA.length > 0 ? [`${onlyA.length} only in a`] : []),
    ...(sameOrder ? [] : ["in another order"]),
  ];
  const row = (sign: string, layer: LayerRef) => [
    sign,
    formatBytes(layer.unpacked ?? layer.compressed),
    shorten(printable(layer.createdBy) || layer.diffId.slice(0, 19), Math.max(30, width - 16)),
  ];
  const rows = [
    ...onlyA.map((layer) => row(style.red("-"), layer)),
    ...onlyB.map((layer) => row(style.green("+"), layer)),
  ];
  return [...titled("layers", facts, options), ...table(rows, options)];
}
