import { SheafError } from "../../errors.ts";
import { type Platform, platformName } from "../../platform.ts";
import type { NamedBase } from "./facts.ts";
import { knownBase, writeBase } from "./facts.ts";

export interface BaseTask {
  storeRoot: string;
  /** An OCI layout or an archive. */
  file: string;
  tag?: string;
  platform: Platform;
}

/**
 * Reads a base image once: its blobs go into the store, what is in it into records.
 * @throws SheafError SHEAF_IMAGE, SHEAF_BASE, SHEAF_TAR, SHEAF_COMPRESSION
 */
export async function ingestBase(task: BaseTask): Promise<NamedBase> {
  const [{ openStore }, { openImageFile }, { imageNameIn }, { readLayers }, { describeBase }] = await Promise.all([
    import("../../store/store.ts"),
    import("../../oci/open-file.ts"),
    import("../../oci/image-names.ts"),
    import("./read-layers.ts"),
    import("./describe.ts"),
  ]);
  const store = openStore(task.storeRoot);
  try {
    const { tag, platform, file } = task;
    const image = await openImageFile(file, store, { tag, platform });
    if (image.platform.architecture !== platform.architecture) throw otherPlatform(file, image.platform, platform);
    const name = tag !== undefined && tag.includes(":") ? tag : imageNameIn(file);
    const known = knownBase(store, image.digest);
    if (known) return { facts: known, name };
    const { facts, files } = describeBase(image, await readLayers(image, store), platform);
    writeBase(store, facts, files);
    return { facts, name };
  } finally {
    store.dispose();
  }
}

function otherPlatform(file: string, is: { os: string; architecture: string }, wanted: Platform): SheafError {
  return new SheafError(
    "SHEAF_BASE",
    `the base image ${file} is for ${is.os}/${is.architecture}, and the image is built for ${platformName(wanted)}`,
    {
      hint: [
        `build for the base's platform: --platform ${is.os}/${is.architecture}`,
        `or save the base for ${platformName(wanted)}: docker pull --platform ${platformName(wanted)} …`,
      ],
    },
  );
}
