import type { BuiltLayer } from "../assemble/assemble.ts";
import { deviceFacts, type DeviceView } from "./device-text.ts";
import { noteLines } from "./note-lines.ts";
import { alignColumns, formatBytes, formatSeconds, plural, printable, shorten, type Style, wrap } from "./text.ts";

/** What came of building one image. */
export interface BuildView {
  name: string;
  platform: string;
  references: string[];
  digest: string;
  layers: BuiltLayer[];
  seconds: number;
  stripped: { bytes: number; files: number };
  /** What it has for GPUs. */
  device?: DeviceView;
  secrets: string[];
  notes: { level: "note" | "warning"; message: string; hint?: string }[];
  budget?: number;
  /** Where else it was put: `written to dist/api`, `loaded into Docker (3 layers sent)`. */
  delivered: string[];
}

/** A short table: layers with their sizes, what was reused, the digest, the time. */
export function buildText(views: BuildView[], style: Style, width: number): string {
  const next = style.dim("Next: sheaf run · sheaf inspect · sheaf build --load");
  return [...views.map((view) => imageText(view, style, width)), next].join("\n");
}

function imageText(view: BuildView, style: Style, width: number): string {
  const { layers } = view;
  const fresh = layers.filter((layer) => !layer.reused).length;
  const narrow = width < 80;
  const total = `${plural(layers.length, "layer")}, ${fresh} new · ${formatSeconds(view.seconds)}`;
  const name = (text: string) => shorten(printable(text), width - 28);
  const rows = [
    ["layer", "unpacked", narrow ? "packed" : "compressed", ""].map((cell) => style.dim(cell)),
    ...foldReused(layers).map((row) => [
      name(row.name),
      formatBytes(row.unpacked),
      formatBytes(row.compressed),
      row.reused ? style.dim(narrow ? "cached" : "from cache") : style.green("new"),
    ]),
    [
      style.bold(name(view.references[0] ?? view.name)),
      formatBytes(sum(layers.map(({ record }) => record.unpackedSize))),
      formatBytes(sum(layers.map(({ record }) => record.size))),
      narrow ? "" : total,
    ],
  ];
  const facts = [
    ...view.delivered,
    ...(view.stripped.bytes > 100_000
      ? [
          `${formatBytes(view.stripped.bytes)} of debug sections left out of ${plural(view.stripped.files, "library", "libraries")} (strip = false keeps them)`,
        ]
      : []),
    ...(view.device ? deviceFacts(view.device) : []),
    ...(view.secrets.length > 0
      ? [
          `kept out: ${view.secrets.slice(0, 6).join(", ")}${view.secrets.length > 6 ? ` and ${view.secrets.length - 6} more` : ""}`,
        ]
      : []),
  ];
  return [
    `${style.bold(view.name)} ${style.dim(`· ${view.platform}`)}`,
    ...alignColumns(rows, [1, 2]).map((line) => `  ${line}`),
    ...(narrow ? [`  ${total}`] : []),
    `  ${style.dim(shorten(view.digest, width - 2))}`,
    "",
    ...facts.flatMap((line) => wrap(printable(line), width - 2).map((part) => `  ${part}`)),
    ...noteLines(view.notes, style, width),
    ...(facts.length + view.notes.length > 0 ? [""] : []),
  ].join("\n");
}

interface LayerRow {
  name: string;
  unpacked: number;
  compressed: number;
  reused: boolean;
}

/** Shared layers of small packages are one line for those that are new and one for the rest. */
function foldReused(layers: BuiltLayer[]): LayerRow[] {
  const rows: LayerRow[] = [];
  const folded = new Map<boolean, LayerRow & { packages: number; layers: number }>();
  for (const { name, record, reused, contents } of layers) {
    const row = { name, unpacked: record.unpackedSize, compressed: record.size, reused };
    if (record.kind !== "packages") {
      rows.push(row);
      continue;
    }
    const standing = folded.get(reused);
    if (standing) {
      standing.unpacked += row.unpacked;
      standing.compressed += row.compressed;
      standing.packages += contents.length;
      standing.layers += 1;
    } else {
      const fold = { ...row, packages: contents.length, layers: 1 };
      folded.set(reused, fold);
      rows.push(fold);
    }
  }
  for (const fold of folded.values())
    fold.name = `${plural(fold.packages, "small package")} in ${plural(fold.layers, "layer")}`;
  return rows;
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
