import { parentDirectories } from "../archive/segment.ts";
import type { DirectoryEntry } from "../filesystem/entry.ts";
import type { LayerRecord, SegmentRef } from "../oci/compose-layer.ts";
import type { Store } from "../store/store.ts";
import type { ComposeTask } from "./tasks.ts";
import { type Overlay, overDirectories } from "./overlay.ts";
import type { LayerKind } from "./partition.ts";

export interface GroupRequest {
  kind: LayerKind;
  name: string;
  segments: SegmentRef[];
  /** Folders that are not root's and 0755. */
  directories: { path: string; mode: number; uid?: number; gid?: number }[];
  /** Every path in the segments: asked only when the layer has to be made. */
  paths: () => string[];
  contents: { name: string; version: string; compressed: number; unpacked: number }[];
  mtime: number;
}

export interface ComposedGroup {
  name: string;
  record: LayerRecord;
  reused: boolean;
  contents: GroupRequest["contents"];
}

export interface GroupContext {
  store: Store;
  compose: (task: ComposeTask) => Promise<LayerRecord>;
  /** The image below, unless it is made of groups too. */
  over?: Overlay;
}

/** Raised when the same group gives another layer. */
const groupVersion = 2;

/** Makes the layer of a group, or finds it in the store by its segments. */
export async function composeGroup(
  group: GroupRequest,
  { store, compose, over }: GroupContext,
): Promise<ComposedGroup> {
  const { kind, name, segments, contents, mtime } = group;
  const key = JSON.stringify([
    groupVersion,
    segments.map((segment) => segment.digest),
    group.directories,
    mtime,
    ...(over ? [over.key] : []),
  ]);
  const known = store.readRecord<LayerRecord>("layer-group", key);
  if (known?.parts.every((part) => store.hasBlob(part))) {
    return { name, record: { ...known, kind, createdBy: createdBy(kind, name) }, reused: true, contents };
  }
  const given = group.directories.map(({ path, mode, uid = 0, gid = 0 }): DirectoryEntry => ({
    type: "directory",
    path,
    mode,
    uid,
    gid,
  }));
  const parents = parentDirectories([...group.paths(), ...given.map((entry) => `${entry.path}/`)], given);
  const record = await compose({
    storeRoot: store.root,
    segments,
    directories: over ? overDirectories(parents, over) : parents,
    mtime,
    kind,
    createdBy: createdBy(kind, name),
  });
  store.writeRecord("layer-group", key, record);
  return { name, record, reused: false, contents };
}

/** The history's line for a layer, as a Dockerfile's reader expects one. */
function createdBy(kind: LayerKind, name: string): string {
  return `COPY ${name} / # sheaf ${kind}`;
}
