import { canonicalJson } from "../../oci/canonical-json.ts";
import type { Image } from "../../oci/image.ts";
import { mediaTypes, type Manifest } from "../../oci/types.ts";
import { sha256 } from "../../store/store.ts";

/**
 * The same image under a Docker manifest (image manifest version 2, schema 2): Podman keeps the HEALTHCHECK of such an image only. Config and
 * layers, and with them the image's id, stay what they are. Unchanged where a layer has no Docker type (zstd).
 */
export function withDockerManifest(image: Image): Image {
  const layers = image.manifest.layers.map((layer) => ({
    ...layer,
    mediaType: dockerLayerTypes[layer.mediaType] ?? "",
  }));
  if (layers.some((layer) => layer.mediaType === "")) return image;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { ...image.manifest.config, mediaType: mediaTypes.dockerConfig },
    layers,
  };
  const manifestBytes = canonicalJson(manifest);
  return { ...image, digest: sha256(manifestBytes), manifest, manifestBytes };
}

const dockerLayerTypes: Record<string, string | undefined> = {
  [mediaTypes.layer]: mediaTypes.dockerLayer,
  [mediaTypes.layerGzip]: mediaTypes.dockerLayerGzip,
  [mediaTypes.dockerLayer]: mediaTypes.dockerLayer,
  [mediaTypes.dockerLayerGzip]: mediaTypes.dockerLayerGzip,
};
