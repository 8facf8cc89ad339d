import { createHash } from "node:crypto";

import type { SegmentRef } from "../oci/compose-layer.ts";
import { byCodeUnit } from "../order.ts";

/** One distribution's share of the image: its wheel's segment, and that of its bytecode. */
export interface PackagePart {
  name: string;
  version: string;
  segments: SegmentRef[];
}

/** What ends up in one layer. */
export interface LayerGroup {
  kind: LayerKind;
  /** What a person calls it: `botocore 1.40.57`, `small packages 3`. */
  name: string;
  parts: PackagePart[];
}

export type LayerKind = "base" | "python" | "native" | "package" | "packages" | "system" | "app";

export interface PartitionOptions {
  /** Layers that packages may have. */
  budget: number;
}

/** From this compressed size on, a distribution has a layer of its own: it is shared and replaced alone. */
const ownLayerFrom = 1_000_000;

/**
 * Layers that the smaller distributions share. Which one is told by the name alone, so that an added, changed or removed
 * distribution moves one of them, of a megabyte or so, and leaves the others as they are.
 */
const sharedLayers = 12;

/**
 * Distributions into layers: the large ones alone, in the order of their names, the others in shared ones. A distribution's
 * place depends on its own size and name as long as the budget holds.
 */
export function partitionPackages(packages: readonly PackagePart[], { budget }: PartitionOptions): LayerGroup[] {
  const shared = Math.max(1, Math.min(sharedLayers, Math.floor(budget / 3)));
  const large = packages
    .filter((each) => compressedSize(each) >= ownLayerFrom)
    .toSorted((a, b) => compressedSize(b) - compressedSize(a) || byCodeUnit(a.name, b.name))
    .slice(0, Math.max(0, budget - shared));
  const alone = new Set(large.map((each) => each.name));
  const buckets = new Map<number, PackagePart[]>();
  for (const each of packages.toSorted((a, b) => byCodeUnit(a.name, b.name))) {
    if (alone.has(each.name)) continue;
    const bucket = createHash("sha256").update(each.name).digest().readUInt32BE(0) % shared;
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), each]);
  }
  return [
    ...large
      .toSorted((a, b) => byCodeUnit(a.name, b.name))
      .map((each): LayerGroup => ({ kind: "package", name: `${each.name} ${each.version}`, parts: [each] })),
    ...[...buckets]
      .toSorted(([a], [b]) => a - b)
      .map(([, parts]): LayerGroup => ({ kind: "packages", name: groupName(parts), parts })),
  ];
}

function groupName(parts: PackagePart[]): string {
  const [only] = parts;
  return parts.length === 1 && only ? `${only.name} ${only.version}` : `${parts.length} small packages`;
}

function compressedSize(part: PackagePart): number {
  return part.segments.reduce((total, segment) => total + segment.compressed, 0);
}
