import { availableParallelism } from "node:os";

import type { Image, Layer } from "../../oci/image.ts";
import type { Interest } from "./content-rules.ts";
import type { LayerTask, ReadingTasks } from "./layer-task.ts";
import { type LayerReading, readLayer } from "./read-layer.ts";
import { ReadingBudget } from "./reading-budget.ts";

export interface ReadLayersOptions {
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
 * Reads every blob of an image once, also one that is several layers. This thread has nothing else to do: beside the others
 * it takes a long one too, and short ones while that waits for its decoder.
 * @returns a reading for each layer
 * @throws the first failure, when nobody reads any more
 */
export async function readLayers(image: Image, options: ReadLayersOptions): Promise<LayerReading[]> {
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  const { here, onThread, isForThread } = readers({ ...options, signal });
  const readings = new Map<string, LayerReading>();
  const distinct = [...new Map(image.layers.map((layer) => [blobOf(layer), layer])).values()];
  // The longest first, so that none is left for the end.
  const waiting = new Set(distinct.toSorted((a, b) => b.size - a.size));
  const work = async (read: Read, isMine: (layer: Layer) => boolean): Promise<void> => {
    for (const layer of waiting) {
      if (!isMine(layer)) continue;
      waiting.delete(layer);
      const blob = blobOf(layer);
      try {
        signal.throwIfAborted();
        readings.set(blob, await read(layer));
      } catch (error) {
        failure.abort(error);
        throw error;
      }
      for (const [index, each] of image.layers.entries()) if (blobOf(each) === blob) options.onLayer?.(index);
    }
  };
  const ended = await Promise.allSettled([
    work(here, () => true),
    ...Array.from({ length: threads() }, () => work(onThread, isForThread)),
    ...Array.from({ length: width - 1 }, () => work(here, (layer) => !isForThread(layer))),
  ]);
  for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
  return image.layers.flatMap((layer) => readings.get(blobOf(layer)) ?? []);
}

type Read = (layer: Layer) => Promise<LayerReading>;

interface Readers {
  here: Read;
  onThread: Read;
  isForThread: (layer: Layer) => boolean;
}

function readers({ interest, signal, tasks }: ReadLayersOptions): Readers {
  const budget = new ReadingBudget(interest, { signal });
  const here = (layer: Layer) => readLayer(stoppable(layer, signal), budget);
  return {
    here,
    onThread: (layer) => {
      const { place, mediaType } = layer;
      if (!tasks || !place) return here(layer);
      const task: LayerTask = { place, mediaType, interest, budget: budget.shared };
      return untilAborted(tasks.layerFacts(task), signal);
    },
    isForThread: ({ place, size }) => tasks !== undefined && place !== undefined && size >= largeLayer,
  };
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
