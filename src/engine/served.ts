import type { Image } from "../oci/image.ts";
import type { ImageServer } from "../registry/serve.ts";
import type { LoadResult } from "./engine.ts";

/** What an engine has fetched of an image, and what it had. */
export function countServed(
  image: Pick<Image, "layers">,
  server: Pick<ImageServer, "served">,
): Pick<LoadResult, "transferred" | "layersReused"> {
  const fetched = new Set(server.served.map((blob) => blob.digest));
  return {
    transferred: server.served.reduce((sum, blob) => sum + blob.bytes, 0),
    layersReused: image.layers.filter((layer) => !fetched.has(layer.digest)).length,
  };
}
