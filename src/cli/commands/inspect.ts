import { type ImageOrigin, openImageReference, type OpenedReference } from "../../assemble/open-reference.ts";
import { newestOf } from "../../assemble/stored-images.ts";
import type { Image } from "../../oci/image.ts";
import { kindOf, layerHistory } from "../../oci/history.ts";
import { alignColumns, formatBytes, plural, printable, shorten, type Style } from "../../report/text.ts";
import { normalizeName } from "../../wheel/filename.ts";
import { type Command, flagOption, textOption } from "../command.ts";
import type { Context } from "../context.ts";

export const inspect: Command = {
  name: "inspect",
  summary: "show layers, sizes and who brought which file",
  arguments: [
    {
      name: "image",
      summary:
        "tag or digest, OCI layout, archive, image in Docker, Podman or a registry; the newest of this folder unless given",
    },
  ],
  options: [
    { flags: "--files", summary: "list every file with its size and who brought it" },
    { flags: "--path <prefix>", summary: "only files below this path" },
    { flags: "--owner <name>", summary: "only files that this package brought" },
  ],
  examples: [
    "sheaf inspect",
    "sheaf inspect demeterai-api --owner pillow",
    "sheaf inspect dist/api --path usr/local/bin --json",
    "sheaf inspect registry.example.test/team/app:1.0 --files",
  ],
  async run(input, context) {
    const opened = await open(input.arguments[0], context);
    const { image, layers } = opened;
    const summary = {
      from: opened.from,
      digest: image.digest,
      platform: `${image.platform.os}/${image.platform.architecture}`,
      config: image.config.config ?? {},
      layers,
    };
    const prefix = textOption(input, "path")?.replace(/^\/+/, "");
    const owner = textOption(input, "owner");
    if (!flagOption(input, "files") && prefix === undefined && owner === undefined) {
      return { json: summary, text: (style) => summaryText(opened, style) };
    }
    const { readFiles } = await import("../../inspect/read-files.ts");
    const all = await readFiles(image, context.signal, context.pool.tasks);
    const files = all.filter(
      (file) =>
        (prefix === undefined || file.path === prefix || file.path.startsWith(`${prefix.replace(/\/$/, "")}/`)) &&
        (owner === undefined || [owner, normalizeName(owner)].includes(file.owner?.split(" ")[0] ?? "")),
    );
    return {
      json: { ...summary, files },
      text: (style, width) =>
        alignColumns(
          files
            .filter((file) => file.type !== "directory")
            .map((file) => [
              formatBytes(file.size),
              shorten(printable(file.path), Math.max(30, width - 50)),
              style.dim(file.owner ?? layers[file.layer]?.name ?? ""),
            ]),
          [0],
        ).join("\n"),
    };
  },
};

interface Opened {
  title: string;
  from: ImageOrigin;
  image: Image;
  layers: {
    name: string;
    kind: string;
    digest: string;
    diffId: string;
    compressed: number;
    /** Undefined for an image of a registry: to count would be to fetch it all. */
    unpacked?: number;
    contents: { name: string; version: string; compressed: number; unpacked: number }[];
  }[];
}

async function open(name: string | undefined, context: Context): Promise<Opened> {
  const opened = await openImageReference(name ?? newestOf(context.store, context.directory), context);
  context.onClose(opened.close);
  const { title, image, from, stored } = opened;
  if (!stored) return { title, image, from, layers: await describeLayers(opened) };
  const layers = stored.layers.map(({ name: layer, record, contents }) => ({
    name: layer,
    kind: record.kind,
    digest: record.digest,
    diffId: record.diffId,
    compressed: record.size,
    unpacked: record.unpackedSize,
    contents,
  }));
  return { title, image, from, layers };
}

/** Of an image that says nothing of its layers but their digests. */
async function describeLayers({ image, from }: OpenedReference): Promise<Opened["layers"]> {
  const history = layerHistory(image.config.history);
  const layers: Opened["layers"] = [];
  for (const [index, layer] of image.layers.entries()) {
    layers.push({
      name: history[index]?.created_by ?? `layer ${index + 1}`,
      kind: kindOf(history[index]),
      digest: layer.digest,
      diffId: layer.diffId,
      compressed: layer.size,
      ...(from === "registry" ? {} : { unpacked: layer.unpackedSize || (await countBytes(layer.uncompressed())) }),
      contents: [],
    });
  }
  return layers;
}

async function countBytes(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of chunks) size += chunk.length;
  return size;
}

/** Where an image was found, for those of which its name doesn't tell. */
const places: Record<ImageOrigin, string> = {
  store: "",
  layout: "",
  archive: "",
  docker: " · in Docker",
  podman: " · in Podman",
  registry: " · in its registry",
};

function summaryText({ title, image, layers, from }: Opened, style: Style): string {
  const config = image.config.config ?? {};
  const total = (pick: (layer: Opened["layers"][number]) => number | undefined) =>
    layers.reduce<number | undefined>((sum, layer) => addKnown(sum, pick(layer)), 0);
  const rows = [
    ["layer", "unpacked", "compressed", "holds"].map((cell) => style.dim(cell)),
    ...layers.map((layer) => [
      shorten(printable(layer.name), 48),
      bytesOrDash(layer.unpacked),
      formatBytes(layer.compressed),
      style.dim(holds(layer.contents)),
    ]),
    [
      "total",
      bytesOrDash(total((layer) => layer.unpacked)),
      bytesOrDash(total((layer) => layer.compressed)),
      plural(layers.length, "layer"),
    ],
  ];
  const facts: [string, string | undefined][] = [
    ["command", [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])].join(" ")],
    ["user", config.User],
    ["workdir", config.WorkingDir],
    ["ports", Object.keys(config.ExposedPorts ?? {}).join(" ")],
    ["health", config.Healthcheck?.Test?.join(" ")],
    ["env", config.Env?.join(" ")],
  ];
  return [
    `${style.bold(title)} ${style.dim(`${image.digest}${places[from]}`)}`,
    ...alignColumns(rows, [1, 2]).map((line) => `  ${line}`),
    "",
    ...alignColumns(
      facts.filter(([, value]) => value).map(([label, value]) => [`  ${style.dim(label)}`, printable(value ?? "")]),
    ),
  ].join("\n");
}

function addKnown(sum: number | undefined, more: number | undefined): number | undefined {
  return sum === undefined || more === undefined ? undefined : sum + more;
}

function bytesOrDash(bytes: number | undefined): string {
  return bytes === undefined ? "–" : formatBytes(bytes);
}

function holds(contents: Opened["layers"][number]["contents"]): string {
  if (contents.length <= 1) return "";
  const largest = contents.toSorted((a, b) => b.unpacked - a.unpacked).slice(0, 4);
  return `${largest.map((each) => each.name).join(", ")}${contents.length > 4 ? ` and ${contents.length - 4} more` : ""}`;
}
