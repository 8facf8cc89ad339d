import { sha256 } from "../store/store.ts";
import { layerHistory } from "./history.ts";
import type { Image } from "./image.ts";
import type { ImageProblem } from "./image-problem.ts";
import { MergedFilesystem, type Node } from "./merged-filesystem.ts";
import { mediaTypes } from "./types.ts";
import { validateLayer } from "./validate-layer.ts";

/** Docker 20.10 loads 125 layers and refuses 126. */
export const maxLayers = 125;

/**
 * Looks for everything in an image that an engine, a registry or another tool would refuse, or take differently: what
 * `docker load`, umoci, skopeo and `crane validate` find together, and what none of them does. Reads every layer once.
 * @returns problems in the order of the image; none means that it is sound
 */
export async function validateImage(image: Image): Promise<ImageProblem[]> {
  const problems = documentProblems(image);
  const merged = new MergedFilesystem<Node>({ type: "directory" });
  for (const [index, layer] of image.layers.entries())
    problems.push(...(await validateLayer({ layer, index, merged })));
  return problems;
}

/** What is wrong with manifest, config and history: nothing is read of the layers. */
export function documentProblems(image: Image): ImageProblem[] {
  return [...manifestProblems(image), ...configProblems(image), ...historyProblems(image)];
}

function* manifestProblems({ digest, manifest, manifestBytes, configBytes, layers }: Image): Generator<ImageProblem> {
  if (sha256(manifestBytes) !== digest) {
    yield { code: "manifest-digest", severity: "error", message: `the manifest does not have the digest ${digest}` };
  }
  if (manifest.schemaVersion !== 2) {
    yield {
      code: "schema-version",
      severity: "error",
      message: `the manifest's schemaVersion is ${manifest.schemaVersion}, not 2`,
    };
  }
  if (manifest.mediaType === undefined) {
    yield {
      code: "media-type",
      severity: "warning",
      message: "the manifest has no mediaType, which some registries need",
    };
  }
  if (sha256(configBytes) !== manifest.config.digest) {
    yield {
      code: "config-digest",
      severity: "error",
      message: `the config does not have the digest ${manifest.config.digest}`,
    };
  }
  if (configBytes.length !== manifest.config.size) {
    const message = `the config has ${configBytes.length} bytes, the manifest says ${manifest.config.size}`;
    yield { code: "config-size", severity: "error", message };
  }
  if (layers.length > maxLayers) {
    const message = `the image has ${layers.length} layers; Docker 20.10 takes ${maxLayers} at most`;
    yield { code: "layer-count", severity: "error", message };
  }
  const vendors = new Set([manifest.mediaType, ...manifest.layers.map((layer) => layer.mediaType)].flatMap(vendorOf));
  if (vendors.size > 1) {
    yield {
      code: "mixed-media-types",
      severity: "warning",
      message: "the manifest mixes OCI's and Docker's media types",
    };
  }
  for (const [layer, { mediaType }] of manifest.layers.entries()) {
    if (layerTypes.includes(mediaType)) continue;
    const message = `layer ${layer} has the media type ${mediaType}, which not every engine unpacks`;
    yield { code: "layer-media-type", severity: "warning", layer, message };
  }
}

function* configProblems({ config, manifest }: Image): Generator<ImageProblem> {
  if (config.rootfs?.type !== "layers") {
    yield {
      code: "rootfs-type",
      severity: "error",
      message: `the config's rootfs.type is ${config.rootfs?.type}, not "layers"`,
    };
  }
  const diffIds = config.rootfs?.diff_ids?.length ?? 0;
  if (diffIds !== manifest.layers.length) {
    const message = `the config has ${diffIds} diffIDs, the manifest ${manifest.layers.length} layers`;
    yield { code: "diff-id-count", severity: "error", message };
  }
  if (!config.os || !config.architecture) {
    yield {
      code: "platform",
      severity: "error",
      message: "the config does not say which os and architecture it is for",
    };
  }
}

function* historyProblems({ config, manifest }: Image): Generator<ImageProblem> {
  if (!config.history || config.history.length === 0) return;
  const told = layerHistory(config.history).length;
  const layers = manifest.layers.length;
  if (told === layers) return;
  const message = `the history tells of ${told} layers, the image has ${layers}`;
  // Docker refuses a history that is too long; a short one only misleads whoever reads it.
  yield { code: "history", severity: told > layers ? "error" : "warning", message };
}

function vendorOf(mediaType: string | undefined): string[] {
  const vendor = /^application\/vnd\.(oci|docker)\./.exec(mediaType ?? "")?.[1];
  return vendor === undefined ? [] : [vendor];
}

const layerTypes: string[] = [
  mediaTypes.layer,
  mediaTypes.layerGzip,
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
];
