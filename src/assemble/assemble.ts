import { buildImage, type Image, type ImageParts } from "../oci/image.ts";
import { layerFromRecord, type LayerRecord } from "../oci/compose-layer.ts";
import type { PlannedImage } from "../plan/planned-image.ts";
import type { Store } from "../store/store.ts";
import { composeAppLayer } from "./app-layer.ts";
import type { BaseImage } from "../ingest/base/base-image.ts";
import { layerHistory } from "../oci/history.ts";
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
  const { plan, environment, reached, compiler, base } = planned;
  const app = await composeAppLayer({ plan, root, reached, compiler, ...(base ? { over: base } : {}) }, store);
  const layers = [...environment.layers, app];
  const image = buildImage({
    layers: layers.map(({ record }) => layerFromRecord(store, record)),
    config: imageConfig(plan),
    ...(base ? inheritance(base) : {}),
  });
  return { image, layers };
}

/** Who made the layers below, and of which image they are (image-spec, annotations.md). */
function inheritance({ facts, name }: BaseImage): Partial<ImageParts> {
  const { history, layers, digest } = facts;
  const prefix = "org.opencontainers.image.base";
  return {
    annotations: { [`${prefix}.digest`]: digest, ...(name === undefined ? {} : { [`${prefix}.name`]: name }) },
    // A history that does not fit the layers would be told of the wrong ones.
    ...(layerHistory(history).length === layers.length ? { baseHistory: history } : {}),
  };
}
