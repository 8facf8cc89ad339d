import * as fs from "node:fs";

import { SheafError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Image } from "./image.ts";
import { openLayout } from "./layout.ts";
import type { ImageChoice } from "./choose-image.ts";
import { openDockerArchive } from "./open-docker-archive.ts";

/**
 * Opens what `docker save`, `skopeo copy` and `sheaf build -o` write: an OCI layout when it is a folder, an archive else.
 * @throws SheafError SHEAF_IMAGE
 */
export async function openImageFile(file: string, store: Store, choice: ImageChoice = {}): Promise<Image> {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new SheafError("SHEAF_IMAGE", `${file} is not there`, { hint: "check the path" });
  return stat.isDirectory() ? openLayout(file, choice) : openDockerArchive(file, { ...choice, store });
}
