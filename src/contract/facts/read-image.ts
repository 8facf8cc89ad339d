import { availableParallelism } from "node:os";

import type { Image, Layer } from "../../oci/image.ts";
import type { ImageProblem } from "../../oci/image-problem.ts";
import { documentProblems } from "../../oci/validate.ts";
import { layerProblems } from "../../oci/validate-layer.ts";
import type { Interest } from "./content-rules.ts";
import { ImageFacts } from "./image-facts.ts";
import type { ReadingTasks } from "./layer-task.ts";
import { mergeLayers } from "./merge-layers.ts";
import { type LayerReading, readLayer } from "./read-layer.ts";
import { ReadingBudget } from "./reading-budget.ts";

export interface ReadImageOptions {
  interest: Interest;
  signal: AbortSignal;
  /** Read layers that lie on this machine; this thread does unless given. */
  tasks?: ReadingTasks;
  /** Called with each layer that has been read. */
  onLayer?: (index: number) => void;
}

/** Layers under way at once on this thread: while one waits for its inflated bytes, another is hashed. */
const width = 3;
/** Bytes of a blob that is worth a thread. */
const largeLayer = 512 * 1024;

/**
 * Reads everything that static checks ask for, every blob once and as a stream. What is broken is told, not thrown.
 * @throws what the image's source throws: files that can't be read, a network that fails
 */
export async function readImageFacts(image: Image, options: ReadImageOptions): Promise<ImageFacts> {
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

/** Every blob once, also one that is several layers. */
async function readLayers(image: Image, options: ReadImageOptions): Promise<LayerReading[]> {
  const { interest, tasks, onLayer } = options;
  // The first failure ends what the others do.
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const budget = new ReadingBudget(interest, { signal });
  const readings = new Map<string, LayerReading>();
  const readHere = (layer: Layer) => readLayer(stoppable(layer, signal), budget);
  const readOnThread = (layer: Layer) => {
    const { place, mediaType } = layer;
    if (!tasks || !place) return readHere(layer);
    return untilAborted(tasks.layerFacts({ place, mediaType, interest, budget: budget.shared }), signal);
  };
  const isForThread = ({ place, size }: Layer) => tasks !== undefined && place !== undefined && size >= largeLayer;

  const distinct = [...new Map(image.layers.map((layer) => [blobOf(layer), layer])).values()];
  // The longest first, so that none is left for the end.
  const waiting = new Set(distinct.toSorted((a, b) => b.size - a.size));
  const work = async (read: (layer: Layer) => Promise<LayerReading>, isMine: (layer: Layer) => boolean) => {
    for (const layer of waiting) {
      if (!isMine(layer)) continue;
      waiting.delete(layer);
      signal.throwIfAborted();
      const blob = blobOf(layer);
      readings.set(blob, await read(layer));
      for (const [index, each] of image.layers.entries()) if (blobOf(each) === blob) onLayer?.(index);
    }
  };
  // This thread has nothing else to do: it takes a long one too, and short ones while that waits for its decoder.
  const workers = [
    work(readHere, () => true),
    ...Array.from({ length: threads() }, () => work(readOnThread, isForThread)),
    ...Array.from({ length: width - 1 }, () => work(readHere, (layer) => !isForThread(layer))),
  ];
  const ended = workers.map((worker) =>
    worker.catch((error: unknown) => {
      failure.abort(error);
      throw error;
    }),
  );
  for (const outcome of await Promise.allSettled(ended)) if (outcome.status === "rejected") throw outcome.reason;
  return image.layers.flatMap((layer) => readings.get(blobOf(layer)) ?? []);
}

/** Beside this one. Each takes memory, and more hands than cores don't help. */
function threads(): number {
  return Math.min(availableParallelism() - 1, 3);
}

/** What two layers have in common that are read alike. */
function blobOf({ digest, mediaType, place }: Layer): string {
  const where = place && "file" in place ? ` ${place.start} ${place.file}` : "";
  return `${digest} ${mediaType}${where}`;
}

/** Fails as soon as somebody presses Ctrl-C: a thread ends with its pool, not by itself. */
async function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
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
