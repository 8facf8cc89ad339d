import type { Image } from "../../oci/image.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";
import { documentProblems } from "../../oci/validate.ts";
import { layerProblems } from "../../oci/validate-layer.ts";
import { ImageFacts } from "./image-facts.ts";
import { mergeLayers } from "./merge-layers.ts";
import type { LayerReading } from "./read-layer.ts";
import { readLayers, type ReadLayersOptions } from "./read-layers.ts";

/**
 * Reads everything that static checks ask for, every blob once and as a stream. What is broken is told, not thrown.
 * @throws what the image's source throws: files that can't be read, a network that fails
 */
export async function readImageFacts(image: Image, options: ReadLayersOptions): Promise<ImageFacts> {
  const readings = await readLayers(image, options);
  const { files, secrets, lost, problems } = mergeLayers(readings);
  return new ImageFacts({
    files,
    secrets,
    lost,
    layers: readings.map((reading, index) => ({
      index,
      digest: image.layers[index]?.digest ?? "",
      compressed: reading.compressed,
      unpacked: reading.unpacked,
      createdBy: image.layers[index]?.createdBy ?? "",
      entries: reading.entries.length,
    })),
    problems: [...documentProblems(image), ...measuredProblems(image, readings), ...problems],
  });
}

function measuredProblems(image: Image, readings: readonly LayerReading[]): ImageProblem[] {
  return readings.flatMap((reading, index) => {
    const layer = image.layers[index];
    return layer ? [...layerProblems({ layer, index }, reading)] : [];
  });
}
