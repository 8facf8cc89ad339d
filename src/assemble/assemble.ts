import { buildImage, type Image } from "../oci/image.ts";
import { layerFromRecord, type LayerRecord } from "../oci/compose-layer.ts";
import type { PlannedImage } from "../plan/plan-images.ts";
import type { Store } from "../store/store.ts";
import { composeAppLayer } from "./app-layer.ts";
import { imageConfig } from "./image-config.ts";

/** A layer of a built image, for reports. */
export interface BuiltLayer {
  name: string;
  record: LayerRecord;
  /** Whether the store had it before. */
  reused: boolean;
  contents: { name: string; version: string; compressed: number; unpacked: number }[];
}

export interface BuiltImage {
  image: Image;
  layers: BuiltLayer[];
}

/** Puts the prepared layers, the project's files and the settings together. */
export async function assemble(planned: PlannedImage, root: string, store: Store): Promise<BuiltImage> {
  const { plan, environment, reached, compiler } = planned;
  const app = await composeAppLayer({ plan, root, reached, compiler }, store);
  const layers = [...environment.layers, app];
  const image = buildImage({
    layers: layers.map(({ record }) => layerFromRecord(store, record)),
    config: imageConfig(plan),
  });
  return { image, layers };
}
