import { mapConcurrently } from "../concurrency.ts";
import { ImageFacts } from "../contract/facts/image-facts.ts";
import { mergeLayers } from "../contract/facts/merge-layers.ts";
import { ReadingBudget } from "../contract/facts/reading-budget.ts";
import { type LayerReading, readLayer } from "../contract/facts/read-layer.ts";
import { SheafError } from "../errors.ts";
import type { Image, Layer } from "../oci/image.ts";

/** Layers under way at once: while one waits for its inflated bytes, another is hashed. */
const width = 3;

/**
 * Reads what two images hold, each layer once, though both have it.
 * @throws SheafError SHEAF_IMAGE for a layer that can't be read or isn't what the image says
 */
export async function readSides(
  images: readonly [Image, Image],
  signal: AbortSignal,
): Promise<readonly [ImageFacts, ImageFacts]> {
  const layers = new Map(images.flatMap((image) => image.layers.map((layer) => [layer.diffId, { layer, image }])));
  const budget = new ReadingBudget({ startModules: new Set(), files: new Set() });
  const readings = new Map<string, LayerReading>();
  await mapConcurrently([...layers.values()], width, async ({ layer, image }) => {
    const reading = await readLayer(stoppable(layer, signal), budget);
    signal.throwIfAborted();
    const number = image.layers.indexOf(layer) + 1;
    if (reading.unreadable !== undefined) throw broken(number, image, reading.unreadable);
    if (reading.diffId !== layer.diffId) throw broken(number, image, "it is not what the image's config names");
    readings.set(layer.diffId, reading);
  });
  const [a, b] = images;
  return [factsOf(a, readings), factsOf(b, readings)];
}

function factsOf(image: Image, all: ReadonlyMap<string, LayerReading>): ImageFacts {
  const readings = image.layers.flatMap(({ diffId }) => all.get(diffId) ?? []);
  const { files, secrets, lost, problems } = mergeLayers(readings);
  const layers = readings.map(({ compressed, unpacked, entries }, index) => ({
    index,
    digest: image.layers[index]?.digest ?? "",
    compressed,
    unpacked,
    createdBy: image.layers[index]?.createdBy ?? "",
    entries: entries.length,
  }));
  return new ImageFacts({ files, secrets, lost, layers, problems });
}

function stoppable(layer: Layer, signal: AbortSignal): Layer {
  const compressed = async function* () {
    for await (const chunk of layer.compressed()) {
      signal.throwIfAborted();
      yield chunk;
    }
  };
  return { ...layer, compressed };
}

function broken(number: number, image: Image, why: string): SheafError {
  return new SheafError("SHEAF_IMAGE", `layer ${number} of ${image.digest} can't be read: ${why}`, {
    hint: "build or save the image again",
  });
}
