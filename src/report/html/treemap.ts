import { formatBytes } from "../../units.ts";
import type { ByteNode, BytesKind } from "./byte-tree.ts";
import { markup, type Markup, trusted } from "./markup.ts";
import { type Rectangle, squarify } from "./squarify.ts";

/** Size of the map on a desktop, in pixels: what fits a label is decided by it. */
const stage = { width: 1080, height: 600 };
/** How much narrower it is on a phone. */
const phone = 0.3;
/** Height of the line above a node's children. */
const caption = 20;
const padding = 3;

const kinds: Record<BytesKind, string> = {
  python: "Python distributions",
  debian: "Debian packages",
  own: "files of no package",
  lost: "deleted or replaced later",
};

/**
 * The image's bytes as nested rectangles, which are a tree of lists: layers, in them who brought the bytes, in those folders.
 * Each node has two places: inside its parent as that is seen from outside, and on the whole stage when the parent is zoomed to.
 */
export function treemap(tree: ByteNode): Markup {
  const layers = [...tree.children].sort((a, b) => b.bytes - a.bytes);
  const places = squarify(
    layers.map(({ bytes }) => bytes),
    stage,
  );
  const used = new Set(layers.flatMap(({ children }) => children.map(({ kind }) => kind ?? "own")));
  const legend = Object.entries(kinds).filter(([kind]) => used.has(kind as BytesKind));
  const items = layers.map((layer, index) => {
    const place = places[index] ?? whole;
    return nodeMarkup(layer, { level: 1, nested: place, full: place, stage, total: tree.bytes });
  });
  return markup`<nav class="crumbs" aria-label="Zoom of the map"></nav>
    <div class="map zoomed" data-name="the image" data-text="the image, ${formatBytes(tree.bytes)}">
      <ul class="kids" role="tree" aria-label="Bytes of the image by layer, package and folder">
        ${items}
      </ul>
    </div>
    <p class="told" role="status">
      A click or Enter looks into a rectangle, Escape goes back, arrow keys go from one to the next.
    </p>
    <ul class="legend">
      ${legend.map(([kind, name]) => markup`<li class="${kind}">${name}</li>`)}
    </ul>`;
}

const whole: Rectangle = { left: 0, top: 0, width: 100, height: 100 };

interface Placing {
  level: number;
  nested: Rectangle;
  full: Rectangle;
  /** Pixels of what `nested` lies in. */
  stage: { width: number; height: number };
  /** Bytes of the image. */
  total: number;
}

function nodeMarkup(node: ByteNode, placing: Placing): Markup {
  const { level, nested, full, total } = placing;
  const size = formatBytes(node.bytes);
  const told = `${node.name}, ${size}, ${share(node.bytes, total)} of the image${node.detail === undefined ? "" : `: ${node.detail.slice(0, 300)}`}`;
  const inner = pixelsOf(nested, placing.stage);
  const outer = pixelsOf(full, stage);
  const classes = [
    "node",
    ["", "layer", "owner", "folder"][level],
    node.kind,
    ...(fitsLabel(inner) ? [] : ["small"]),
    ...(fitsLabel(outer) ? [] : ["small-full"]),
    ...(fitsLabel({ width: inner.width * phone, height: inner.height }) ? [] : ["tight"]),
    ...(fitsLabel({ width: outer.width * phone, height: outer.height }) ? [] : ["tight-full"]),
  ].filter((each) => each !== undefined);
  const style = trusted(placeStyle(nested, full));
  return markup`<li
    class="${classes.join(" ")}"
    role="treeitem"
    aria-level="${level}"
    tabindex="-1"
    aria-label="${told}"
    ${node.children.length > 0 ? trusted('aria-expanded="false"') : undefined}
    data-name="${node.name}"
    style="${style}"
  >
    <span class="label"><b>${node.name}</b> <i>${size}</i></span>
    ${childrenMarkup(node, placing)}
  </li>`;
}

function childrenMarkup(node: ByteNode, { level, nested, stage: outside, full, total }: Placing): Markup | undefined {
  if (node.children.length === 0) return undefined;
  const values = node.children.map(({ bytes }) => bytes);
  // Owners are seen inside a layer from afar; folders inside an owner only once their layer is zoomed to.
  const inside = inset(level === 1 ? pixelsOf(nested, outside) : pixelsOf(full, stage));
  const [small, large] = [squarify(values, inside), squarify(values, stage)];
  const items = node.children.map((child, index) =>
    nodeMarkup(child, {
      level: level + 1,
      nested: small[index] ?? whole,
      full: large[index] ?? whole,
      stage: inside,
      total,
    }),
  );
  return markup`<ul class="kids" role="group">
    ${items}
  </ul>`;
}

function inset({ width, height }: { width: number; height: number }): { width: number; height: number } {
  return { width: Math.max(1, width - 2 * padding), height: Math.max(1, height - caption - padding) };
}

function pixelsOf({ width, height }: Rectangle, outside: { width: number; height: number }) {
  return { width: (width / 100) * outside.width, height: (height / 100) * outside.height };
}

function fitsLabel({ width, height }: { width: number; height: number }): boolean {
  return width >= 42 && height >= 18;
}

function placeStyle(nested: Rectangle, full: Rectangle): string {
  const values = ({ left, top, width, height }: Rectangle, names: string) =>
    [left, top, width, height].map((value, index) => `--${names[index]}:${Number(value.toFixed(2))}`).join(";");
  return `${values(nested, "xywh")};${values(full, "XYWH")}`;
}

function share(bytes: number, total: number): string {
  const percent = (bytes / Math.max(1, total)) * 100;
  return percent < 0.1 ? "under 0.1 %" : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}
