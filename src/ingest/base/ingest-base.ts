import { SheafError } from "../../errors.ts";
import { type Platform, platformName } from "../../platform.ts";
import type { Image } from "../../oci/image.ts";
import type { Store } from "../../store/store.ts";
import type { BaseFacts, NamedBase } from "./facts.ts";
import { knownBase, writeBase } from "./facts.ts";

export type BaseTask = { storeRoot: string; platform: Platform } & (
  | {
      /** An OCI layout or an archive. */
      file: string;
      tag?: string;
    }
  | {
      /** The name of an image in a registry. */
      reference: string;
    }
);

/**
 * Reads a base image once: its blobs go into the store, what is in it into records.
 * @throws SheafError SHEAF_IMAGE, SHEAF_BASE, SHEAF_TAR, SHEAF_COMPRESSION; SHEAF_REGISTRY, SHEAF_REGISTRY_AUTH, SHEAF_FETCH
 */
export async function ingestBase(task: BaseTask): Promise<NamedBase> {
  const { openStore } = await import("../../store/store.ts");
  const store = openStore(task.storeRoot);
  try {
    const { image, name, close } = await open(task, store);
    try {
      return { facts: knownBase(store, image.digest) ?? (await read(image, store, task)), name };
    } finally {
      await close();
    }
  } finally {
    store.dispose();
  }
}

async function read(image: Image, store: Store, task: BaseTask): Promise<BaseFacts> {
  const [{ readLayers }, { describeBase }] = await Promise.all([import("./read-layers.ts"), import("./describe.ts")]);
  const { facts, files } = describeBase(image, await readLayers(image, store), task.platform);
  writeBase(store, facts, files);
  return facts;
}

async function open(task: BaseTask, store: Store): Promise<{ image: Image; name?: string; close(): Promise<void> }> {
  const { platform } = task;
  if ("reference" in task) {
    const [{ pullImage }, { parseRegistryReference }] = await Promise.all([
      import("../../registry/pull.ts"),
      import("../../registry/reference.ts"),
    ]);
    const reference = parseRegistryReference(task.reference);
    if (!reference) throw new Error(`not the name of an image: ${task.reference}`);
    return pullImage(reference, { platform });
  }
  const [{ openImageFile }, { imageNameIn }] = await Promise.all([
    import("../../oci/open-file.ts"),
    import("../../oci/image-names.ts"),
  ]);
  const { file, tag } = task;
  const image = await openImageFile(file, store, { tag, platform });
  if (image.platform.architecture !== platform.architecture) throw otherPlatform(file, image.platform, platform);
  const name = tag !== undefined && tag.includes(":") ? tag : imageNameIn(file);
  return { image, name, close: async () => undefined };
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
