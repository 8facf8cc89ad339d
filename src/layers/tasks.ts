import type { DirectoryEntry } from "../filesystem/entry.ts";
import type { LayerRecord, SegmentRef } from "../oci/compose-layer.ts";

export interface ComposeTask {
  storeRoot: string;
  segments: SegmentRef[];
  directories: DirectoryEntry[];
  mtime: number;
  kind: string;
  createdBy: string;
}

/** Work on one layer that is worth a thread. Inputs and outputs are plain data. */
export interface LayerTasks {
  layer: (task: ComposeTask) => Promise<LayerRecord>;
}

/** Puts segments together as a layer, on a worker's thread: both digests need every byte once. */
export async function composeLayerTask(task: ComposeTask): Promise<LayerRecord> {
  const [{ openStore }, { composeLayer }] = await Promise.all([
    import("../store/store.ts"),
    import("../oci/compose-layer.ts"),
  ]);
  const { storeRoot, ...input } = task;
  return composeLayer(openStore(storeRoot), input);
}
