import type { ImageFacts } from "../contract/facts/image-facts.ts";
import type { Image } from "../oci/image.ts";
import type { LayerDiff, LayerRef } from "./image-diff.ts";

interface Layered {
  image: Image;
  facts?: ImageFacts;
}

/** Compares layers by their diffIDs: the archives, whatever they are compressed with. */
export function compareLayers(a: Layered, b: Layered): LayerDiff {
  const left = layersOf(a);
  const right = layersOf(b);
  const inA = new Set(left.map(({ diffId }) => diffId));
  const inB = new Set(right.map(({ diffId }) => diffId));
  const shared = left.filter(({ diffId }) => inB.has(diffId));
  const sharedInB = right.filter(({ diffId }) => inA.has(diffId));
  return {
    shared,
    onlyA: left.filter(({ diffId }) => !inB.has(diffId)),
    onlyB: right.filter(({ diffId }) => !inA.has(diffId)),
    sameOrder: shared.map(({ diffId }) => diffId).join() === sharedInB.map(({ diffId }) => diffId).join(),
  };
}

function layersOf({ image, facts }: Layered): LayerRef[] {
  return image.layers.map(({ diffId, size, createdBy }, index) => {
    const unpacked = facts?.layers[index]?.unpacked;
    return { diffId, compressed: size, ...(unpacked === undefined ? {} : { unpacked }), createdBy };
  });
}
