import * as fs from "node:fs";
import * as path from "node:path";

import { type Emit, silent } from "../events.ts";
import type { Image } from "../oci/image.ts";
import { openDockerArchive } from "../oci/open-docker-archive.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { formatBytes } from "../units.ts";
import type { Engine } from "./engine.ts";

export interface OpenFromEngineOptions {
  store: Store;
  /** Which image of several platforms is meant. */
  platform?: Platform;
  signal?: AbortSignal;
  emit?: Emit;
}

/**
 * Opens an image that an engine has, through a file in the store's temporary folder, which goes with `close` and at the latest
 * with the store.
 * @throws SheafError SHEAF_ENGINE, SHEAF_DISK_FULL, SHEAF_IMAGE
 */
export async function openFromEngine(
  engine: Engine,
  name: string,
  { store, platform, signal, emit = silent }: OpenFromEngineOptions,
): Promise<{ image: Image; close(): Promise<void> }> {
  const folder = store.makeTemporary("engine");
  const close = () => fs.promises.rm(folder, { recursive: true, force: true });
  const file = path.join(folder, "image.tar");
  try {
    const started = performance.now();
    await engine.save(name, file, signal);
    const message = `${name} read, ${formatBytes(fs.statSync(file).size)}`;
    emit({ type: "stage", stage: engine.kind, message, seconds: (performance.now() - started) / 1000 });
    return { image: await openDockerArchive(file, { platform, store }), close };
  } catch (error) {
    await close();
    throw error;
  }
}
