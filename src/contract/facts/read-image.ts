import { mapConcurrently } from "../../concurrency.ts";
import type { Image, Layer } from "../../oci/image.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";
import { documentProblems } from "../../oci/validate.ts";
import { layerProblems } from "../../oci/validate-layer.ts";
import type { Interest } from "./content-rules.ts";
import { ImageFacts } from "./image-facts.ts";
import { mergeLayers } from "./merge-layers.ts";
import { ReadingBudget } from "./read-content.ts";
import { type LayerReading, readLayer } from "./read-layer.ts";

export interface ReadImageOptions {
  interest: Interest;
  signal: AbortSignal;
  /** Called with each layer that has been read. */
  onLayer?: (index: number) => void;
}

/** Layers under way at once: while one waits for its inflated bytes, another is hashed. */
const width = 3;

/**
 * Reads everything that static checks ask for, every blob once and as a stream. What is broken is told, not thrown.
 * @throws what the image's source throws: files that can't be read, a network that fails
 */
export async function readImageFacts(
  image: Image,
  { interest, signal, onLayer }: ReadImageOptions,
): Promise<ImageFacts> {
  const budget = new ReadingBudget(interest);
  const readings = await mapConcurrently([...image.layers.entries()], width, async ([index, layer]) => {
    signal.throwIfAborted();
    const reading = await readLayer(stoppable(layer, signal), budget);
    onLayer?.(index);
    return reading;
  });
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

/** The layer's bytes until somebody presses Ctrl-C. */
function stoppable(layer: Layer, signal: AbortSignal): Layer {
  return {
    ...layer,
    compressed: async function* () {
      for await (const chunk of layer.compressed()) {
        signal.throwIfAborted();
        yield chunk;
      }
    },
  };
}
