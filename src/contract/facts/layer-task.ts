import { isMainThread } from "node:worker_threads";

import { blockSize } from "../../archive/tar-format.ts";
import { type BlobPlace, lendFile, streamPlace } from "../../oci/blob-place.ts";
import type { FilePlace } from "../../oci/blob-source.ts";
import type { Interest } from "./content-rules.ts";
import { type LayerReading, readLayer } from "./read-layer.ts";
import { ReadingBudget } from "./reading-budget.ts";

/** A layer that lies on this machine, to be read on any thread. */
export interface LayerTask {
  place: BlobPlace;
  mediaType: string;
  interest: Interest;
  /** Of the image's `ReadingBudget`. */
  budget: SharedArrayBuffer;
}

/** Reading layers, as work that is worth a thread. */
export interface ReadingTasks {
  layerFacts: (task: LayerTask) => Promise<LayerReading>;
}

export async function readLayerTask({ place, mediaType, interest, budget }: LayerTask): Promise<LayerReading> {
  const isLent = !isMainThread && "file" in place && isArchive(place);
  const compressed = () => (isLent ? lent(place) : streamPlace(place));
  return readLayer({ mediaType, compressed }, new ReadingBudget(interest, { shared: budget }));
}

/** What isn't compressed is looked at where it was read: no decoder holds on to its memory. */
async function* lent(place: FilePlace): AsyncGenerator<Uint8Array, void, void> {
  yield* lendFile(place);
}

/** Whether the blob is a tar archive as it is. */
function isArchive(place: FilePlace): boolean {
  const [header] = lendFile({ ...place, size: Math.min(blockSize, place.size) });
  return header !== undefined && Buffer.from(header.subarray(257, 262)).equals(ustar);
}

const ustar = Buffer.from("ustar");
