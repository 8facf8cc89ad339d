import * as fs from "node:fs";
import * as path from "node:path";

import type { Store } from "./store.ts";

/**
 * Removes the blobs and records that this process has begun to write and will not end: threads that are stopped in the
 * middle of it can't. Only for when none of its threads writes any more.
 */
export function removeLeftovers(store: Store): void {
  const folder = path.join(store.root, "tmp");
  for (const name of fs.readdirSync(folder)) {
    if (!new RegExp(`^(?:blob|record)-${process.pid}-[0-9a-f]+$`).test(name)) continue;
    fs.rmSync(path.join(folder, name), { force: true });
  }
}
