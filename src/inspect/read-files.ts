import type { ReadingTasks } from "../contract/facts/layer-task.ts";
import { readImageFacts } from "../contract/facts/read-image.ts";
import { SheafError } from "../errors.ts";
import type { Image } from "../oci/image.ts";
import { byPath } from "../order.ts";
import { ownerOf } from "./owner-of.ts";

/** One file of an image as a person asks about it. */
export interface InspectedFile {
  path: string;
  type: string;
  size: number;
  mode: number;
  /** Index of the layer that has the last word on it. */
  layer: number;
  /** `botocore 1.40.57`, `libssl3 3.0.17-1`, undefined for what no package brought. */
  owner?: string;
}

/**
 * Lists the files of an image, whoever built it, with who brought each: distributions by their RECORD, Debian packages by
 * dpkg's lists. Layers are read as streams, by `tasks` where they are given.
 * @throws SheafError SHEAF_IMAGE for a layer that can't be read
 */
export async function readFiles(image: Image, signal: AbortSignal, tasks?: ReadingTasks): Promise<InspectedFile[]> {
  const interest = { startModules: new Set<string>(), files: new Set<string>() };
  const facts = await readImageFacts(image, { interest, signal, ...(tasks ? { tasks } : {}) });
  const unreadable = facts.problems.find(({ code }) => code === "unreadable");
  if (unreadable) throw new SheafError("SHEAF_IMAGE", unreadable.message, { hint: "build or save the image again" });
  const files = [...facts.files.values()].map((file): InspectedFile => {
    const { path, type, size, mode, layer, device, linkTo } = file;
    const owner = ownerOf(path, facts);
    return {
      path,
      type: device ?? (linkTo === undefined ? type : "hardlink"),
      size: linkTo === undefined ? size : 0,
      mode,
      layer,
      ...(owner ? { owner: `${owner.name} ${owner.version}` } : {}),
    };
  });
  return files.toSorted(byPath);
}
