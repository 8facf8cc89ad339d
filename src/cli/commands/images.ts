import { listImages, storedSizes } from "../../assemble/stored-images.ts";
import { alignColumns, formatBytes } from "../../report/text.ts";
import type { Command } from "../command.ts";

export const images: Command = {
  name: "images",
  summary: "list the images in the store",
  options: [],
  async run(_input, context) {
    const sizes = storedSizes(context.store);
    const rows = listImages(context.store).map((image) => ({
      reference: image.reference,
      platform: image.platform,
      digest: image.digest,
      built: new Date(image.builtAt).toISOString(),
      ...(sizes.get(`${image.reference} ${image.platform}`) ?? { compressed: 0, unpacked: 0, layers: 0 }),
    }));
    return {
      json: { images: rows },
      text: (style) =>
        rows.length === 0
          ? "The store has no images. sheaf build makes one."
          : alignColumns(
              [
                ["image", "platform", "unpacked", "compressed", "layers", "digest", "built"].map((cell) =>
                  style.dim(cell),
                ),
                ...rows.map((row) => [
                  row.reference,
                  row.platform,
                  formatBytes(row.unpacked),
                  formatBytes(row.compressed),
                  String(row.layers),
                  row.digest.slice(0, 19),
                  row.built.slice(0, 16).replace("T", " "),
                ]),
              ],
              [2, 3, 4],
            ).join("\n"),
    };
  },
};
